/**
 * The volume entity: the sole writer of a protected volume's journal, event-sourced and sharded.
 *
 * <pre>
 *            VolumeCreated            GapRecorded                 SyncCompleted
 *   (none) ----------------> Created ------------> Synchronizing ---------------+
 *                               |                                               v
 *                               +------- SegmentJournaled ----------------> Protected
 *                                                                         |         ^
 *                                                             GapRecorded |         | SyncCompleted
 *                                                                         v         |
 *                                                                          Resyncing
 *   any ---- VolumeDeleted ----> Deleted ---- VolumeCreated ----> Created
 *
 *   role:    Primary --VolumeFenced--&gt; Fenced --VolumePromoted--&gt; Primary
 *            any --ReplicaMade--&gt; Replica --VolumePromoted--&gt; Primary, in the next epoch
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>V1 The seqs of journaled segments and gaps tile {@code [1, head]} without overlap; times
 *       never go back.
 *   <li>V2 Only the newest session, of the current incarnation and epoch, appends (J6).
 *   <li>V3 A reply of {@code Journaled} comes after the persist of everything up to its seq (J4).
 *   <li>V4 A seq with no recovery point is in a dark interval or before the horizon (J5); closed
 *       intervals are disjoint and in order.
 *   <li>V5 The frontier and the tail cover every journaled segment exactly once (X4); a node is in
 *       an event only once it is stored (X3).
 *   <li>V6 The state's size is bounded whatever the history: index nodes are logarithmic in it,
 *       dark intervals, orphans and the tail have limits.
 *   <li>V7 {@code eventNr} equals the persistence sequence number of the newest event.
 *   <li>V8 What a session stored and never journaled is deleted after its end; what an incarnation
 *       stored is deleted after its deletion; a crash in between only delays it.
 *   <li>V9 A volume leaves memory between two commands, never while an event is being written; one
 *       without a tap leaves its summary with the nodes, together with its term.
 *   <li>V10 A primary is written by taps, a replica by its one link, a fenced volume by nobody;
 *       what a demotion takes back from the history stays readable as a branch.
 *   <li>V11 A tap that takes its backing store for the truth is let in to a promoted volume only
 *       when nobody else wrote the history since it did: an old store never becomes new writes.
 * </ol>
 */
package io.tidemark.volume;
