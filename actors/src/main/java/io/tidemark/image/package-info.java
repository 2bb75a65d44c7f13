/**
 * Images: recovery points presented as disks, read-only or writable (copy on write).
 *
 * <pre>
 *   who            message                                            then
 *   asked node     ImageDirectory.TakeName                            the name is ours
 *   asked node     ImageEntity.Open              Absent  -> Opening   read the point, create overlay
 *   asked node     ImageEntity.ConfirmServing    Opening -> Serving   answer the client
 *   any node       ImageEntity.Close             Serving -> Closing   its node: drop export, overlay
 *   its node       ImageEntity.ConfirmClosed     Closing -> Absent
 *   its node       ImageDirectory.FreeName
 *   its node, at start, for each of its names: Serving is served again; Opening and Closing are
 *   closed; Absent is freed
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>I1 An image shows one recovery point of one incarnation of a volume for all its life.
 *   <li>I2 Each step is persisted before the next is taken; a crash in between is finished or
 *       undone when the image's node starts again.
 *   <li>I3 A name is in the directory from before its entity opens until after it is gone.
 *   <li>I4 An image that was answered as {@code Serving} is served again by its node, with what
 *       clients flushed to it, until somebody closes it.
 *   <li>I5 Whoever reads a point for longer than one question holds it first, by a lease that is
 *       renewed while it reads and lapses when its process has died (J8).
 * </ol>
 */
package io.tidemark.image;
