package io.tidemark.http;

import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.site.Retention;
import io.tidemark.site.RetentionSummary;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;

/** Keeps policies in memory; every volume has one hold and one tag. */
final class FakeRetention implements Retention {
  private final Site site;
  private final Map<VolumeName, RetentionPolicy> policies = new ConcurrentHashMap<>();

  FakeRetention(Site site) {
    this.site = site;
  }

  @Override
  public CompletionStage<RetentionSummary> retention(VolumeName name) {
    return site.volume(name).thenApply(this::summary);
  }

  private RetentionSummary summary(VolumeSummary volume) {
    long head = volume.head().time().micros();
    return new RetentionSummary(
        volume.name(),
        policies.getOrDefault(volume.name(), RetentionPolicy.ALL),
        volume.head(),
        volume.horizon(),
        volume.rawBytes(),
        volume.storedBytes(),
        4096,
        512,
        1,
        2,
        List.of(new RetentionSummary.Hold("image:old", 7, false, head)),
        List.of(new KeptTag("nightly", 9, head, true)));
  }

  @Override
  public CompletionStage<VolumeSummary> setRetention(VolumeName name, RetentionPolicy policy) {
    Optional<Refusal> invalid = policy.refuse();
    if (invalid.isPresent()) {
      return CompletableFuture.failedStage(invalid.get());
    }
    policies.put(name, policy);
    return site.volume(name);
  }

  @Override
  public CompletionStage<Void> hold(
      VolumeName name, VolumeId id, String holder, WriteSeq seq, boolean onward, Duration lease) {
    return CompletableFuture.completedStage(null);
  }

  @Override
  public CompletionStage<Void> release(VolumeName name, String holder) {
    return CompletableFuture.completedStage(null);
  }

  @Override
  public CompletionStage<Void> keepTag(VolumeName name, VolumeId id, KeptTag tag) {
    return CompletableFuture.completedStage(null);
  }
}
