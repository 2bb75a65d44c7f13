package io.tidemark.link;

import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.wan.PackCounts;
import io.tidemark.wan.PieceKind;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What is known of a link now.
 *
 * @param state {@code Created}, {@code Synchronising}, {@code Streaming}, {@code Paused} or {@code
 *     Broken}: the worst of its lanes
 * @param node cluster address of the node that it runs on
 */
public record LinkSummary(
    LinkSpec spec, LinkRules rules, String state, String node, List<Lane> lanes) {

  /**
   * One volume's way. A figure is of the time {@code asOfMicros} (K4).
   *
   * @param state like the link's
   * @param connected whether the line is open
   * @param fault why it is broken, or why the line could not be opened last
   * @param faultCode its code
   * @param headSeq the source's newest write
   * @param ackedSeq the newest write that the target holds
   * @param ackedMicros its time, 0 when it is not known
   * @param lagSeconds age of the oldest write that the target lacks, 0 when it has all
   * @param lagBytes data that it lacks
   * @param lagWrites writes that it lacks
   * @param catchUpSeconds when it will have all at the present rates; empty when never, 0 when it
   *     has
   * @param asOfMicros when source and target were both last heard of, 0 for never
   * @param stale whether that is too long ago to go by
   * @param rawBytes data sent since the node began to run the link
   * @param lineBytes bytes that it took on the line
   * @param headBytes of those, for positions, times, lengths and references
   * @param sentAs how the data was sent, each kind once; empty from a node that does not know
   */
  public record Lane(
      VolumeName volume,
      String state,
      boolean connected,
      Optional<String> fault,
      Optional<ErrorCode> faultCode,
      long headSeq,
      long ackedSeq,
      long ackedMicros,
      double lagSeconds,
      long lagBytes,
      long lagWrites,
      Optional<Double> catchUpSeconds,
      long asOfMicros,
      boolean stale,
      long rawBytes,
      long lineBytes,
      long headBytes,
      List<SentAs> sentAs) {
    public Lane {
      sentAs = sentAs == null ? List.of() : List.copyOf(sentAs);
    }
  }

  /**
   * What was sent in one way.
   *
   * @param kind {@code zero}, {@code same}, {@code reference}, {@code difference}, {@code
   *     dictionary}, {@code compressed} or {@code raw}
   * @param blocks of at most 4 KiB
   * @param rawBytes their data
   * @param lineBytes what that took, without the head
   */
  public record SentAs(String kind, long blocks, long rawBytes, long lineBytes) {}

  static List<SentAs> kinds(PackCounts counts) {
    return Arrays.stream(PieceKind.values())
        .map(
            kind ->
                new SentAs(
                    kind.name().toLowerCase(Locale.ROOT),
                    counts.pieces(kind),
                    counts.dataBytes(kind),
                    counts.lineBytes(kind)))
        .toList();
  }
}
