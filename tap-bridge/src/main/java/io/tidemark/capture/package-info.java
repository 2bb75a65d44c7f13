/**
 * Capture: from a write that the backing store took to segments on the tap link, with memory, spill
 * file and dirty bitmap as the three lines of retreat, so that production never waits.
 *
 * <pre>
 *   write path -&gt; VolumeCapture: front queue -&gt; in flight -&gt; journaled, memory freed
 *                      | memory half full        ^
 *                      +-&gt; back queue -&gt; spill file
 *                      | memory or spill file full
 *                      +-&gt; dirty bitmap (collapse) -&gt; gap -&gt; Resync compares hashes -&gt; front queue
 * </pre>
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
 *       file, past its bound to the dirty bitmap. A write that pins much more memory than its data
 *       is copied out when it has waited.
 *   <li>C4 In async mode nothing here blocks a production write on the node or the network, and
 *       nothing here fails it but an activity log that cannot be written, or fencing.
 *   <li>C5 Ordinals have no holes: a write's seq is its ordinal plus one base. A write that is
 *       dropped keeps its ordinal, and the gap that swallows it covers exactly the dropped ones; a
 *       gap of unknown writes, as after a crash, has one seq.
 *   <li>C6 A gap is captured before any write that follows it and before the first comparison. A
 *       new process with marked regions begins with a gap, even if the journal has one open.
 *   <li>C7 SYNC_DONE is captured after every block that differed, and under the lock of the whole
 *       volume, so that every write that a comparison may have seen has a seq before it.
 *   <li>C8 A tap goes on after the journal's head only when the node tells that all sessions since
 *       the last it knows were its own, or, from an older node, the session numbers leave no room
 *       for another tap in between; and the head is one that it may have sent. Otherwise everything
 *       is compared.
 *   <li>C9 In sync mode a reply is given once the write is journaled, or, if it was dropped into a
 *       gap, once the resynchronisation is; no bound drops such writes, since their clients wait.
 * </ol>
 *
 * <p><b>Why comparing with an older state of the journal is right.</b> Let the gap end at seq g,
 * and let the journal answer with the hash of a block as of some seq s &gt;= g, although writes
 * after s are journaled or on their way. Take a byte of the block. If no write since the gap
 * touched it, the journal holds for it at its head what it held at s, so the comparison of that
 * byte is exact. If a write since the gap touched it, that write is captured, as is every later one
 * (C6), so after the last of them the journal holds what the backing store holds, whatever the
 * comparison said. So equal hashes mean that block and journal agree once everything captured is
 * journaled; different hashes cost at most one block sent in vain. A block is looked at first
 * without its lock: a write that is under way meanwhile is captured after, and the same holds. It
 * is read again, under its lock, before it is captured, so that its content is that of its place in
 * the order.
 */
package io.tidemark.capture;
