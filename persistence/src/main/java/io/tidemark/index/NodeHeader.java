package io.tidemark.index;

/**
 * What a volume's state keeps of an index node.
 *
 * @param id names the stored node, unique in its volume
 * @param level 1 for a leaf, {@link #BASE} for a base
 * @param firstSeq first write seq of the run
 * @param lastSeq last write seq of the run
 * @param firstTimeMicros timestamp of the first write
 * @param lastTimeMicros timestamp of the last write
 * @param firstEventNr persistence sequence number of the event of the first segment
 * @param lastEventNr persistence sequence number of the event of the last segment
 * @param extents number of extents in the final map
 * @param blocks number of stored blocks
 * @param storedBytes size of the stored node
 */
public record NodeHeader(
    long id,
    int level,
    long firstSeq,
    long lastSeq,
    long firstTimeMicros,
    long lastTimeMicros,
    long firstEventNr,
    long lastEventNr,
    long extents,
    int blocks,
    long storedBytes) {

  /** The level of a base: a final map of a run whose events and finer nodes are gone. */
  public static final int BASE = NodeDirectory.LEVEL_BASE;

  /** Whether there is nothing finer than this node (X5). */
  public boolean base() {
    return level == BASE;
  }
}
