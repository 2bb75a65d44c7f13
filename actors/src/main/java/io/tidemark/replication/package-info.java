/**
 * Replication of one volume's journal to another site: what goes over the line between them, and
 * the streams that read, pack and pace it.
 *
 * <pre>
 *   events of the volume -&gt; segments' data -&gt; packed against the target's history -&gt; throttle -&gt; line
 *                                                                                            |
 *   acknowledged seq &lt;-----------------------------------------------------------------------+
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>R1 Parcels leave in the order of the source's events, and what they leave at the target is
 *       the same seqs with the same times.
 *   <li>R2 A segment is packed against a position that the target has acknowledged.
 *   <li>R3 What is in flight is bounded: reading stops when packing does, packing when the line
 *       does.
 *   <li>R4 A line that broke is resumed after the head that the target tells, never after one that
 *       was assumed.
 * </ol>
 */
package io.tidemark.replication;
