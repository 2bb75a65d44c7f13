package io.tidemark.index;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The rules of a volume's frontier (X4); pure. */
public final class Frontier {
  private Frontier() {}

  /**
   * The oldest {@link IndexWriter#FAN_OUT} consecutive nodes of one level that are ready to be
   * merged into one of the next, lowest level first; empty when nothing is to be merged.
   */
  public static Optional<List<NodeHeader>> mergeable(List<NodeHeader> frontier) {
    int end = frontier.size();
    while (end > 0) {
      int level = frontier.get(end - 1).level();
      if (level == NodeHeader.BASE) {
        return Optional.empty();
      }
      int from = end - 1;
      while (from > 0 && frontier.get(from - 1).level() == level) {
        from--;
      }
      if (end - from >= IndexWriter.FAN_OUT) {
        return Optional.of(List.copyOf(frontier.subList(from, from + IndexWriter.FAN_OUT)));
      }
      end = from;
    }
    return Optional.empty();
  }

  /**
   * The frontier with {@code merged} in place of the nodes that it covers.
   *
   * @throws IllegalArgumentException when it does not cover whole nodes of the frontier
   */
  public static List<NodeHeader> replace(List<NodeHeader> frontier, NodeHeader merged) {
    List<NodeHeader> result = new ArrayList<>(frontier.size());
    long reached = -1;
    for (NodeHeader node : frontier) {
      if (node.lastSeq() < merged.firstSeq() || node.firstSeq() > merged.lastSeq()) {
        result.add(node);
        continue;
      }
      if (reached < 0 && node.firstSeq() == merged.firstSeq()) {
        result.add(merged);
      } else if (reached < 0 || node.lastSeq() > merged.lastSeq()) {
        throw new IllegalArgumentException(merged + " does not cover whole nodes: " + node);
      }
      reached = node.lastSeq();
    }
    if (reached != merged.lastSeq()) {
      throw new IllegalArgumentException(merged + " covers no nodes of the frontier");
    }
    return List.copyOf(result);
  }

  /**
   * Checks X4 as far as the headers tell: in seq, event and time order, without overlap, at most
   * one base, which is the oldest; after it levels that rise and then never rise again towards the
   * head, at most fan-out nodes a level and side (the last may be due for merging). Between two
   * nodes there may be seqs that the journal recorded as not captured.
   *
   * @throws IllegalArgumentException that names the first violation
   */
  public static void check(List<NodeHeader> frontier) {
    boolean cut = !frontier.isEmpty() && frontier.get(0).base();
    int most = cut ? 2 * IndexWriter.FAN_OUT : IndexWriter.FAN_OUT;
    NodeHeader previous = null;
    int sameLevel = 0;
    boolean fallen = true;
    for (NodeHeader node : frontier) {
      if (node.firstSeq() > node.lastSeq() || node.firstEventNr() > node.lastEventNr()) {
        throw new IllegalArgumentException("X4: an empty run: " + node);
      }
      if (previous != null
          && (node.firstSeq() <= previous.lastSeq()
              || node.firstEventNr() <= previous.lastEventNr()
              || node.firstTimeMicros() < previous.lastTimeMicros()
              || node.base()
              || fallen && node.level() > previous.level())) {
        throw new IllegalArgumentException("X4: out of order: " + previous + " before " + node);
      }
      fallen =
          previous == null
              ? !node.base()
              : !previous.base() && (fallen || node.level() < previous.level());
      sameLevel = previous != null && node.level() == previous.level() ? sameLevel + 1 : 1;
      if (sameLevel > most) {
        throw new IllegalArgumentException("X4: too many nodes of level " + node.level());
      }
      previous = node;
    }
  }
}
