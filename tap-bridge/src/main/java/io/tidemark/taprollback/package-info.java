/**
 * The tap's part in taking a volume back to a recovery point: a node says which bytes to write, the
 * tap writes them as it writes what a client sends, so that they get seqs, are captured and
 * journaled, and the rollback can itself be rolled back.
 *
 * <pre>
 *   node -&gt; tap   BEGIN  shut the volume to clients; everything journaled: the safety point
 *                 WRITE  bytes        ZERO  a range       (many, a bounded number open at once)
 *                 SYNC   durable, everything journaled
 *                 END    let clients in again
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>R1 Every change takes the write path of the export: lock, mark, backing store, seq,
 *       capture.
 *   <li>R2 From BEGIN to END no client is let in. One that was connected, which only force allows,
 *       is answered with errors from then on and for good: it has to connect again, since what it
 *       remembers of the volume may be wrong.
 *   <li>R3 Nothing shuts the volume for longer than {@link
 *       io.tidemark.taprollback.RollbackOrders#LEASE} after the node's last word, not even across a
 *       restart of the tap, and nothing does once a new epoch begins. A node that gives up while
 *       the tap is away ends it as soon as the tap is back.
 *   <li>R4 Memory is bounded by {@link io.tidemark.taprollback.WriteBuffers}, and a rollback goes
 *       no faster than the journal takes it: it never makes capture collapse.
 * </ol>
 */
package io.tidemark.taprollback;
