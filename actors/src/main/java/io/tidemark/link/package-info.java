/**
 * Links: the asynchronous replication of a volume, or of a group's volumes, to another site. One
 * event-sourced entity a link, which keeps one stream a volume ({@link io.tidemark.replication})
 * running for as long as it is to.
 *
 * <pre>
 *   (none) --LinkCreated--&gt; Active --LinkPaused--&gt; Paused --LinkResumed--&gt; Active
 *   any --LinkDeleted--&gt; Deleted
 *
 *   a lane, one a volume:  Created -&gt; Synchronising -&gt; Streaming, all for as long as the line breaks
 *                          and is opened again; Broken(reason) when only an order can help:
 *                          another epoch, a name that is taken, a replica that went on by itself
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>K1 A lane's stored position is one that the target has acknowledged: J4 holds for it there.
 *   <li>K2 At most one stream a lane runs, and what an earlier one tells is not believed.
 *   <li>K3 A line is opened again after every failure, later and later, unless the failure will
 *       last: then the lane is broken, and says why.
 *   <li>K4 A figure has the time at which it was true; when that is long ago, it says that it is
 *       stale.
 *   <li>K5 A link runs again on another node when its own is lost: its directory wakes it.
 * </ol>
 */
package io.tidemark.link;
