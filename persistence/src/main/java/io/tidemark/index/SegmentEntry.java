package io.tidemark.index;

import io.tidemark.segment.SegmentMeta;

/**
 * A journaled segment as the index sees it.
 *
 * @param meta its writes
 * @param segmentNumber where its data is stored, see {@link io.tidemark.segment.SegmentRef}
 * @param eventNr the persistence sequence number of its event
 */
public record SegmentEntry(SegmentMeta meta, long segmentNumber, long eventNr) {}
