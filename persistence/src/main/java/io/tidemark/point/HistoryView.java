package io.tidemark.point;

import io.tidemark.index.NodeHeader;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.SegmentHistory;
import io.tidemark.position.VolumeId;
import java.util.List;
import java.util.Optional;

/**
 * What a reader of a volume's past needs to know of its history: a consistent moment of the volume
 * actor's state, small whatever the history's length.
 *
 * @param volume the incarnation
 * @param persistenceId where its events are
 * @param sizeBytes the volume's size
 * @param epoch current epoch
 * @param headSeq newest journaled seq, 0 when none
 * @param headTimeMicros its timestamp, or the creation time when there is none
 * @param horizonSeq oldest recoverable seq
 * @param horizonTimeMicros its timestamp
 * @param dark in seq order, disjoint
 * @param frontier index nodes in seq order that tile {@code [1, t]} (X4)
 * @param tailFromEventNr first event that may hold a segment after {@code t}
 * @param tailToEventNr newest event
 * @param layers what the history up to its base is kept as, oldest first (X5)
 * @param keptSeqs points before the horizon that are kept, ascending
 * @param createdMicros time of seq 0, or 0 when it is not known
 * @param left where this line of history parted from others that its events tell of, oldest first
 */
public record HistoryView(
    VolumeId volume,
    String persistenceId,
    long sizeBytes,
    long epoch,
    long headSeq,
    long headTimeMicros,
    long horizonSeq,
    long horizonTimeMicros,
    List<DarkInterval> dark,
    List<NodeHeader> frontier,
    long tailFromEventNr,
    long tailToEventNr,
    List<NodeHeader> layers,
    List<Long> keptSeqs,
    long createdMicros,
    List<Left> left) {

  /**
   * A line of history that was left.
   *
   * @param forkSeq the newest write in common
   * @param toEventNr the newest event that may belong to it
   */
  public record Left(long forkSeq, long toEventNr) {
    private Optional<SegmentEntry> remaining(SegmentEntry entry) {
      return entry.eventNr() <= toEventNr && entry.meta().lastSeq().value() > forkSeq
          ? entry.upTo(forkSeq)
          : Optional.of(entry);
    }
  }

  public HistoryView {
    // Absent in what a node of an earlier release sends.
    layers = layers == null ? List.of() : layers;
    keptSeqs = keptSeqs == null ? List.of() : keptSeqs;
    left = left == null ? List.of() : left;
  }

  /** A history of one line. */
  public HistoryView(
      VolumeId volume,
      String persistenceId,
      long sizeBytes,
      long epoch,
      long headSeq,
      long headTimeMicros,
      long horizonSeq,
      long horizonTimeMicros,
      List<DarkInterval> dark,
      List<NodeHeader> frontier,
      long tailFromEventNr,
      long tailToEventNr,
      List<NodeHeader> layers,
      List<Long> keptSeqs,
      long createdMicros) {
    this(
        volume,
        persistenceId,
        sizeBytes,
        epoch,
        headSeq,
        headTimeMicros,
        horizonSeq,
        horizonTimeMicros,
        dark,
        frontier,
        tailFromEventNr,
        tailToEventNr,
        layers,
        keptSeqs,
        createdMicros,
        List.of());
  }

  /** A history without points below its horizon. */
  public HistoryView(
      VolumeId volume,
      String persistenceId,
      long sizeBytes,
      long epoch,
      long headSeq,
      long headTimeMicros,
      long horizonSeq,
      long horizonTimeMicros,
      List<DarkInterval> dark,
      List<NodeHeader> frontier,
      long tailFromEventNr,
      long tailToEventNr) {
    this(
        volume,
        persistenceId,
        sizeBytes,
        epoch,
        headSeq,
        headTimeMicros,
        horizonSeq,
        horizonTimeMicros,
        dark,
        frontier,
        tailFromEventNr,
        tailToEventNr,
        List.of(),
        List.of(),
        0);
  }

  /**
   * The journal's segments without those of lines that were left: whoever reads a few events does
   * not see a fork that comes later.
   */
  public SegmentHistory onLine(SegmentHistory all) {
    return left.isEmpty()
        ? all
        : (from, to) ->
            all.segments(from, to)
                .thenApply(
                    found -> found.stream().flatMap(entry -> remaining(entry).stream()).toList());
  }

  private Optional<SegmentEntry> remaining(SegmentEntry entry) {
    Optional<SegmentEntry> rest = Optional.of(entry);
    for (Left line : left) {
      rest = rest.flatMap(line::remaining);
    }
    return rest;
  }

  /** Whether {@code seq} is a point before the horizon that is kept. */
  public boolean keeps(long seq) {
    return seq < horizonSeq && keptSeqs.contains(seq);
  }

  /** The layer that ends with {@code seq}. */
  public Optional<NodeHeader> layerTo(long seq) {
    return layers.stream().filter(layer -> layer.lastSeq() == seq).findFirst();
  }

  /** The base that the history begins with, if it was cut. */
  public Optional<NodeHeader> base() {
    return frontier.isEmpty() || !frontier.get(0).base()
        ? Optional.empty()
        : Optional.of(frontier.get(0));
  }
}
