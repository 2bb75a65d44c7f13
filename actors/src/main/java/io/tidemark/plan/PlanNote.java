package io.tidemark.plan;

import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.Optional;

/**
 * What one site's entity tells the other's of a run.
 *
 * @param generation the run's
 * @param site that carries it out
 * @param state the plan's there
 * @param forks where promoted volumes parted from their sources; none before the run has ended
 */
public record PlanNote(long generation, String site, String state, List<Fork> forks) {

  /**
   * The newest write that a volume's two lines of history have in common.
   *
   * @param micros its time
   */
  public record Fork(VolumeName volume, long seq, long micros) {}

  public PlanNote {
    forks = forks == null ? List.of() : List.copyOf(forks); // Notes of version 1 have none.
  }

  /** Of a run that has promoted nothing yet. */
  public PlanNote(long generation, String site, String state) {
    this(generation, site, state, List.of());
  }

  Optional<Fork> fork(VolumeName volume) {
    return forks.stream().filter(fork -> fork.volume().equals(volume)).findFirst();
  }
}
