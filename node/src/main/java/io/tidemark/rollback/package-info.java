/**
 * Rollback of a volume in place: the difference between its head and an earlier point is written
 * through its tap, like any other write, while the tap keeps clients out.
 *
 * <pre>
 *   begin --(refused: clients, no tap here)--> nothing happened
 *     | the tap is shut, everything journaled: the safety point
 *     v
 *   compare head and target, write what differs, sync --+
 *     ^                                                 | until nothing differs
 *     +-------------------------------------------------+
 *     | tap or link lost: wait for it, begin again, go on
 *     v
 *   end: the tap lets clients in
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>B1 History stays linear: a rollback adds writes and takes nothing away, so that rolling
 *       back to its safety point undoes it.
 *   <li>B2 It is done only when the journal's head and the target were compared and are equal, byte
 *       for byte.
 *   <li>B3 What ends it early leaves a volume whose every write is journaled, holding a mixture of
 *       two points; it says so, and names the safety point.
 *   <li>B4 A node that ends in the middle goes on at its next start, with the same target and the
 *       same safety point.
 *   <li>B5 A bounded number of bytes is under way between node and tap.
 *   <li>B6 While it runs, and for a day after its node was last heard of, retention leaves its
 *       target and its safety point alone.
 * </ol>
 */
package io.tidemark.rollback;
