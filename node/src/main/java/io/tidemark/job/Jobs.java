package io.tidemark.job;

import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.Optional;

/** Long work of this node: what runs, and the newest of what has ended. Never blocks. */
public interface Jobs {
  /** The newest first. */
  List<JobSummary> list();

  /** Empty when there is none of that id, or when it ended so long ago that it was forgotten. */
  Optional<JobSummary> get(String id);

  /**
   * Asks a running job to stop; what it has made so far is removed. Repeating is safe, and so is
   * cancelling one that has ended.
   *
   * @throws Refusal {@code NOT_FOUND}
   */
  JobSummary cancel(String id);
}
