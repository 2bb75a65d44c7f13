/**
 * How a journaled segment crosses a narrow link: in as few bytes as the target's own history
 * allows.
 *
 * <p>A segment's data is cut into pieces at the volume's 4 KiB boundaries, and each piece goes in
 * whatever way costs least ({@link io.tidemark.wan.PieceKind}): not at all, as a reference to the
 * same content elsewhere in the target's history, as its difference from what it replaces,
 * compressed, or as it is. Both ends read the older content from their own journals as of one base
 * position that the target has acknowledged, so that neither keeps state for the other and any
 * segment can be unpacked alone, in any order.
 *
 * <pre>
 *   source: segment + image(base) -> SegmentPacker -> bytes
 *   target: bytes -> PackedSegment -> what it needs of image(base) and of older points -> segment
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>W1 What is unpacked matches the checksums that the tap computed, or it is refused: a wrong
 *       base, a hash collision and a damaged line end the same way.
 *   <li>W2 Packed data is never longer than the data and {@link
 *       io.tidemark.wan.SegmentPacker#OVERHEAD_BYTES_MAX a bounded} head, whatever the data is.
 *   <li>W3 A segment refers to nothing newer than its base.
 * </ol>
 */
package io.tidemark.wan;
