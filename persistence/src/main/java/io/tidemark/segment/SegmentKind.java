package io.tidemark.segment;

/** What the writes of a segment are. */
public enum SegmentKind {
  /** Writes of the protected host, in the order in which the backing store took them. */
  LIVE(0),
  /** Content copied by an initial synchronisation or a resync, in between live writes. */
  SYNC(1);

  private final int code;

  SegmentKind(int code) {
    this.code = code;
  }

  /** The stored form. */
  public int code() {
    return code;
  }

  /**
   * @throws IllegalArgumentException for a code that no version has written
   */
  public static SegmentKind of(int code) {
    return switch (code) {
      case 0 -> LIVE;
      case 1 -> SYNC;
      default -> throw new IllegalArgumentException("no segment kind has code " + code);
    };
  }
}
