/**
 * Maps of extents: which write, and which place in which segment, the content of a range comes
 * from. The in-memory form, its overlay, and its encoded form; no I/O.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>M1 The extents of a map are sorted by offset, disjoint and never empty.
 *   <li>M2 In an overlay the newer map wins wherever both have content; an extent that is partly
 *       covered keeps its other parts, each with the data position that belongs to its first byte.
 *   <li>M3 Extents of different writes are never joined: the write seq of every byte stays known.
 * </ol>
 */
package io.tidemark.extent;
