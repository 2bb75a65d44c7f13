/**
 * A tag: a named point of a group, one event-sourced entity each. It has the taps of all volumes
 * withhold their replies for a moment, takes the newest seq of each as its mark, and is committed
 * once every mark is journaled.
 *
 * <pre>
 *   Absent --TagRequested--&gt; Requested --TagQuiescing--&gt; Quiescing   (application-consistent tags)
 *                               |                          |
 *                               +------- TagHolding -------+--&gt; Holding --TagMarked--&gt; Marked
 *                                                                                      |
 *   any of these --TagFailed--&gt; Failed           Committed &lt;------- TagCommitted ------+
 *   Committed, Failed --TagRemoved--&gt; Absent
 *
 *   step         asks                                       persisted before
 *   Requested    every volume for its tap's session
 *   Quiescing    QUIESCE once on each tap's host            TagQuiescing
 *   Holding      HOLD on every volume, then RELEASE         TagHolding
 *   Marked       THAW; every volume until its mark is       TagMarked
 *                journaled
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>G1 No RELEASE of a hold that is to count is sent before every volume has said that it
 *       holds; the marks are taken only if every tap attests that its hold was unbroken (J7, H3).
 *   <li>G2 A mark is worth nothing until every write up to it is journaled by the process that
 *       attested it: a tag is committed only when each volume's head, confirmed durable, has
 *       reached its mark, in the same incarnation, in sessions of the same tap ever since, and no
 *       gap began at or before the mark since its tap was asked to hold. Collapse, spilling and a
 *       tap's death after the mark was journaled do no harm.
 *   <li>G3 Whatever was asked for in a step is persisted before; so an entity that starts again
 *       knows what may be under way, releases and thaws all of it, and ends {@code Failed}; or, if
 *       all was attested, goes on to commit. It never holds again.
 *   <li>G4 Every step has a deadline. Holds end by themselves in the taps (H2), applications in
 *       their hooks: nothing depends on this entity to let go.
 *   <li>G5 A tag that was committed or failed is in the catalog before anybody is told.
 *   <li>G6 Locked tags are not removed.
 *   <li>G7 A tag is application-consistent only if every application asked for became consistent
 *       and its tap attests, at the thaw, that it stayed so until then. One that did not makes the
 *       tag fail, or crash-consistent if the application's policy is content with that.
 * </ol>
 *
 * <p>Nothing is persisted while volumes are held: a hold lasts as long as the slowest tap takes to
 * answer, plus one message.
 */
package io.tidemark.tag;
