package io.tidemark.http;

import io.tidemark.catalog.TagCatalog;
import io.tidemark.group.GroupSummary;
import io.tidemark.group.Groups;
import io.tidemark.group.Names;
import io.tidemark.group.Schedule;
import io.tidemark.group.TagRequest;
import io.tidemark.group.TagWords;
import io.tidemark.order.ApplicationResult;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tag.HoldTimes;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSpec;
import io.tidemark.tag.TagSummary;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Predicate;

/** Groups in memory: each tag marks seq 42; one named "late" fails. */
final class FakeGroups implements Groups {
  private final Map<String, GroupSummary> groups = new ConcurrentSkipListMap<>();
  private final Map<String, TagSummary> tags = new ConcurrentSkipListMap<>();

  private static <T> CompletionStage<T> refuse(ErrorCode code, String sentence) {
    return CompletableFuture.failedFuture(new Refusal(code, sentence));
  }

  private static <T> CompletionStage<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }

  @Override
  public CompletionStage<GroupSummary> create(String name, List<VolumeName> volumes) {
    Names.check("group", name);
    GroupSummary wanted = summary(name, volumes, List.of());
    GroupSummary there = groups.putIfAbsent(name, wanted);
    return there != null && !there.volumes().equals(volumes)
        ? refuse(ErrorCode.ALREADY_EXISTS, "there is a group of the name")
        : done(wanted);
  }

  private static GroupSummary summary(
      String name, List<VolumeName> volumes, List<Schedule> schedules) {
    return new GroupSummary(
        name, new UUID(3, 4), "Open", volumes, FakeServices.START, schedules, List.of(), Map.of());
  }

  @Override
  public CompletionStage<TagSummary> adopt(TagSummary tag) {
    return refuse(ErrorCode.INVALID, "there is no other site");
  }

  @Override
  public CompletionStage<List<GroupSummary>> list() {
    return done(List.copyOf(groups.values()));
  }

  @Override
  public CompletionStage<GroupSummary> get(String name) {
    GroupSummary found = groups.get(name);
    return found == null ? refuse(ErrorCode.NOT_FOUND, "no group " + name) : done(found);
  }

  @Override
  public CompletionStage<Void> delete(String name) {
    return get(name).thenAccept(found -> groups.remove(name));
  }

  @Override
  public CompletionStage<GroupSummary> setSchedule(String group, Schedule schedule) {
    return get(group)
        .thenApply(
            found -> {
              GroupSummary changed = summary(group, found.volumes(), List.of(schedule));
              groups.put(group, changed);
              return changed;
            });
  }

  @Override
  public CompletionStage<GroupSummary> removeSchedule(String group, String schedule) {
    return get(group).thenApply(found -> summary(group, found.volumes(), List.of()));
  }

  @Override
  public CompletionStage<TagSummary> take(String group, TagRequest request) {
    return get(group)
        .thenApply(
            found -> {
              TagSummary tag = tag(found, request, request.name().equals("late"), false);
              tags.put(group + "/" + request.name(), tag);
              return tag;
            });
  }

  private static TagSummary tag(
      GroupSummary group, TagRequest request, boolean failed, boolean locked) {
    List<TagMark> marks = new ArrayList<>();
    for (VolumeName volume : group.volumes()) {
      long time = FakeServices.START + 42 * FakeServices.SECOND;
      marks.add(new TagMark(volume, new VolumeId(new UUID(1, 2)), 1, 0, 42, time, 1_500));
    }
    return new TagSummary(
        new TagSpec(
            group.id(),
            group.name(),
            request.name(),
            group.volumes(),
            request.application(),
            request.applications(),
            "",
            request.notes(),
            FakeServices.START,
            request.expiresMicros()),
        failed ? "Failed" : "Committed",
        FakeServices.START + 42 * FakeServices.SECOND,
        failed ? List.of() : marks,
        request.application()
            ? List.of(new ApplicationResult("pg", true, 0, 12, "checkpoint"))
            : List.of(),
        failed ? Optional.of(ErrorCode.HOLD_TIMEOUT) : Optional.empty(),
        failed ? "the hold was too long" : "",
        locked);
  }

  @Override
  public CompletionStage<TagList> tags(String group, TagCatalog.Query query) {
    return found(group, query, tag -> true);
  }

  @Override
  public CompletionStage<TagList> search(String group, TagWords words, TagCatalog.Query query) {
    return found(group, query, words::in);
  }

  private CompletionStage<TagList> found(
      String group, TagCatalog.Query query, Predicate<TagSpec> wanted) {
    List<TagSummary> all =
        tags.values().stream()
            .filter(tag -> tag.spec().group().equals(group))
            .filter(tag -> tag.spec().name().startsWith(query.prefix()))
            .filter(tag -> wanted.test(tag.spec()))
            .toList();
    boolean more = all.size() > query.limit();
    List<TagSummary> page = more ? all.subList(0, query.limit()) : all;
    long until = more ? page.get(page.size() - 1).timeMicros() : query.fromMicros();
    return get(group).thenApply(found -> new TagList(page, more, until));
  }

  @Override
  public CompletionStage<TagSummary> tag(String group, String tag) {
    TagSummary found = tags.get(group + "/" + tag);
    return found == null ? refuse(ErrorCode.NOT_FOUND, "no tag " + tag) : done(found);
  }

  @Override
  public CompletionStage<TagSummary> lock(String group, String tag, boolean locked) {
    return tag(group, tag)
        .thenApply(
            found -> {
              TagSummary changed =
                  new TagSummary(
                      found.spec(),
                      found.state(),
                      found.timeMicros(),
                      found.marks(),
                      found.applications(),
                      found.code(),
                      found.reason(),
                      locked);
              tags.put(group + "/" + tag, changed);
              return changed;
            });
  }

  @Override
  public CompletionStage<TagMark> resolve(VolumeName volume, String tag) {
    return refuse(ErrorCode.NOT_FOUND, "the fake points resolve tags");
  }

  @Override
  public CompletionStage<TagList> tagsOf(VolumeName volume, TagCatalog.Query query) {
    return done(
        new TagList(
            tags.values().stream()
                .filter(TagSummary::committed)
                .filter(tag -> tag.markOf(volume).isPresent())
                .toList(),
            false,
            query.fromMicros()));
  }

  @Override
  public CompletionStage<List<TagMark>> lockedMarks(VolumeName volume) {
    return done(List.of());
  }

  @Override
  public HoldTimes.Snapshot holds() {
    return new HoldTimes.Snapshot(new long[] {1_000}, new long[] {2, 1}, 3_000, 3, 1);
  }
}
