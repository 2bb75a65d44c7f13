package io.tidemark.filesystem;

/** How far what is read is what the file system's owner had last been told is there. */
public enum JournalState {
  /** The file system has no journal. */
  NONE("none"),
  /** Nothing was in it. */
  CLEAN("clean"),
  /** It was replayed before anything was read, onto a copy of what changes. */
  REPLAYED("replayed"),
  /** It could not be replayed: names and sizes of some seconds before the point may be missing. */
  DIRTY("dirty"),
  /** No tool tells or replays it; as {@link #DIRTY} if the file system was in use. */
  IGNORED("ignored");

  private final String word;

  JournalState(String word) {
    this.word = word;
  }

  public String word() {
    return word;
  }
}
