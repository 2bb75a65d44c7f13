/**
 * Journaling: what stands between a tap link and a volume actor. A session stores segments in the
 * segment store, several in flight, and has the volume actor journal their metadata in order.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>T1 Calls take effect and are answered in the order in which they were made; at most one
 *       request of a session is on its way to its volume.
 *   <li>T2 A segment is journaled at most once: repeats are recognised by seq, here and in the
 *       volume, so any request may be sent again.
 *   <li>T3 A segment's event is requested only after its data is stored (claim check).
 *   <li>T4 After the first failure nothing more is journaled; every open call fails with its
 *       reason.
 *   <li>T5 What a session holds is bounded; exceeding the bound ends it.
 * </ol>
 */
package io.tidemark.journal;
