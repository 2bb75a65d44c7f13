package io.tidemark.sizing;

import io.tidemark.job.JobSummary;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** Tells how much journal how much history takes. */
public interface Sizing {
  int WINDOWS_MAX = 64;

  /** Ten years. */
  long SECONDS_MAX = 3_650L * 86_400;

  long MICROS = 1_000_000;

  /**
   * Replays a volume's recorded writes.
   *
   * @param windowsSeconds windows that are asked for, 1 to {@link #WINDOWS_MAX}
   * @param capBytes also tells the history that so much journal holds; 0 to leave that out
   * @return the running job, whose result has {@code window-SECONDS-typicalBytes}, {@code
   *     -peakBytes} and {@code -extrapolated} for each window and {@code cap-BYTES-seconds}; it
   *     ends {@code NOT_FOUND} without recorded writes. Fails with {@code NOT_FOUND}, {@code
   *     INVALID}
   */
  CompletionStage<JobSummary> size(VolumeName volume, List<Long> windowsSeconds, long capBytes);
}
