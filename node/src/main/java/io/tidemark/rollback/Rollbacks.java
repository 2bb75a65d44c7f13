package io.tidemark.rollback;

import io.tidemark.job.JobSummary;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import java.util.concurrent.CompletionStage;

/** Takes volumes back to recovery points, in place. */
public interface Rollbacks {
  /**
   * A rollback that has begun.
   *
   * @param at what the volume will hold
   * @param safety what it held when clients were shut out: rolling back to this undoes it
   */
  record Started(JobSummary job, RecoveryPoint at, RecoveryPoint safety) {}

  /**
   * Begins to take a volume back.
   *
   * @param force although clients are connected to the tap: all their requests fail from then on
   * @return fails with {@code BUSY} when clients are connected and {@code force} is not set, when a
   *     rollback of the volume is under way, or when the tap's link is to another node; with {@code
   *     NOT_ACKNOWLEDGED} when no tap is attached or it does not answer, and as {@code
   *     VolumePoints.locate} does
   */
  CompletionStage<Started> rollback(VolumeName volume, At at, boolean force);
}
