/**
 * Images on this node: the exports of the image NBD server, their overlays on disk, and the site's
 * images as any node's administrator sees them.
 *
 * <p>Reads of an image go from the request through the point's index, cache and chunks without a
 * thread that waits; the bytes of requests under way are bounded for the node, so that readers of
 * images never take what the protected volumes' writes need (J9).
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>G1 A read answers the bytes of the point with the clients' own changes over it, or EIO; a
 *       chunk that fails its checksum is never served, and is counted and logged.
 *   <li>G2 An overlay is deleted only after its image was asked to close; stopping the node keeps
 *       it.
 *   <li>G3 An image is dropped only when no request of it is under way.
 * </ol>
 */
package io.tidemark.imageserver;
