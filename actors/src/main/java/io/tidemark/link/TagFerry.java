package io.tidemark.link;

import akka.actor.typed.ActorSystem;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.group.Groups;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.tag.TagSummary;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.ToLongFunction;

/**
 * Takes a group's tags to the other site once the positions that they name are there. A tag may be
 * committed later than one that was marked after it, so that the newest minutes are looked through
 * each time; what was taken is remembered, and taking it again does no harm. For one link.
 */
final class TagFerry {
  private static final long LOOK_BACK_MICROS = 5 * 60 * 1_000_000L;
  private static final int REMEMBERED_MAX = 4_096;

  private final ActorSystem<?> system;
  private final Groups groups;
  private final RemoteSites sites;
  private final Map<String, Long> taken = new LinkedHashMap<>();

  TagFerry(ActorSystem<?> system, Groups groups, RemoteSites sites) {
    this.system = system;
    this.groups = groups;
    this.sites = sites;
  }

  /**
   * Takes what is due.
   *
   * @param sinceMicros up to which time all were taken already
   * @param acked what the other site holds of a volume
   * @return up to which time all are taken by now
   */
  CompletionStage<Long> ferry(
      LinkSpec spec, long sinceMicros, long nowMicros, ToLongFunction<VolumeName> acked) {
    String group = spec.group().orElseThrow();
    long from = Math.max(0, sinceMicros - LOOK_BACK_MICROS);
    return groups
        .tags(group, new TagCatalog.Query(from, nowMicros, "", TagCatalog.LIMIT_MAX))
        .thenCompose(
            found -> {
              List<TagSummary> due =
                  found.tags().stream()
                      .filter(TagSummary::committed)
                      .filter(tag -> !taken.containsKey(key(tag)))
                      .filter(tag -> there(tag, acked))
                      .toList();
              return Source.from(due)
                  .mapAsync(1, tag -> take(spec, tag))
                  .runWith(Sink.seq(), system);
            })
        .thenApply(times -> times.stream().reduce(sinceMicros, Math::max));
  }

  private static boolean there(TagSummary tag, ToLongFunction<VolumeName> acked) {
    return tag.marks().stream().allMatch(mark -> acked.applyAsLong(mark.volume()) >= mark.seq());
  }

  private static String key(TagSummary tag) {
    return tag.spec().name() + "/" + tag.spec().requestedMicros();
  }

  private CompletionStage<Long> take(LinkSpec spec, TagSummary tag) {
    return sites
        .ask(spec.toSite(), new TagCommand.Adopt(tag))
        .thenApply(done -> tag.timeMicros())
        .exceptionallyCompose(failure -> passedOver(tag, failure))
        .thenApply(
            time -> {
              remember(tag);
              return time;
            });
  }

  /** A tag of the name that the other site took by itself stays its own. */
  private static CompletionStage<Long> passedOver(TagSummary tag, Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof Refusal refusal && refusal.code() == ErrorCode.ALREADY_EXISTS
        ? CompletableFuture.completedStage(tag.timeMicros())
        : CompletableFuture.failedStage(cause);
  }

  private synchronized void remember(TagSummary tag) {
    taken.put(key(tag), tag.timeMicros());
    if (taken.size() > REMEMBERED_MAX) {
      taken.remove(taken.keySet().iterator().next());
    }
  }
}
