package io.tidemark.index;

import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;
import java.util.Optional;

/**
 * A journaled segment as the index sees it.
 *
 * @param meta its writes
 * @param segmentNumber where its data is stored, see {@link io.tidemark.segment.SegmentRef}
 * @param eventNr the persistence sequence number of its event
 * @param storedBytes size of its data after compression; {@code meta.dataBytes()} when unknown
 */
public record SegmentEntry(SegmentMeta meta, long segmentNumber, long eventNr, long storedBytes) {

  /** A segment whose size after compression does not matter. */
  public SegmentEntry(SegmentMeta meta, long segmentNumber, long eventNr) {
    this(meta, segmentNumber, eventNr, meta.dataBytes());
  }

  /**
   * What remains when every write after {@code lastSeq} was left, perhaps in the middle of the
   * segment.
   */
  public Optional<SegmentEntry> upTo(long lastSeq) {
    return meta.firstSeq().value() > lastSeq
        ? Optional.empty()
        : Optional.of(
            new SegmentEntry(
                meta.upTo(new WriteSeq(lastSeq)), segmentNumber, eventNr, storedBytes));
  }
}
