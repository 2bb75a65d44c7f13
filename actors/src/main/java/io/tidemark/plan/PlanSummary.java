package io.tidemark.plan;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.witness.LeaseReport;
import java.util.Optional;

/**
 * What is known of a plan now.
 *
 * @param site whose knowledge it is
 * @param state {@code Ready}, {@code Testing}, {@code Tested}, {@code FailingOver}, {@code
 *     FailedOver}, {@code Committing}, {@code Committed}, {@code RollingBack}, {@code FailingBack},
 *     {@code CleaningUp} or {@code Failed}
 * @param run the run that it is at, or the last one
 * @param commitUntilMicros until when a failover waits for its commit, 0 for ever or not at all
 * @param code why it failed
 * @param reason the same in a sentence, or why the task under way has to wait; empty otherwise
 * @param lease of automatic failover, as that site sees it
 */
public record PlanSummary(
    PlanSpec spec,
    String site,
    long generation,
    String state,
    Optional<PlanRun> run,
    long commitUntilMicros,
    Optional<ErrorCode> code,
    String reason,
    Optional<LeaseReport> lease) {
  public PlanSummary {
    lease = lease == null ? Optional.empty() : lease;
  }

  public PlanSummary(
      PlanSpec spec,
      String site,
      long generation,
      String state,
      Optional<PlanRun> run,
      long commitUntilMicros,
      Optional<ErrorCode> code,
      String reason) {
    this(spec, site, generation, state, run, commitUntilMicros, code, reason, Optional.empty());
  }
}
