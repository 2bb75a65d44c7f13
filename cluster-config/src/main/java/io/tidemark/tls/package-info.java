/**
 * The certificate by which a node or a tap is known, and whom it trusts in turn: PEM files of one
 * private authority for all of a deployment.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>TLS1 A private key that others on the machine may read is refused.
 *   <li>TLS2 Trust is mutual: what is made here trusts the authority of the file and nobody else.
 *   <li>TLS3 A certificate that is refused is told of in words, with what to do: in the log, and
 *       for the status.
 * </ol>
 */
package io.tidemark.tls;
