package io.tidemark.site;

import io.tidemark.catalog.TagCatalog;
import io.tidemark.group.Groups;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.KeptTags;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSummary;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/** Tells volumes' retention which tags of the site's groups name points of theirs (J8). */
final class GroupTags implements KeptTags {
  /** Tags read at once. */
  private static final int PAGE = 1_000;

  /** More than can be taken between two horizons, unless a window is cut short by months. */
  private static final int PAGES_MAX = 200;

  private volatile Groups groups;

  /** From now on it can be asked. */
  void ask(Groups all) {
    groups = all;
  }

  @Override
  public CompletionStage<List<KeptTag>> of(
      VolumeName volume, VolumeId id, List<KeptTag> known, long fromMicros, long toMicros) {
    if (groups == null) {
      return CompletableFuture.failedStage(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the site's groups are not there yet"));
    }
    Found found = new Found(volume, id);
    return between(found, fromMicros, toMicros, 1)
        .thenCompose(done -> still(found, known, 0))
        .thenCompose(done -> groups.lockedMarks(volume))
        .thenApply(found::withLocked);
  }

  /** What is found, by name. */
  private static final class Found {
    private final VolumeName volume;
    private final VolumeId id;
    private final Map<String, KeptTag> tags = new LinkedHashMap<>();

    Found(VolumeName volume, VolumeId id) {
      this.volume = volume;
      this.id = id;
    }

    void add(TagSummary tag) {
      tag.markOf(volume)
          .filter(mark -> mark.id().equals(id))
          .map(mark -> tag.kept(mark, tag.locked()))
          .ifPresent(kept -> tags.put(kept.name(), kept));
    }

    /** A locked tag that was not found by its time has its point for a name. */
    List<KeptTag> withLocked(List<TagMark> marks) {
      List<KeptTag> all = new ArrayList<>(tags.values());
      for (TagMark mark : marks) {
        boolean there = all.stream().anyMatch(tag -> tag.locked() && tag.seq() == mark.seq());
        if (mark.id().equals(id) && !there) {
          all.add(new KeptTag("locked at seq:" + mark.seq(), mark.seq(), mark.timeMicros(), true));
        }
      }
      return all;
    }
  }

  /** Newest first, a page at a time. */
  private CompletionStage<Void> between(Found found, long fromMicros, long toMicros, int page) {
    return groups
        .tagsOf(found.volume, new TagCatalog.Query(fromMicros, toMicros, "", PAGE))
        .thenCompose(
            list -> {
              list.tags().forEach(found::add);
              if (!list.more()) {
                return CompletableFuture.completedStage(null);
              }
              if (page == PAGES_MAX) {
                return CompletableFuture.failedStage(
                    new Refusal(
                        ErrorCode.LIMIT,
                        "more than %d tags would leave the window at once; shorten it in steps"
                            .formatted(PAGES_MAX * PAGE)));
              }
              // A page may be empty, all of its tags having failed: there are older ones all the
              // same.
              return between(found, fromMicros, list.untilMicros() - 1, page + 1);
            });
  }

  /** Which of the tags that the volume keeps still exist, one after the other. */
  private CompletionStage<Void> still(Found found, List<KeptTag> known, int index) {
    if (index == known.size()) {
      return CompletableFuture.completedStage(null);
    }
    Optional<String[]> name = groupAndName(known.get(index).name());
    if (name.isEmpty() || found.tags.containsKey(known.get(index).name())) {
      return still(found, known, index + 1);
    }
    return groups
        .tag(name.get()[0], name.get()[1])
        .handle(
            (tag, failure) -> {
              if (failure == null) {
                found.add(tag);
              } else if (!isNotFound(failure)) {
                throw new CompletionException(failure);
              }
              return null;
            })
        .thenCompose(done -> still(found, known, index + 1));
  }

  private static Optional<String[]> groupAndName(String name) {
    String[] parts = name.split("/", 2);
    return parts.length == 2 ? Optional.of(parts) : Optional.empty();
  }

  private static boolean isNotFound(Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof Refusal refusal && refusal.code() == ErrorCode.NOT_FOUND;
  }
}
