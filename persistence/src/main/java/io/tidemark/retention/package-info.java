/**
 * Retention: how much of a volume's history is kept, and what takes the place of the rest.
 *
 * <pre>
 *   seq 1 ........... k1 ........ k2 ......... base ...... horizon ............ head
 *   layers [          ][          ][            ]
 *   base   [                                    ]
 *   index                                        [node][node][node][node] ...
 * </pre>
 *
 * <p>The <em>horizon</em> is the oldest point of the continuous history. The <em>base</em>, not
 * after it, is one map of everything up to there; events, index nodes and superseded data before it
 * are gone. Points before the horizon that a tag or an image holds are kept as the ends of
 * <em>layers</em>: final maps that tile the history up to the base. Live data in runs of segments
 * that are mostly dead is copied into runs of compactions, so that the old runs go whole.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>R1 The horizon is persisted before anything that it gives up is deleted; it never goes
 *       back.
 *   <li>R2 The base ends at or before the horizon; every kept point before the base is the end of a
 *       layer. So every point that is not refused has all of its data.
 *   <li>R3 Each live byte before the base lies in exactly one layer's map; a run in no layer's map
 *       is deleted.
 *   <li>R4 A run is copied only when at least half of it is dead (or it is one of many tiny ones),
 *       so all copies together are at most as much as was ever written.
 *   <li>R5 What a compaction stores is referred to only after all of it is durable; what a broken
 *       one stored is deleted by its number.
 *   <li>R6 Memory of a compaction is bounded by {@code EXTENTS_COPIED_MAX}, the table of runs and
 *       one block a node.
 * </ol>
 */
package io.tidemark.retention;
