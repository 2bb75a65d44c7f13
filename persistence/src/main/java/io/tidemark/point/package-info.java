/**
 * Recovery points: from what a person names ({@code latest}, a seq, a moment) to a position in the
 * history, and from a position to bytes.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>P1 A point is resolved to the write: by time, the last write not later than it.
 *   <li>P2 No point is given inside a dark interval, before the horizon or after the head; the
 *       refusal names the nearest points (J5).
 *   <li>P3 An open point is immutable: what is journaled, indexed or merged later does not change
 *       it.
 *   <li>P4 Memory and requests in flight are bounded by named limits for all readers together,
 *       whatever they ask for (J9).
 *   <li>P5 When a cut of the history moves what an open point reads, the point finds it again; it
 *       is refused once it is given up, and never served with other content or zeroes.
 * </ol>
 */
package io.tidemark.point;
