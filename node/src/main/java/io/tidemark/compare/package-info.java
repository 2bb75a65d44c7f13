/**
 * Comparison of two points of a volume: which ranges changed, and how many bytes.
 *
 * <p>Without content it asks the index alone: what was written between the points, found without
 * replay. With content it reads what was written at both points, so that the same bytes written
 * again are no difference.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>C1 Outside the ranges that a comparison tells, the two points are equal byte for byte.
 *   <li>C2 With content, each range begins and ends in a sector that differs.
 *   <li>C3 Memory, time and reads of one page are bounded by named limits, whatever the volume's
 *       size and history; the page says where the next begins.
 * </ol>
 */
package io.tidemark.compare;
