/**
 * The NBD protocol as bytes: numbers of the specification, and the handshake from greeting to the
 * transmission phase.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>P1 Nothing is allocated for a length from the wire before it was checked against its limit.
 *   <li>P2 Every option is answered once; what is not understood is skipped and answered UNSUP.
 *   <li>P3 The handshake reads exactly the bytes it parses, so that not a byte sent before STARTTLS
 *       is taken for one sent after it.
 * </ol>
 */
package io.tidemark.nbd.protocol;
