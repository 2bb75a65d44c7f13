/**
 * The extent index: where the content of a range is as of a write seq, without replaying history.
 *
 * <p>A tree over the history of a volume. A leaf node covers a run of segments; an inner node
 * covers a run of nodes of the level below. Each node holds the <em>final map</em> of its run:
 * disjoint extents sorted by offset, the newest write of the run winning. The state as of seq
 * {@code n} is the overlay, newest first, of the few nodes that tile {@code [1, n]} plus the writes
 * up to {@code n} of at most one leaf's segments, which are read from the journal's events.
 *
 * <pre>
 *   seq      1 ............................................ n ........ head
 *   level 2  [--------------------------]
 *   level 1                              [-------][-------]
 *   events                                                 [s][s]
 * </pre>
 *
 * <p>Maps and their encoding are in {@code io.tidemark.extent}; the stored form is described byte
 * by byte in {@code docs/journal-format.md}, the choice in {@code docs/adr/0003-extent-index.md}.
 *
 * <p>Derived data: it can be rebuilt from the events and checked against them.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>X1 The extents of a node's map are sorted, disjoint and inside the volume.
 *   <li>X2 For every n, the overlay as of n equals the replay of writes 1..n.
 *   <li>X3 Nodes are immutable; a node is referred to by an event only after it is stored.
 *   <li>X4 The nodes of the frontier tile the history from seq 1 without gap or overlap, except for
 *       seqs that the journal recorded as not captured; their number is at most (fan-out - 1) a
 *       level and side, and one more while a merge is due.
 *   <li>X5 A history that was cut begins with a base: one node that holds the final map of
 *       everything up to it, and nothing finer. Points before its end are served only where a layer
 *       ends: layers are bases that tile {@code [1, base]}, oldest first.
 * </ol>
 */
package io.tidemark.index;
