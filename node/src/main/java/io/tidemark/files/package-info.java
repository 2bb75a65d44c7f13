/**
 * Files of any recovery point: directories, contents, and the versions of one path across points.
 *
 * <p>Whoever asks gets a <em>view</em> of the disk: a temporary image of the point under an overlay
 * of its own, read by tools in a {@link io.tidemark.sandbox.Sandbox}, one for each file system on
 * it. The overlay takes what replaying a journal writes. A view is kept for a minute after its last
 * use, for whoever browses on.
 *
 * <pre>
 *   request ---> view (point, seq) ---> sandbox of the disk: partitions
 *                    |                  sandbox of a partition: journal replay, directories
 *                    +--- content: extents, read from the image inside the node;
 *                                  without extents, a tool's output
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>V1 A view changes nothing but its own overlay, and is gone with its last use, with the
 *       node's end, and after a crash of the node with its next start.
 *   <li>V2 A view's disk is one recovery point; that of a writable image is the image's content
 *       while nobody is connected to it, and another view once it was changed.
 *   <li>V3 Contents flow only as fast as their reader takes them; a reader that stops for {@code
 *       STALL_LIMIT} or goes away ends its tools.
 *   <li>V4 Views, their partitions, requests at work and waiting, contents and histories under way,
 *       the memory of extents and what tools write have named limits, past which requests are
 *       refused with {@code LIMIT}.
 *   <li>V5 A content that cannot be read to its end fails; it is never cut short unnoticed.
 * </ol>
 */
package io.tidemark.files;
