package io.tidemark.index;

import io.tidemark.position.VolumeId;
import java.util.List;

/**
 * One volume's history as the index reads it: what is indexed, and where the rest is.
 *
 * @param volume the incarnation
 * @param frontier index nodes in seq order (X4)
 * @param segments the journal's events
 * @param tailFromEventNr first event that may hold a segment after the frontier
 * @param tailToEventNr newest event
 */
public record IndexedHistory(
    VolumeId volume,
    List<NodeHeader> frontier,
    SegmentHistory segments,
    long tailFromEventNr,
    long tailToEventNr) {}
