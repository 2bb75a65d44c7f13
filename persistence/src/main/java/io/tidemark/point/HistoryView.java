package io.tidemark.point;

import io.tidemark.index.NodeHeader;
import io.tidemark.position.VolumeId;
import java.util.List;

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
    long tailToEventNr) {}
