package io.tidemark.plan;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.plan.PlanRun.Outcome;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;
import java.util.Optional;

/** What has happened to a plan. */
public sealed interface PlanEvent extends TidemarkMessage {
  @JsonTypeName("plan-created")
  record PlanCreated(PlanSpec spec, long timeMicros) implements PlanEvent {}

  @JsonTypeName("plan-run-began")
  record RunBegan(PlanRun run) implements PlanEvent {}

  /** The task under way is done (P1). */
  @JsonTypeName("plan-task-done")
  record TaskDone(int task, Outcome outcome, long timeMicros) implements PlanEvent {}

  /** The task under way cannot be done; an order is waited for. */
  @JsonTypeName("plan-run-failed")
  record RunFailed(int task, ErrorCode code, String reason, long timeMicros) implements PlanEvent {}

  /** The task at which the run failed is tried again. */
  @JsonTypeName("plan-run-resumed")
  record RunResumed(long timeMicros) implements PlanEvent {}

  /** All tasks are done. */
  @JsonTypeName("plan-run-ended")
  record RunEnded(long timeMicros) implements PlanEvent {}

  /** The other site told what it is at. */
  @JsonTypeName("plan-run-noted")
  record RunNoted(PlanNote note) implements PlanEvent {}

  /** Failover happens without an order from now on, or not any more. */
  @JsonTypeName("plan-automatic-set")
  record AutomaticSet(Optional<PlanSpec.Automatic> automatic, long timeMicros)
      implements PlanEvent {}

  /** A volume that was promoted without its source's knowledge: the source is fenced now (P4). */
  @JsonTypeName("plan-source-fenced")
  record SourceFenced(VolumeName volume, long headSeq, long timeMicros) implements PlanEvent {}
}
