/**
 * Filling a backing store from the journal while its volume is served: after a promotion, and after
 * a failback to a store that is behind. Clients are let in at once; what they touch is filled
 * first, the rest in the background.
 *
 * <pre>
 *   client --&gt; FillExport --+--&gt; TapExport --&gt; backing store, FillSink --&gt; capture
 *                           | unfilled blocks
 *                           +--&gt; Filler &lt;-- background walk
 *                                  hashes, content from the node --&gt; backing store --&gt; FillMap
 *
 *   block:  unfilled ---- content written, or found equal, or overwritten whole ----&gt; filled
 *           the journal holds it                            the backing store holds it
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>W1 What an unfilled block of the store holds is never read for a client, never compared as
 *       the volume's content and never sent: until it is filled, the journal is the source.
 *   <li>W2 A block is changed by clients only once it is filled, or whole. So the journal's content
 *       of an unfilled block is the same in all of its states since the promotion, and filling it
 *       late, or twice, is right.
 *   <li>W3 On disk a block is marked filled only after its content is durable. What is filled since
 *       the last sync is noted in a second file that counts only until the machine starts again:
 *       the death of the process loses neither content nor note, that of the machine both.
 *   <li>W4 A FLUSH is answered after the blocks that it covers are marked durably, too (J3).
 *   <li>W5 Content of the store that may be nowhere else is kept in a file, durably, before it is
 *       overwritten.
 *   <li>W6 Memory is bounded: a piece for each of a few threads, and one bit a block.
 *   <li>W7 The walk gives way to clients and keeps to its rate; without a node it waits.
 * </ol>
 */
package io.tidemark.fill;
