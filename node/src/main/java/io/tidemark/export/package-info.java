/**
 * Export of recovery points to files as jobs: raw, qcow2, VMDK and VHDX, written without any tool
 * of theirs.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>E1 A file has its name only when it is complete and synced; an existing one is never
 *       replaced.
 *   <li>E2 Whatever an export leaves when it fails, is cancelled or is killed with its node is
 *       removed, at the latest at the node's next start.
 *   <li>E3 The content of the file is the content of the point, byte for byte; what was never
 *       written takes no space.
 * </ol>
 */
package io.tidemark.export;
