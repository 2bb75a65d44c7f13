/**
 * The NBD server: what it offers ({@link io.tidemark.nbd.NbdExport}), where it listens, and its
 * limits. The bytes of the protocol are in {@code protocol}, a client's transmission phase in
 * {@code connection}, its buffers in {@code slab}.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>E1 A request reaches an export only if the export's {@link io.tidemark.nbd.NbdExportInfo}
 *       allows it: known command, inside the export, aligned, no change to a read-only one, not
 *       empty.
 *   <li>E2 An export promises that a FLUSH on one connection covers the writes replied to on all of
 *       them (CAN_MULTI_CONN is always announced).
 *   <li>E3 Closing the server ends every client within two times {@code closeMillis}, and loses no
 *       reply to a request that the export completed in the first of them and that the client
 *       reads.
 * </ol>
 */
package io.tidemark.nbd;
