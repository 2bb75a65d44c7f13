/**
 * The memory that NBD payloads live in: pooled direct slabs that are filled by bump allocation, so
 * that one socket read brings many requests and their data is never copied.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>S1 A slab's bytes are reused only after its last reference was released.
 *   <li>S2 Only the thread that fills a slab takes first references in it; a sole owner therefore
 *       stays sole until it hands something out, and may start the slab again from 0.
 *   <li>S3 Taking a slab never waits: what requests in flight need is bounded by {@link
 *       io.tidemark.nbd.slab.MemoryBudget} before it is taken; what capture keeps is bounded by
 *       capture.
 * </ol>
 */
package io.tidemark.nbd.slab;
