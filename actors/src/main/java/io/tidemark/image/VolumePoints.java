package io.tidemark.image;

import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Recovery points of the site's volumes by name. */
public interface VolumePoints {
  /** Of the name of who holds a point. */
  int HOLDER_CHARS_MAX = 200;

  /**
   * A point found in one incarnation of a volume.
   *
   * @param sizeBytes the volume's size
   */
  record Located(VolumeName name, VolumeId volume, long sizeBytes, RecoveryPoint point) {}

  /** Fails as {@code Site.history} and {@code Points.resolve} do. */
  CompletionStage<Located> locate(VolumeName volume, At at);

  /**
   * Opens a point that was located before, perhaps by an earlier process.
   *
   * @return fails with {@code NOT_FOUND} when that incarnation of the volume is gone, {@code
   *     BEYOND_HORIZON} when the point is
   */
  CompletionStage<PointReader> open(Located located);

  /**
   * Holds a point against retention until the lease ends; to be renewed by repeating it. A holder
   * has one point of a volume: holding another lets the first go.
   *
   * @param holder who, for instance {@code image:NAME}
   * @param onward whether all points from that one on are held
   * @return fails with {@code BEYOND_HORIZON} when the point is given up already, {@code LIMIT}
   *     when too many points of the volume are held
   */
  default CompletionStage<Void> hold(
      Located located, String holder, boolean onward, Duration lease) {
    return CompletableFuture.completedStage(null);
  }

  /** Ends what a holder holds; repeating is safe. */
  default CompletionStage<Void> release(VolumeName volume, String holder) {
    return CompletableFuture.completedStage(null);
  }
}
