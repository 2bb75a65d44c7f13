/**
 * Automatic failover: who of a plan's two sites may write, decided by votes that are leases. Off
 * unless a plan asks for it (docs/adr/0016).
 *
 * <pre>
 *   source: LeaseKeeper --mark--&gt; taps          target: Successor, when the source is silent
 *               |  --AskVote--&gt; PlanArbiter of the witness  &lt;--Claim--  |
 *               |  --AskVote--&gt; PlanArbiter of the target   &lt;--Claim--  |
 *               '--grant--&gt; taps                both votes: the plan's run begins
 *
 *   arbiter:  Unarmed --armed--&gt; Armed(source) --claimed--&gt; Armed(target) --yielded--&gt; Armed(source)
 *             any --retired--&gt; Unarmed
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>W1 A tap acknowledges a write only while it knows of a lease, by its own clock: from a mark
 *       before any arbiter was asked, for the promise's time less what clocks may differ.
 *   <li>W2 An arbiter promises from when it answers; a new one takes it that its predecessor
 *       promised when it started. One that was superseded promises nothing.
 *   <li>W3 The vote goes to the target only when no promise is left and the source was silent for
 *       as long as the plan says.
 *   <li>W4 Nobody claims before the source has said that all taps of its volumes obey the lease of
 *       the same configuration.
 *   <li>W5 The target takes over only with the votes of target and witness, which it gives back
 *       only when the plan says that its volumes are no primaries there.
 * </ol>
 */
package io.tidemark.witness;
