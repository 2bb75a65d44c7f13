/**
 * {@code tidemark bench}: measures this build on this machine, each figure beside what it is to be
 * compared with. A site for measuring is started in a temporary directory, on free ports, and is
 * gone afterwards.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>N1 What is compared runs alternately in one run, so that a change in the machine's speed
 *       meets all of it; a ratio is the median of the ratios of neighbours.
 *   <li>N2 Every figure comes with its spread.
 *   <li>N3 What is read is compared with what was written; a wrong byte ends the run.
 * </ol>
 */
package io.tidemark.bench;
