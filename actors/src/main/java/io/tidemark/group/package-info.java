/**
 * A group: volumes on any hosts whose tags are consistent with each other; one event-sourced entity
 * each, and a directory of their names.
 *
 * <pre>
 *   Absent --GroupCreated--&gt; Open &lt;--TaggingBegan / TaggingEnded--&gt; Tagging
 *                             |
 *                        GroupClosing, then its tags are removed, then GroupDeleted --&gt; Absent
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>U1 Of a group at most one tag is being taken at a time; the next may begin once no volume
 *       is held for the last one, while that is still being journaled.
 *   <li>U2 A tag is noted here before its entity is asked to begin, and until it has settled; so a
 *       group that starts again, and is woken at the latest by the directory, resumes each.
 *   <li>U3 The state's size is bounded: members, schedules, tags under way and locked tags have
 *       limits; all other tags are in the catalog and in their own entities.
 *   <li>U4 A name is in the directory before there is a group and until its last tag is gone, so
 *       nothing is ever left behind unseen.
 *   <li>U5 A tag's lock is noted here with its marks after the tag has it and until after it has
 *       lost it: what retention must keep is at most what is noted here.
 * </ol>
 */
package io.tidemark.group;
