package io.tidemark.group;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.javadsl.AskPattern;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.catalog.TagRow;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Retention;
import io.tidemark.site.Site;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.HoldTimes;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSpec;
import io.tidemark.tag.TagSummary;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/** The groups as any node of the site's cluster sees them: asks the entities and the catalog. */
public final class ClusterGroups implements Groups {
  private static final int ASKS_IN_FLIGHT = 32;

  /** A tag that is not journaled after so long is shown as it is. */
  private static final Duration TAKE_WITHIN = Duration.ofSeconds(12);

  /**
   * Where the entities are.
   *
   * @param summary reads what the catalog keeps of a tag
   */
  public record Entities(
      Function<String, RecipientRef<GroupEntity.Command>> groups,
      RecipientRef<GroupDirectory.Command> directory,
      GroupParts parts,
      TagCatalog catalog,
      Function<byte[], TagSummary> summary) {}

  private final ActorSystem<?> system;
  private final Site site;
  private final Retention retention;
  private final Entities entities;
  private final HoldTimes holds;
  private final Duration timeout;

  public ClusterGroups(
      ActorSystem<?> system,
      Site site,
      Retention retention,
      Entities entities,
      HoldTimes holds,
      Duration timeout) {
    this.system = system;
    this.site = site;
    this.retention = retention;
    this.entities = entities;
    this.holds = holds;
    this.timeout = timeout;
  }

  @Override
  public CompletionStage<GroupSummary> create(String name, List<VolumeName> volumes) {
    Names.check("group", name);
    if (volumes.isEmpty() || volumes.size() > ConsistencyTag.VOLUMES_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a group has 1 to %d volumes, not %d"
              .formatted(ConsistencyTag.VOLUMES_MAX, volumes.size()));
    }
    return Source.from(volumes)
        .mapAsync(ASKS_IN_FLIGHT, site::volume)
        .runWith(Sink.ignore(), system)
        .thenCompose(all -> listing(ref -> new GroupDirectory.ListGroup(name, volumes, false, ref)))
        .thenCompose(listed -> described(name, ref -> new GroupEntity.CreateGroup(volumes, ref)));
  }

  @Override
  public CompletionStage<List<GroupSummary>> list() {
    return listing(GroupDirectory.GetGroups::new)
        .thenCompose(
            groups ->
                Source.from(groups.keySet())
                    .mapAsync(ASKS_IN_FLIGHT, this::existing)
                    .filter(Optional::isPresent)
                    .map(Optional::get)
                    .runWith(Sink.seq(), system));
  }

  /** Empty for a name that is listed but has no group: it is being created or deleted. */
  private CompletionStage<Optional<GroupSummary>> existing(String name) {
    return Failures.found(get(name));
  }

  @Override
  public CompletionStage<GroupSummary> get(String name) {
    return described(Names.check("group", name), GroupEntity.GetGroup::new);
  }

  @Override
  public CompletionStage<Void> delete(String name) {
    return described(Names.check("group", name), GroupEntity.DeleteGroup::new)
        .thenApply(done -> null);
  }

  @Override
  public CompletionStage<GroupSummary> setSchedule(String group, Schedule schedule) {
    return described(
        Names.check("group", group), ref -> new GroupEntity.SetSchedule(schedule.checked(), ref));
  }

  @Override
  public CompletionStage<GroupSummary> removeSchedule(String group, String schedule) {
    return described(
        Names.check("group", group), ref -> new GroupEntity.RemoveSchedule(schedule, ref));
  }

  @Override
  public CompletionStage<TagSummary> take(String group, TagRequest request) {
    Names.check("group", group);
    Names.check("tag", request.name());
    if (request.notes().length() > TagRequest.NOTES_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT, "notes have at most " + TagRequest.NOTES_MAX + " characters");
    }
    if (!request.application() && !request.applications().isEmpty()) {
      throw new Refusal(
          ErrorCode.INVALID, "a crash-consistent tag names no applications; ask for application");
    }
    return get(group)
        .thenCompose(
            found ->
                ask(group, ref -> new GroupEntity.TakeTag(request, ref), TAKE_WITHIN)
                    .thenApply(reply -> ((GroupEntity.Tagged) reply).summary())
                    .exceptionallyCompose(
                        failure ->
                            Failures.cause(failure) instanceof Refusal refusal
                                    && refusal.code() == ErrorCode.NOT_ACKNOWLEDGED
                                ? tag(group, request.name())
                                : CompletableFuture.failedStage(Failures.cause(failure))));
  }

  @Override
  public CompletionStage<TagSummary> adopt(TagSummary tag) {
    TagSpec spec = tag.spec();
    if (!tag.committed()) {
      throw new Refusal(ErrorCode.INVALID, "tag '" + spec.name() + "' names no point");
    }
    return create(spec.group(), spec.volumes())
        .thenCombine(
            Source.from(tag.marks())
                .mapAsync(ASKS_IN_FLIGHT, this::here)
                .runWith(Sink.seq(), system),
            (group, marks) -> adopt(ofGroup(spec, group.id()), tag, marks))
        .thenCompose(adopted -> adopted);
  }

  private static TagSpec ofGroup(TagSpec spec, UUID group) {
    return new TagSpec(
        group,
        spec.group(),
        spec.name(),
        spec.volumes(),
        spec.application(),
        spec.applications(),
        spec.schedule(),
        spec.notes(),
        spec.requestedMicros(),
        spec.expiresMicros());
  }

  /** The same point of the replica. */
  private CompletionStage<TagMark> here(TagMark mark) {
    return site.volume(mark.volume())
        .thenApply(
            volume -> {
              if (volume.head().seq().value() < mark.seq()) {
                throw new Refusal(
                    ErrorCode.NOT_ACKNOWLEDGED,
                    "volume '%s' has not reached write %d".formatted(mark.volume(), mark.seq()));
              }
              return new TagMark(
                  mark.volume(),
                  volume.id(),
                  0,
                  0,
                  mark.seq(),
                  mark.timeMicros(),
                  mark.holdMicros());
            });
  }

  private CompletionStage<TagSummary> adopt(TagSpec spec, TagSummary tag, List<TagMark> marks) {
    CompletionStage<ConsistencyTag.Reply> answer =
        AskPattern.ask(
            entities.parts().tags().apply(spec.groupId(), spec.name()),
            ref ->
                new ConsistencyTag.AdoptTag(spec, tag.applications(), marks, tag.timeMicros(), ref),
            timeout,
            system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("tag '" + spec.name() + "'", failure, timeout);
          }
          if (reply instanceof ConsistencyTag.Refused refused) {
            throw refused.refusal();
          }
          return ((ConsistencyTag.Settled) reply).summary();
        });
  }

  @Override
  public CompletionStage<TagList> tags(String group, TagCatalog.Query query) {
    return get(group).thenCompose(found -> tags(found, query));
  }

  private CompletionStage<TagList> tags(GroupSummary group, TagCatalog.Query query) {
    return entities.catalog().find(group.id(), query).thenApply(this::list);
  }

  @Override
  public CompletionStage<TagList> search(String group, TagWords words, TagCatalog.Query query) {
    return get(group)
        .thenCompose(
            found ->
                entities
                    .catalog()
                    .find(
                        found.id(),
                        query,
                        row -> words.in(entities.summary().apply(row.body()).spec())))
        .thenApply(this::list);
  }

  private TagList list(TagCatalog.Page page) {
    return new TagList(summaries(page.rows()), page.more(), page.untilMicros());
  }

  private List<TagSummary> summaries(List<TagRow> rows) {
    return rows.stream().map(row -> entities.summary().apply(row.body())).toList();
  }

  @Override
  public CompletionStage<TagSummary> tag(String group, String tag) {
    Names.check("tag", tag);
    return get(group)
        .thenCompose(found -> maybe(found, tag))
        .thenApply(found -> found.orElseThrow(() -> noSuchTag(group, tag)));
  }

  private static Refusal noSuchTag(String group, String tag) {
    return new Refusal(
        ErrorCode.NOT_FOUND,
        "group '%s' has no tag '%s'; 'tidemark tag list %s' names those there are"
            .formatted(group, Refusal.printable(tag), group));
  }

  private CompletionStage<Optional<TagSummary>> maybe(GroupSummary group, String tag) {
    CompletionStage<ConsistencyTag.Reply> answer =
        AskPattern.ask(
            entities.parts().tags().apply(group.id(), tag),
            ref -> new ConsistencyTag.GetTag(tag, ref),
            timeout,
            system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("tag '" + tag + "'", failure, timeout);
          }
          return reply instanceof ConsistencyTag.Described d
              ? Optional.of(d.summary())
              : Optional.empty();
        });
  }

  @Override
  public CompletionStage<TagSummary> lock(String group, String tag, boolean locked) {
    Names.check("tag", tag);
    Names.check("group", group);
    if (!locked) {
      return noteLock(group, tag, false)
          .thenCompose(unlocked -> keep(unlocked, false).thenApply(told -> unlocked));
    }
    return tag(group, tag)
        .thenCompose(
            found ->
                found.committed()
                    ? keep(found, true)
                        .thenCompose(kept -> noteLock(group, tag, true))
                        .exceptionallyCompose(failure -> letGo(found, failure))
                    : noteLock(group, tag, true));
  }

  private CompletionStage<TagSummary> noteLock(String group, String tag, boolean locked) {
    return ask(group, ref -> new GroupEntity.LockTag(tag, locked, ref), timeout)
        .thenApply(reply -> ((GroupEntity.Tagged) reply).summary());
  }

  /** All volumes keep its points before it counts as locked (J8); a deleted one has none left. */
  private CompletionStage<Void> keep(TagSummary tag, boolean kept) {
    return Source.from(tag.marks())
        .mapAsync(
            ASKS_IN_FLIGHT,
            mark ->
                retention
                    .keepTag(mark.volume(), mark.id(), tag.kept(mark, kept))
                    .exceptionallyCompose(ClusterGroups::unlessGone))
        .runWith(Sink.ignore(), system)
        .thenApply(done -> null);
  }

  private static CompletionStage<Void> unlessGone(Throwable failure) {
    return Failures.cause(failure) instanceof Refusal refusal
            && refusal.code() == ErrorCode.NOT_FOUND
        ? CompletableFuture.completedStage(null)
        : CompletableFuture.failedStage(Failures.cause(failure));
  }

  /** Locked on all volumes or on none: the point of one was given up already. */
  private CompletionStage<TagSummary> letGo(TagSummary tag, Throwable failure) {
    CompletionStage<Void> undone =
        tag.locked() ? CompletableFuture.completedStage(null) : keep(tag, false);
    return undone
        .handle(
            (done, alsoFailed) -> {
              if (alsoFailed != null) {
                Failures.cause(failure).addSuppressed(Failures.cause(alsoFailed));
              }
              return done;
            })
        .thenCompose(done -> CompletableFuture.failedStage(Failures.cause(failure)));
  }

  @Override
  public CompletionStage<TagMark> resolve(VolumeName volume, String tag) {
    int slash = tag.indexOf('/');
    if (slash >= 0) {
      String group = tag.substring(0, slash);
      return tag(group, tag.substring(slash + 1)).thenApply(found -> mark(found, volume));
    }
    Names.check("tag", tag);
    return groupsOf(volume)
        .thenCompose(
            groups ->
                Source.from(groups)
                    .mapAsync(ASKS_IN_FLIGHT, group -> maybe(group, tag))
                    .filter(found -> found.isPresent() && found.get().committed())
                    .map(Optional::get)
                    .runWith(Sink.seq(), system))
        .thenApply(
            found -> {
              if (found.isEmpty()) {
                throw new Refusal(
                    ErrorCode.NOT_FOUND,
                    "no group of volume '%s' has a committed tag '%s'"
                        .formatted(volume, Refusal.printable(tag)));
              }
              if (found.size() > 1) {
                throw ambiguous(volume, tag, found);
              }
              return mark(found.get(0), volume);
            });
  }

  private static Refusal ambiguous(VolumeName volume, String tag, List<TagSummary> found) {
    List<String> names =
        found.stream().map(each -> "tag:" + each.spec().group() + "/" + tag).sorted().toList();
    return new Refusal(
        ErrorCode.INVALID,
        "several groups of volume '%s' have a tag '%s'; say which: %s"
            .formatted(volume, tag, String.join(", ", names)));
  }

  private static TagMark mark(TagSummary tag, VolumeName volume) {
    if (!tag.committed()) {
      throw new Refusal(
          ErrorCode.NOT_FOUND,
          "tag '%s' is %s and names no point%s"
              .formatted(
                  tag.spec().name(),
                  tag.state().toLowerCase(java.util.Locale.ROOT),
                  tag.reason().isEmpty() ? "" : ": " + tag.reason()));
    }
    return tag.markOf(volume)
        .orElseThrow(
            () ->
                new Refusal(
                    ErrorCode.NOT_FOUND,
                    "volume '%s' is not in group '%s'".formatted(volume, tag.spec().group())));
  }

  private CompletionStage<List<GroupSummary>> groupsOf(VolumeName volume) {
    return listing(GroupDirectory.GetGroups::new)
        .thenCompose(
            groups ->
                Source.from(
                        groups.entrySet().stream()
                            .filter(entry -> entry.getValue().contains(volume))
                            .map(Map.Entry::getKey)
                            .toList())
                    .mapAsync(ASKS_IN_FLIGHT, this::existing)
                    .filter(Optional::isPresent)
                    .map(Optional::get)
                    .runWith(Sink.seq(), system));
  }

  @Override
  public CompletionStage<TagList> tagsOf(VolumeName volume, TagCatalog.Query query) {
    return groupsOf(volume)
        .thenCompose(
            groups ->
                Source.from(groups)
                    .mapAsync(ASKS_IN_FLIGHT, group -> tags(group, query))
                    .runWith(Sink.seq(), system))
        .thenApply(lists -> merged(lists, query.limit()));
  }

  private static TagList merged(List<TagList> lists, int limit) {
    List<TagSummary> all = new ArrayList<>();
    boolean more = false;
    long until = 0;
    for (TagList list : lists) {
      list.tags().stream().filter(TagSummary::committed).forEach(all::add);
      more |= list.more();
      until = Math.max(until, list.untilMicros());
    }
    // Older than what all lists reach down to comes with the next page, or some would be passed by.
    long reached = until;
    all.removeIf(tag -> tag.timeMicros() < reached);
    all.sort(Comparator.comparingLong(TagSummary::timeMicros).reversed());
    if (all.size() <= limit) {
      return new TagList(List.copyOf(all), more, until);
    }
    List<TagSummary> newest = List.copyOf(all.subList(0, limit));
    return new TagList(newest, true, newest.get(limit - 1).timeMicros());
  }

  @Override
  public CompletionStage<List<TagMark>> lockedMarks(VolumeName volume) {
    return groupsOf(volume)
        .thenApply(
            groups ->
                groups.stream()
                    .flatMap(group -> group.locked().values().stream())
                    .flatMap(List::stream)
                    .filter(mark -> mark.volume().equals(volume))
                    .toList());
  }

  @Override
  public HoldTimes.Snapshot holds() {
    return holds.snapshot();
  }

  private CompletionStage<GroupSummary> described(
      String name, Function<ActorRef<GroupEntity.Reply>, GroupEntity.Command> command) {
    return ask(name, command, timeout)
        .thenApply(reply -> ((GroupEntity.Described) reply).summary());
  }

  private CompletionStage<GroupEntity.Reply> ask(
      String name,
      Function<ActorRef<GroupEntity.Reply>, GroupEntity.Command> command,
      Duration within) {
    CompletionStage<GroupEntity.Reply> answer =
        AskPattern.ask(entities.groups().apply(name), command::apply, within, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("group '" + name + "'", failure, within);
          }
          if (reply instanceof GroupEntity.Refused refused) {
            throw refused.refusal();
          }
          return reply;
        });
  }

  private CompletionStage<Map<String, List<VolumeName>>> listing(
      Function<ActorRef<GroupDirectory.Reply>, GroupDirectory.Command> command) {
    CompletionStage<GroupDirectory.Reply> answer =
        AskPattern.ask(entities.directory(), command::apply, timeout, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("the list of groups", failure, timeout);
          }
          if (reply instanceof GroupDirectory.Refused refused) {
            throw refused.refusal();
          }
          return ((GroupDirectory.Listing) reply).groups();
        });
  }

  private static RuntimeException late(String who, Throwable failure, Duration within) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof TimeoutException
        ? new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "%s did not answer within %d s; the request may or may not have been carried out"
                .formatted(who, within.toSeconds()),
            cause)
        : new CompletionException(cause);
  }
}
