/**
 * The tap link: the framed, checksummed, credit-controlled protocol between a tap and a node over
 * TCP or TLS, and both of its ends. docs/tap-protocol.md describes it byte by byte.
 *
 * <pre>
 *   tap  -&gt; node  HELLO SEGMENT GAP SYNC_DONE HASHES_REQUEST STATUS CONTENT_HASHES ORDER_DONE
 *                PING PONG BYE
 *   node -&gt; tap   WELCOME ACK HASHES REFUSED CONTENT_HASHES_REQUEST ORDER PING PONG BYE
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>L1 Every byte is covered by a checksum: header by its own, the checked part by the frame's,
 *       a segment's data by those of its chunks, which the journal verifies.
 *   <li>L2 Nothing is allocated or kept for a body before its header has passed its limits.
 *   <li>L3 SEGMENT, GAP and SYNC_DONE reach the journal in the order sent; an ACK says how many of
 *       this connection's are journaled, and is sent only then.
 *   <li>L4 The tap begins no such frame while as many bytes as the window are unacknowledged; the
 *       node ends a connection that does.
 *   <li>L5 A failure of one connection ends that one alone.
 *   <li>L6 What was journaled already is recognised by its seq and acknowledged again.
 *   <li>L7 Only the answer to a HELLO fences a tap: a session that ends because a newer one
 *       replaced it says nothing of the epoch.
 * </ol>
 */
package io.tidemark.taplink;
