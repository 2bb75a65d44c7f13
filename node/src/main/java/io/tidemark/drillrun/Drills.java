package io.tidemark.drillrun;

import io.tidemark.drill.DrillSpec;
import io.tidemark.drill.DrillState;
import java.util.concurrent.CompletionStage;

/** The drills of the site. */
public interface Drills {
  /** All drills and what they have proven. */
  CompletionStage<DrillState> all();

  /**
   * Creates a drill; repeating it with the same spec is safe.
   *
   * @return fails with {@code INVALID}, {@code ALREADY_EXISTS} or {@code LIMIT}, and with {@code
   *     NOT_FOUND} when there is no such volume
   */
  CompletionStage<DrillState.Drill> create(DrillSpec spec);

  /** Fails with {@code NOT_FOUND}. */
  CompletionStage<DrillState.Drill> get(String name);

  /** Forgets a drill and its results; a run that is under way ends unrecorded. */
  CompletionStage<Void> delete(String name);

  /**
   * Begins a run now, on this node.
   *
   * @return the drill as it runs; fails with {@code NOT_FOUND}, {@code BUSY} when it runs already
   *     or too many do on this node
   */
  CompletionStage<DrillState.Drill> run(String name);
}
