/**
 * Segments: runs of consecutive writes journaled as one unit, and the store that keeps their data.
 *
 * <p>A segment's metadata ({@link io.tidemark.segment.SegmentMeta}) travels on the tap link and in
 * the volume's events; its data goes beside them, cut into chunks that are compressed, checksummed
 * and stored before the event is persisted (claim check).
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>S1 A chunk is served only if its bytes match the CRC-32C that the tap computed over them.
 *   <li>S2 A segment number is used once: a repeat after a reconnect is stored under a new number,
 *       so a late write of the old session cannot change what a newer event refers to.
 *   <li>S3 {@code store} completes only when every chunk is acknowledged at the configured
 *       consistency level.
 * </ol>
 */
package io.tidemark.segment;
