package io.tidemark.plan;

/**
 * What one site's entity tells the other's of a run.
 *
 * @param generation the run's
 * @param site that carries it out
 * @param state the plan's there
 */
public record PlanNote(long generation, String site, String state) {}
