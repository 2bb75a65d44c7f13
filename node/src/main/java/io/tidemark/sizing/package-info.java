/**
 * How much journal a volume needs for how much history, told from its own recorded writes.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>Z1 Only what the journal recorded is told; a window longer than the recording is marked as
 *       extrapolated.
 *   <li>Z2 Memory is bounded by {@code WritePattern.BLOCKS_MAX} and {@code WritePattern.SPANS_MAX},
 *       whatever the volume's size and history.
 * </ol>
 */
package io.tidemark.sizing;
