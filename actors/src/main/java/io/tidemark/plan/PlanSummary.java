package io.tidemark.plan;

import io.tidemark.refusal.ErrorCode;
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
 */
public record PlanSummary(
    PlanSpec spec,
    String site,
    long generation,
    String state,
    Optional<PlanRun> run,
    long commitUntilMicros,
    Optional<ErrorCode> code,
    String reason) {}
