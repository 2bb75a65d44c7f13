package io.tidemark.plan;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * The plans that this site is one of the two sites of, the same from every node. Stages fail with
 * {@code Refusal}; one that had no answer in time fails with {@code NOT_ACKNOWLEDGED}.
 */
public interface Plans {
  /**
   * Makes a plan known to both of its sites; steps that name a group and no volumes get those of
   * the group here. {@code INVALID} or {@code LIMIT} for what cannot be, {@code NOT_FOUND} for a
   * group that is not, {@code ALREADY_EXISTS} when there is another one of the name. Safe to
   * repeat.
   */
  CompletionStage<PlanSummary> create(PlanSpec spec);

  /**
   * Turns automatic failover on, or off with an empty option, at both sites; the witness has to
   * answer. {@code INVALID} for what cannot be, {@code NOT_FOUND} for a plan or a site that is not,
   * {@code BUSY} while the plan is not {@code Ready}. Safe to repeat.
   *
   * @param overridden turned off although the target does not answer or has taken over
   */
  CompletionStage<PlanSummary> automatic(
      String name, Optional<PlanSpec.Automatic> automatic, boolean overridden);

  /** In name order, as this site knows them. */
  CompletionStage<List<PlanSummary>> list();

  /** As the site knows it that carries its run out; as this site does when that one is gone. */
  CompletionStage<PlanSummary> get(String name);

  /** What a forced failover to the plan's other site would lose now, volume by volume. */
  CompletionStage<List<PlanExposure>> exposure(String name);

  /**
   * Has a planned or forced failover or a test begin, wherever it is carried out.
   *
   * @return the plan once it has begun; fails with {@code BUSY} when another run is under way, and
   *     as the guard rails say
   */
  CompletionStage<PlanSummary> failover(String name, RunOrder order);

  /** The old source is to follow; fails with {@code BUSY} when nothing has failed over. */
  CompletionStage<PlanSummary> commit(String name);

  /** Volumes go on where they were, or a test is cleaned up; {@code BUSY} as above. */
  CompletionStage<PlanSummary> rollback(String name);

  /** Volumes go back to the source; {@code BUSY} when no failover is committed. */
  CompletionStage<PlanSummary> failback(String name);
}
