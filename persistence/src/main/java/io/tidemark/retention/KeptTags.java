package io.tidemark.retention;

import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Where a volume's retention learns of tags before it moves its horizon (J8). While it does not
 * answer, the horizon stays.
 */
@FunctionalInterface
public interface KeptTags {
  /** Knows of no tags but those that the volume was told of. */
  KeptTags NONE =
      (volume, id, known, fromMicros, toMicros) -> CompletableFuture.completedStage(known);

  /**
   * The tags of a volume that may have to outlive a horizon.
   *
   * @param id the incarnation that they belong to
   * @param known tags that the volume keeps already
   * @param fromMicros time of the horizon
   * @param toMicros time of the next horizon
   * @return those of {@code known} that still exist, as they are now, those of the times between,
   *     inclusive, and all locked ones; each name once, those that failed left out
   */
  CompletionStage<List<KeptTag>> of(
      VolumeName volume, VolumeId id, List<KeptTag> known, long fromMicros, long toMicros);
}
