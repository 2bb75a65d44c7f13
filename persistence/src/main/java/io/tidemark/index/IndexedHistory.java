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
 * @param kept layers below the horizon, oldest first; the end of each is a point that was kept (X5)
 */
public record IndexedHistory(
    VolumeId volume,
    List<NodeHeader> frontier,
    SegmentHistory segments,
    long tailFromEventNr,
    long tailToEventNr,
    List<NodeHeader> kept) {

  /** A history without points below its horizon. */
  public IndexedHistory(
      VolumeId volume,
      List<NodeHeader> frontier,
      SegmentHistory segments,
      long tailFromEventNr,
      long tailToEventNr) {
    this(volume, frontier, segments, tailFromEventNr, tailToEventNr, List.of());
  }
}
