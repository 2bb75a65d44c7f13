/**
 * Recovery plans: ordered recipes by which the volumes of one site go on at another, and come back.
 * A plan is known at both of its sites; each run of it is carried out by one entity, at the site
 * that the volumes are to go on at.
 *
 * <pre>
 *   Ready --RunBegan(test)--&gt; Active(Testing) --RunEnded--&gt; Tested --RunBegan(cleanup)--&gt; Ready
 *   Ready --RunBegan(planned, forced)--&gt; Active(FailingOver) --RunEnded--&gt; FailedOver
 *   FailedOver --RunBegan(commit)--&gt; Active(Committing) --RunEnded--&gt; Committed
 *   FailedOver, Failed --RunBegan(rollback)--&gt; Active(RollingBack) --RunEnded--&gt; Ready
 *   Active --RunFailed--&gt; Failed --RunResumed--&gt; Active
 *   the other site:  any but Active --RunNoted--&gt; Elsewhere, which is what that site's run is at
 *   Elsewhere(Committed) --RunBegan(failback)--&gt; Active(FailingBack) --RunEnded--&gt; Ready
 *
 *   a run of a planned failover, tasks in order:
 *     NOTE  the other site's entity takes it that this one runs; it refuses when it runs itself
 *     PRE   hooks, the last step's first
 *     SHUT  taps let no client in any more, and have journaled all
 *     TAG   a group's final point
 *     DRAIN the target holds all of it
 *     FENCE the source is written by nobody from here on; this is its last write
 *     PROMOTE  the target begins the next epoch, at exactly that write
 *     POST, CHECK  hooks, the first step's first
 *     TELL  the other site's entity takes the outcome
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>P1 A run's tasks are stored when it begins, and each one's outcome before the next begins;
 *       after a crash the task that was under way is done again, and every task may be.
 *   <li>P2 One run of a plan at a time: at the site that carries it out by its entity, between
 *       sites by the volumes' epochs. A promotion names the epoch that it ends, and succeeds once.
 *   <li>P3 A planned promotion comes after the fence, and at the fenced source's last write: it
 *       loses nothing, or it does not happen.
 *   <li>P4 What a forced failover loses is told before it is ordered as far as it is known, and
 *       counted from the source's own journal once that is fenced; it stays there as a branch.
 *   <li>P5 Nothing that was decided against by a guard rail happens without the override that names
 *       its code.
 *   <li>P6 A hook may be run more than once; its time is limited.
 *   <li>P7 A rolled back volume goes on in an epoch that is above both sites' epochs, so that
 *       nobody else ever wrote in it.
 *   <li>P8 A failover that nobody ordered begins only at a target that has its own site's vote and
 *       the witness', and with all guard rails on; see {@link io.tidemark.witness}.
 *   <li>P9 Of a plan's two sites the one whose name comes first begins odd epochs, the other one
 *       even epochs: whatever each of them knows of the other, no epoch has two primaries.
 * </ol>
 */
package io.tidemark.plan;
