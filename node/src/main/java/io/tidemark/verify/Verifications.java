package io.tidemark.verify;

import io.tidemark.job.JobSummary;
import io.tidemark.position.VolumeName;
import java.util.concurrent.CompletionStage;

/** Checks a volume's journal against everything that can be checked about it. */
public interface Verifications {
  /**
   * Starts a verification: every stored chunk against its checksum, the extent index against the
   * journal, and the newest content against the backing store where that can be asked for.
   *
   * @return the running job, which ends DONE when all is well and FAILED with {@code CORRUPT} and
   *     the findings when not; fails with {@code NOT_FOUND}, or {@code BUSY} when one runs already
   */
  CompletionStage<JobSummary> verify(VolumeName volume);
}
