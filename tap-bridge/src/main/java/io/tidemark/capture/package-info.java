/**
 * Capture: from a write that the backing store took to segments on the tap link, with memory, spill
 * file and dirty bitmap as the three lines of retreat, so that production never waits.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>C1 Writes are captured in an order in which the backing store could have taken them: for
 *       overlapping writes it is the order in which it did (J1).
 *   <li>C2 A region is marked in the activity log, on disk, before the backing store takes its
 *       first unjournaled write; it is unmarked only once all its writes are journaled and the
 *       backing store was synced after them (J3).
 *   <li>C3 The memory held for unjournaled writes is bounded; past the bound they go to the spill
 *       file, past its bound to the dirty bitmap.
 *   <li>C4 In async mode nothing here blocks a production write on the node or the network.
 * </ol>
 */
package io.tidemark.capture;
