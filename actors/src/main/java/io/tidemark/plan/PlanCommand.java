package io.tidemark.plan;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.position.VolumeName;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/** What one site asks of another for a plan; everything may be repeated. */
public sealed interface PlanCommand extends SiteCommand<PlanCommand.Answer> {

  /**
   * The answer to any of them.
   *
   * @param plan as it is after the command, of commands about a plan
   * @param lanes of {@link FindLanes}
   * @param seq of {@link ShutTap}: the newest seq that is known to be journaled
   * @param succeeded of {@link RunHook}: whether the program ended with 0
   * @param words for people
   */
  @JsonTypeName("plan-answer")
  record Answer(
      Optional<PlanSummary> plan, List<Lane> lanes, long seq, boolean succeeded, String words)
      implements SiteAnswer {
    static Answer of(PlanSummary plan) {
      return new Answer(Optional.of(plan), List.of(), 0, true, "");
    }

    static Answer of(String words) {
      return new Answer(Optional.empty(), List.of(), 0, true, words);
    }
  }

  /**
   * How a volume is replicated to a site.
   *
   * @param link the link's name
   * @param id that the replica lets in
   * @param streaming whether the target was ever synchronised and no order is needed
   * @param fault why the lane does not run
   */
  record Lane(
      VolumeName volume,
      String link,
      UUID id,
      String origin,
      boolean streaming,
      long ackedSeq,
      long lagBytes,
      double lagSeconds,
      boolean stale,
      Optional<String> fault) {}

  /** Makes the plan known. Refuses as {@link RecoveryPlan.CreatePlan}. */
  @JsonTypeName("plan-adopt")
  record Adopt(PlanSpec spec) implements PlanCommand {}

  /** Replies the plan; {@code NOT_FOUND}. */
  @JsonTypeName("plan-show")
  record Show(String name) implements PlanCommand {}

  /** Has the plan's entity there begin a run. Refuses as {@link RecoveryPlan.BeginRun}. */
  @JsonTypeName("plan-order")
  record Order(String name, RunOrder order) implements PlanCommand {}

  /** Turns automatic failover on or off there. Refuses as {@link RecoveryPlan.SetAutomatic}. */
  @JsonTypeName("plan-set-automatic")
  record SetAutomatic(String name, Optional<PlanSpec.Automatic> automatic, boolean overridden)
      implements PlanCommand {}

  /** Tells of a run. Refuses as {@link RecoveryPlan.NoteRun}. */
  @JsonTypeName("plan-note")
  record Note(String name, PlanNote note) implements PlanCommand {}

  /**
   * How that site's volumes are replicated to {@code toSite}; those without a link are left out.
   */
  @JsonTypeName("plan-find-lanes")
  record FindLanes(List<VolumeName> volumes, String toSite) implements PlanCommand {}

  /** Has links run that are broken or paused. */
  @JsonTypeName("plan-resume-links")
  record ResumeLinks(List<String> links) implements PlanCommand {}

  /**
   * Has a volume's tap let no client in, and journal all that it has; or lets clients in again.
   * Refuses as {@code Site.order}.
   *
   * @param run by which the tap knows who shut it
   */
  @JsonTypeName("plan-shut-tap")
  record ShutTap(VolumeName volume, long run, boolean open, int limitSeconds)
      implements PlanCommand {}

  /** Takes a crash-consistent tag of a group. */
  @JsonTypeName("plan-take-tag")
  record TakeTag(String group, String tag) implements PlanCommand {}

  /** Runs a program of a node of that site; its failure is in the answer, no refusal. */
  @JsonTypeName("plan-run-hook")
  record RunHook(Hook hook, Map<String, String> environment) implements PlanCommand {}
}
