package io.tidemark.site;

import io.tidemark.fence.WriterFence;
import io.tidemark.position.VolumeName;
import io.tidemark.volume.RestingVolumes;
import io.tidemark.volume.VolumeEntity;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Answers for volumes that have left memory, without waking them (V9). */
final class RestingSummaries {
  private final RestingVolumes resting;
  private final WriterFence fence;

  RestingSummaries(RestingVolumes resting, WriterFence fence) {
    this.resting = resting;
    this.fence = fence;
  }

  /**
   * What a volume is that sleeps: one read of its claim. Empty when it is awake, when this node has
   * not heard of its sleep, or when its claim cannot be read: then it is to be asked.
   */
  CompletionStage<Optional<VolumeSummary>> find(VolumeName name) {
    Optional<RestingVolumes.Resting> found = resting.find(name);
    if (found.isEmpty()) {
      return CompletableFuture.completedStage(Optional.empty());
    }
    return fence
        .holds(VolumeEntity.persistenceIdOf(name), found.get().term())
        .handle(
            (holds, failure) ->
                failure == null && holds ? Optional.of(found.get().summary()) : Optional.empty());
  }
}
