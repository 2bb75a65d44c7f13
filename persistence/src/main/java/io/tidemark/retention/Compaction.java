package io.tidemark.retention;

import io.tidemark.index.NodeHeader;
import io.tidemark.index.RunTable;
import io.tidemark.position.VolumeId;
import io.tidemark.segment.SegmentRef;
import java.util.List;

/**
 * What a history's base is moved with, and what comes of it.
 *
 * @param volume the incarnation
 * @param frontier nodes of the index, a base first if there is one
 * @param layers layers below the base, oldest first; empty when there is no base
 * @param runs the table of runs up to the base
 * @param horizonSeq the new base is the last leaf that ends at or before it
 * @param keptSeqs points before the horizon that remain, ascending
 * @param attempt number of the compaction, never given twice in a volume
 */
public record Compaction(
    VolumeId volume,
    List<NodeHeader> frontier,
    List<NodeHeader> layers,
    RunTable.Ref runs,
    long horizonSeq,
    List<Long> keptSeqs,
    int attempt) {

  /** Runs that one compaction may write. */
  public static final int RUNS_MAX = 1024;

  private static final int ATTEMPTS_PER_SESSION = 1 << 17;

  /** Where compaction {@code attempt} stores what it copies, whether it ends well or not. */
  public static RunRange runsOf(int attempt) {
    int first = attempt % ATTEMPTS_PER_SESSION * RUNS_MAX;
    return new RunRange(
        SegmentRef.COMPACTION_SESSIONS + attempt / ATTEMPTS_PER_SESSION,
        first,
        first + RUNS_MAX - 1);
  }

  /** Index nodes that a compaction stores, at most: layers, the base, the table of runs. */
  public static int nodes(List<Long> keptSeqs) {
    return keptSeqs.size() + 3;
  }

  /**
   * Runs of one session.
   *
   * @param lastRun inclusive
   */
  public record RunRange(int session, int firstRun, int lastRun) {}

  /**
   * What takes the place of the cut history. Everything in it is durable.
   *
   * @param base the map of everything up to the cut
   * @param layers layers that tile it, oldest first; the base itself when there is one only
   * @param after nodes that take the place of the frontier's up to {@code prefixEndSeq}
   * @param prefixEndSeq end of the newest node of the frontier that was cut or covered
   * @param runs the table of runs up to the base
   * @param freedRuns runs that nothing refers to any more
   * @param freedTrees nodes to be deleted with all below them
   * @param freedNodes nodes (and tables) to be deleted without what is below them
   * @param segments segments that the cut took out of the history
   * @param cut data of the writes that were cut, before and after compression
   * @param copied data that was copied
   * @param freed data of the freed runs
   */
  public record Outcome(
      NodeHeader base,
      List<NodeHeader> layers,
      List<NodeHeader> after,
      long prefixEndSeq,
      RunTable.Ref runs,
      List<RunRange> freedRuns,
      List<NodeHeader> freedTrees,
      List<Long> freedNodes,
      long segments,
      RunTable.Size cut,
      RunTable.Size copied,
      RunTable.Size freed) {}
}
