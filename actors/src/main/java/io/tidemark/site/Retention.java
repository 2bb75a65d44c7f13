package io.tidemark.site;

import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import java.time.Duration;
import java.util.concurrent.CompletionStage;

/**
 * How much history the site's volumes keep, and what holds points beyond that (J8). Stages fail as
 * those of {@link Site} do.
 */
public interface Retention {
  /** What the volume keeps, and for whom. */
  CompletionStage<RetentionSummary> retention(VolumeName name);

  /** Fails with {@code INVALID} for a policy that cannot be; repeating is safe. */
  CompletionStage<VolumeSummary> setRetention(VolumeName name, RetentionPolicy policy);

  /**
   * Holds a point, or all points from it on, until the lease ends; to be renewed by repeating it.
   *
   * @param id the incarnation that the point belongs to
   * @param holder who, for instance {@code image:NAME} or {@code link:NAME}; one point a holder
   * @return fails with {@code BEYOND_HORIZON} or {@code BEYOND_HEAD} when there is no such point,
   *     {@code LIMIT} when too many are held
   */
  CompletionStage<Void> hold(
      VolumeName name, VolumeId id, String holder, WriteSeq seq, boolean onward, Duration lease);

  /** Ends what a holder holds; repeating is safe. */
  CompletionStage<Void> release(VolumeName name, String holder);

  /**
   * Tells a volume that a tag of it was locked, whose point it keeps from then on, or unlocked.
   *
   * @param id the incarnation that the tag belongs to
   * @return fails with {@code BEYOND_HORIZON} when the point of a locked tag is gone, {@code LIMIT}
   *     when too many tags are kept
   */
  CompletionStage<Void> keepTag(VolumeName name, VolumeId id, KeptTag tag);
}
