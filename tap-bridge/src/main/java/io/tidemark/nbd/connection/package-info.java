/**
 * One client in the transmission phase.
 *
 * <p>A reading thread takes whatever the socket holds into a slab, carries out the requests in it
 * one after the other where that is quickest (the page cache answers in a microsecond) and writes
 * their replies together. What may take long goes to the workers, and what an export completes on
 * another thread is written by the client's writing thread, which exists only once it is needed.
 *
 * <pre>
 *   socket -> Intake -> Connection -> NbdExport ... PendingRequest.succeed -> Outbox -> socket
 *                           |             ^
 *                           +-- workers --+   FLUSH, FUA, and whatever proved slow (Pace);
 *                                             writes by the few (WriteLane)
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>N1 A request in flight is counted, with its bytes, until its reply is written; past the
 *       limits the reading thread stops reading, so that memory is bounded whatever a client does.
 *   <li>N2 Every request gets exactly one final reply, in any order.
 *   <li>N3 No thread but the client's own two ever waits for the client.
 *   <li>N4 A client that breaks the protocol is dropped and logged once; no other client notices.
 *   <li>N5 Threads that carry out requests are never interrupted: an interrupt would close the
 *       backing store's channel under everybody.
 * </ol>
 */
package io.tidemark.nbd.connection;
