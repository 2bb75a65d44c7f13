/**
 * A private certificate authority in a directory, for those who have none: {@code tidemark certs}.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>CA1 A file that exists is never overwritten.
 *   <li>CA2 A private key is never readable by others, not even for the moment it is written.
 *   <li>CA3 What is issued names hosts, lasts no longer than its authority, and cannot issue.
 * </ol>
 */
package io.tidemark.certs;
