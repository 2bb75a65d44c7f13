package io.tidemark.group;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.RecoveryCompleted;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import akka.persistence.typed.javadsl.SignalHandler;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.catalog.TagRow;
import io.tidemark.group.GroupEvent.GroupClosing;
import io.tidemark.group.GroupEvent.GroupCreated;
import io.tidemark.group.GroupEvent.GroupDeleted;
import io.tidemark.group.GroupEvent.LockNoted;
import io.tidemark.group.GroupEvent.ScheduleRemoved;
import io.tidemark.group.GroupEvent.ScheduleSet;
import io.tidemark.group.GroupEvent.TaggingBegan;
import io.tidemark.group.GroupEvent.TaggingEnded;
import io.tidemark.group.GroupEvent.UnlockNoted;
import io.tidemark.group.GroupState.Absent;
import io.tidemark.group.GroupState.Live;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.SiteEvent;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.TagSpec;
import io.tidemark.tag.TagSummary;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * One group: its members, its schedules, and who takes its tags. Diagram and invariants: {@link
 * io.tidemark.group}.
 */
public final class GroupEntity
    extends EventSourcedBehaviorWithEnforcedReplies<GroupEntity.Command, GroupEvent, GroupState> {

  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "group");

  public static final int SCHEDULES_MAX = 16;

  /** Locked tags; each keeps what it names from being purged. */
  public static final int LOCKED_MAX = 256;

  /** Tags that were marked and wait for the journal. */
  public static final int RUNNING_MAX = 32;

  private static final int QUEUED_MAX = 8;

  /** More than can be locked, so that a sweep never sees only what must stay. */
  private static final int SWEEP_ROWS = LOCKED_MAX + 44;

  private static final int SNAPSHOT_EVERY = 200;
  private static final int SNAPSHOTS_KEPT = 2;
  private static final Duration RESTART_BACKOFF_MAX = Duration.ofSeconds(3);
  private static final Duration TAG_ANSWERS_WITHIN = Duration.ofSeconds(10);
  private static final Duration SWEEP_GOES_ON = Duration.ofMillis(200);
  private static final String SWEEP = "sweep";

  /** Failures of schedules are told no more often. */
  private static final long TOLD_EVERY_MICROS = Duration.ofMinutes(1).toNanos() / 1_000;

  // ---- protocol -------------------------------------------------------------------------------

  /** What a group is asked. */
  public sealed interface Command {}

  /**
   * Replies {@link Described}; {@code ALREADY_EXISTS} when there is one with other members, {@code
   * BUSY} while one of the name is being deleted. Safe to repeat.
   */
  @JsonTypeName("create-group")
  public record CreateGroup(List<VolumeName> volumes, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Described} or {@code NOT_FOUND}. */
  @JsonTypeName("get-group")
  public record GetGroup(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Deletes the group with all its tags; goes on after the reply. Replies {@link Described}; {@code
   * BUSY} while a tag is being taken or locked, {@code NOT_FOUND}. Safe to repeat.
   */
  @JsonTypeName("delete-group")
  public record DeleteGroup(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** Replies {@link Described}; {@code LIMIT}, {@code NOT_FOUND}. Replaces one of the name. */
  @JsonTypeName("set-schedule")
  public record SetSchedule(Schedule schedule, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Described}; {@code NOT_FOUND}, also when there is no such schedule. */
  @JsonTypeName("remove-schedule")
  public record RemoveSchedule(String schedule, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Takes a tag. Replies {@link Tagged} once it is committed or failed; {@code BUSY} when several
   * wait for their turn, {@code LIMIT} when too many wait for the journal, {@code ALREADY_EXISTS},
   * {@code NOT_FOUND}. A tag that is being taken goes on whether or not the asker waits.
   */
  @JsonTypeName("take-tag")
  public record TakeTag(TagRequest request, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Locks or unlocks a tag. Replies {@link Tagged}; {@code NOT_FOUND}, {@code INVALID} for one that
   * failed, {@code BUSY} for one being taken, {@code LIMIT}. Safe to repeat.
   */
  @JsonTypeName("lock-group-tag")
  public record LockTag(String tag, boolean locked, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** See that schedules run and tags go on. No reply. */
  @JsonTypeName("wake-group")
  public record Wake() implements Command, TidemarkMessage {}

  private record Tick(String schedule) implements Command {}

  private record TagSaid(ConsistencyTag.Reply reply) implements Command {}

  private record Locked(LockTag request, ConsistencyTag.Reply reply, Throwable failure)
      implements Command {}

  private record Sweep() implements Command {}

  /**
   * @param more whether there may be further expired tags
   */
  private record Swept(long untilMicros, boolean more, boolean empty, Throwable failure)
      implements Command {}

  /** What a group answers. */
  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("group-described")
  public record Described(GroupSummary summary) implements Reply {}

  @JsonTypeName("group-tagged")
  public record Tagged(TagSummary summary) implements Reply {}

  @JsonTypeName("group-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    public Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  // ---- construction ---------------------------------------------------------------------------

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final String name;
  private final GroupParts parts;
  private final ActorRef<ConsistencyTag.Reply> tagReplies;

  // What follows lasts as long as the actor, not the group.
  private final Map<String, List<ActorRef<Reply>>> waiting = new HashMap<>();

  /** The tag for which volumes may be held; empty for none. */
  private Optional<String> holding = Optional.empty();

  /** What is asked for while volumes are held for another. */
  private final Deque<TakeTag> queued = new ArrayDeque<>();

  private boolean sweeping;
  private long sweptUntil;
  private long toldMicros;

  /** The entity of the group of that name. */
  public static Behavior<Command> create(String name, GroupParts parts) {
    return Behaviors.setup(
        context -> Behaviors.withTimers(timers -> new GroupEntity(context, timers, name, parts)));
  }

  private GroupEntity(
      ActorContext<Command> context,
      TimerScheduler<Command> timers,
      String name,
      GroupParts parts) {
    super(
        PersistenceId.of(TYPE_KEY.name(), name),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(200), RESTART_BACKOFF_MAX, 0.2));
    this.context = context;
    this.timers = timers;
    this.name = name;
    this.parts = parts;
    this.tagReplies = context.messageAdapter(ConsistencyTag.Reply.class, TagSaid::new);
  }

  @Override
  public GroupState emptyState() {
    return GroupState.EMPTY;
  }

  // ---- commands -------------------------------------------------------------------------------

  @Override
  public CommandHandlerWithReply<Command, GroupEvent, GroupState> commandHandler() {
    var handlers = newCommandHandlerWithReplyBuilder();
    handlers
        .forStateType(Absent.class)
        .onCommand(CreateGroup.class, this::onCreate)
        .onCommand(GetGroup.class, c -> notFound(c.replyTo()))
        .onCommand(DeleteGroup.class, c -> notFound(c.replyTo()))
        .onCommand(SetSchedule.class, c -> notFound(c.replyTo()))
        .onCommand(RemoveSchedule.class, c -> notFound(c.replyTo()))
        .onCommand(TakeTag.class, c -> notFound(c.replyTo()))
        .onCommand(LockTag.class, c -> notFound(c.replyTo()))
        .onCommand(Wake.class, this::onWakeOfNone);
    handlers
        .forStateType(Live.class)
        .onCommand(CreateGroup.class, this::onCreateAgain)
        .onCommand(GetGroup.class, (s, c) -> described(s, c.replyTo()))
        .onCommand(DeleteGroup.class, this::onDelete)
        .onCommand(SetSchedule.class, this::onSetSchedule)
        .onCommand(RemoveSchedule.class, this::onRemoveSchedule)
        .onCommand(TakeTag.class, this::onTakeTag)
        .onCommand(LockTag.class, this::onLockTag)
        .onCommand(Wake.class, this::onWake)
        .onCommand(Tick.class, this::onTick)
        .onCommand(TagSaid.class, this::onTagSaid)
        .onCommand(Locked.class, this::onLocked)
        .onCommand(Sweep.class, this::onSweep)
        .onCommand(Swept.class, this::onSwept);
    handlers
        .forAnyState()
        // Only outcomes of what was begun for a group that has been deleted since.
        .onCommand(Tick.class, c -> Effect().noReply())
        .onCommand(TagSaid.class, c -> Effect().noReply())
        .onCommand(Locked.class, c -> notFound(c.request().replyTo()))
        .onCommand(Sweep.class, c -> Effect().noReply())
        .onCommand(Swept.class, c -> Effect().noReply());
    return handlers.build();
  }

  private ReplyEffect<GroupEvent, GroupState> refused(
      ActorRef<Reply> replyTo, ErrorCode code, String sentence, Object... values) {
    return Effect().reply(replyTo, new Refused(code, sentence.formatted(values)));
  }

  private ReplyEffect<GroupEvent, GroupState> notFound(ActorRef<Reply> replyTo) {
    return refused(
        replyTo,
        ErrorCode.NOT_FOUND,
        "there is no group '%s'; 'tidemark group list' names those there are",
        name);
  }

  private ReplyEffect<GroupEvent, GroupState> described(Live state, ActorRef<Reply> replyTo) {
    return Effect().reply(replyTo, new Described(summary(state)));
  }

  private ReplyEffect<GroupEvent, GroupState> onCreate(Absent state, CreateGroup c) {
    if (c.volumes().isEmpty()
        || c.volumes().size() > ConsistencyTag.VOLUMES_MAX
        || c.volumes().stream().distinct().count() < c.volumes().size()) {
      return refused(
          c.replyTo(),
          ErrorCode.INVALID,
          "a group has 1 to %d different volumes",
          ConsistencyTag.VOLUMES_MAX);
    }
    GroupEvent created = new GroupCreated(UUID.randomUUID(), c.volumes(), now());
    return Effect()
        .persist(created)
        .thenRun(
            (GroupState next) -> {
              list((Live) next);
              tell("group-created", "group of " + c.volumes().size() + " volumes created");
              start((Live) next);
            })
        .thenReply(c.replyTo(), next -> (Reply) new Described(summary((Live) next)));
  }

  private void list(Live state) {
    parts
        .directory()
        .get()
        .tell(
            new GroupDirectory.ListGroup(
                name, state.volumes(), true, context.getSystem().ignoreRef()));
  }

  private ReplyEffect<GroupEvent, GroupState> onCreateAgain(Live state, CreateGroup c) {
    if (state.closing()) {
      return refused(
          c.replyTo(), ErrorCode.BUSY, "group '%s' is being deleted; try again soon", name);
    }
    return state.volumes().equals(c.volumes())
        ? described(state, c.replyTo())
        : refused(
            c.replyTo(),
            ErrorCode.ALREADY_EXISTS,
            "there is a group '%s' with other volumes; choose another name",
            name);
  }

  private ReplyEffect<GroupEvent, GroupState> onDelete(Live state, DeleteGroup c) {
    if (!state.locked().isEmpty()) {
      return refused(
          c.replyTo(),
          ErrorCode.BUSY,
          "group '%s' has locked tags, unlock them first: %s",
          name,
          String.join(", ", state.locked().keySet().stream().limit(10).toList()));
    }
    if (!state.running().isEmpty()) {
      return refused(
          c.replyTo(),
          ErrorCode.BUSY,
          "a tag of group '%s' is being taken; remove its schedules or try again",
          name);
    }
    if (state.closing()) {
      return described(state, c.replyTo());
    }
    return Effect()
        .persist((GroupEvent) new GroupClosing())
        .thenRun(
            (GroupState next) -> {
              state.schedules().keySet().forEach(timers::cancel);
              sweepSoon();
              tell("group-deleted", "group deleted; its tags are being removed");
            })
        .thenReply(c.replyTo(), next -> (Reply) new Described(summary((Live) next)));
  }

  /** A name that was reserved for a group that never came to be. */
  private ReplyEffect<GroupEvent, GroupState> onWakeOfNone(Wake c) {
    unlist();
    return Effect().noReply();
  }

  private void unlist() {
    parts
        .directory()
        .get()
        .tell(new GroupDirectory.UnlistGroup(name, context.getSystem().ignoreRef()));
  }

  // ---- schedules ------------------------------------------------------------------------------

  private ReplyEffect<GroupEvent, GroupState> onSetSchedule(Live state, SetSchedule c) {
    Map<String, Schedule> all = state.schedules();
    if (state.closing()) {
      return notFound(c.replyTo());
    }
    if (!all.containsKey(c.schedule().name()) && all.size() >= SCHEDULES_MAX) {
      return refused(
          c.replyTo(), ErrorCode.LIMIT, "a group has at most %d schedules", SCHEDULES_MAX);
    }
    return Effect()
        .persist((GroupEvent) new ScheduleSet(c.schedule()))
        .thenRun(
            (GroupState next) -> {
              timers.cancel(c.schedule().name());
              start((Live) next);
            })
        .thenReply(c.replyTo(), next -> (Reply) new Described(summary((Live) next)));
  }

  private ReplyEffect<GroupEvent, GroupState> onRemoveSchedule(Live state, RemoveSchedule c) {
    if (!state.schedules().containsKey(c.schedule())) {
      return refused(c.replyTo(), ErrorCode.NOT_FOUND, "group '%s' has no such schedule", name);
    }
    return Effect()
        .persist((GroupEvent) new ScheduleRemoved(c.schedule()))
        .thenRun(() -> timers.cancel(c.schedule()))
        .thenReply(c.replyTo(), next -> (Reply) new Described(summary((Live) next)));
  }

  /** Starts what does not run yet; schedules of several groups tick at different moments. */
  private void start(Live state) {
    for (Schedule schedule : state.schedules().values()) {
      if (!timers.isTimerActive(schedule.name())) {
        Duration every = Duration.ofSeconds(schedule.everySeconds());
        long everyMicros = every.toNanos() / 1_000;
        long phase =
            Math.floorMod((long) name.hashCode() * 7_919, Math.min(everyMicros, 1_000_000));
        long first = everyMicros - Math.floorMod(now() - phase, everyMicros);
        timers.startTimerAtFixedRate(
            schedule.name(), new Tick(schedule.name()), Duration.ofNanos(first * 1_000), every);
      }
    }
    if (!timers.isTimerActive(SWEEP)) {
      timers.startSingleTimer(SWEEP, new Sweep(), parts.settings().sweepEvery());
    }
  }

  private ReplyEffect<GroupEvent, GroupState> onTick(Live state, Tick c) {
    Schedule schedule = state.schedules().get(c.schedule());
    boolean full = state.running().size() >= RUNNING_MAX;
    if (schedule == null || state.closing() || holding.isPresent() || full) {
      return Effect().noReply(); // the next tick comes
    }
    long now = now();
    long expires = schedule.keepSeconds() == 0 ? 0 : now + schedule.keepSeconds() * 1_000_000;
    return begin(
        state,
        new TagSpec(
            state.id(),
            name,
            schedule.tagName(now),
            state.volumes(),
            schedule.application(),
            schedule.applications(),
            schedule.name(),
            "",
            now,
            expires));
  }

  // ---- tags -----------------------------------------------------------------------------------

  private ReplyEffect<GroupEvent, GroupState> onTakeTag(Live state, TakeTag c) {
    TagRequest request = c.request();
    if (state.closing()) {
      return notFound(c.replyTo());
    }
    if (state.running().contains(request.name())) {
      return refused(
          c.replyTo(),
          ErrorCode.ALREADY_EXISTS,
          "tag '%s' of group '%s' is being taken",
          request.name(),
          name);
    }
    if (holding.isPresent() && queued.size() < QUEUED_MAX) {
      queued.add(c);
      return Effect().noReply();
    }
    if (holding.isPresent()) {
      return refused(
          c.replyTo(),
          ErrorCode.BUSY,
          "the volumes of group '%s' are held for tag '%s'; try again at once",
          name,
          holding.get());
    }
    if (state.running().size() >= RUNNING_MAX) {
      return refused(
          c.replyTo(), ErrorCode.LIMIT, "%d tags wait for the journal", state.running().size());
    }
    waiting.computeIfAbsent(request.name(), tag -> new ArrayList<>()).add(c.replyTo());
    return begin(
        state,
        new TagSpec(
            state.id(),
            name,
            request.name(),
            state.volumes(),
            request.application(),
            request.applications(),
            "",
            request.notes(),
            now(),
            request.expiresMicros()));
  }

  /** Noted first, so that it is never forgotten (U2). */
  private ReplyEffect<GroupEvent, GroupState> begin(Live state, TagSpec spec) {
    holding = Optional.of(spec.name());
    return Effect()
        .persist((GroupEvent) new TaggingBegan(spec.name()))
        .thenRun(
            () -> tag(state, spec.name()).tell(new ConsistencyTag.RequestTag(spec, tagReplies)))
        .thenNoReply();
  }

  private RecipientRef<ConsistencyTag.Command> tag(Live state, String tag) {
    return parts.tags().apply(state.id(), tag);
  }

  private ReplyEffect<GroupEvent, GroupState> onTagSaid(Live state, TagSaid c) {
    if (c.reply() instanceof ConsistencyTag.WasMarked m) {
      freed(m.name());
      return Effect().noReply();
    }
    if (c.reply() instanceof ConsistencyTag.Settled m) {
      announce(m.summary());
      return ended(state, m.summary().spec().name(), new Tagged(m.summary()));
    }
    if (c.reply() instanceof ConsistencyTag.Refused m) {
      return m.code() == ErrorCode.BUSY
          ? Effect().noReply()
          : ended(state, m.name(), new Refused(m.code(), m.message()));
    }
    if (c.reply() instanceof ConsistencyTag.Gone m) {
      return ended(
          state,
          m.name(),
          new Refused(ErrorCode.FAILED, "the tag was never begun: its group's node was lost"));
    }
    return Effect().noReply();
  }

  private void freed(String tag) {
    if (holding.equals(Optional.of(tag))) {
      holding = Optional.empty();
      // All of them: the first may be refused, and then it is the next one's turn.
      queued.forEach(context.getSelf()::tell);
      queued.clear();
    }
  }

  private ReplyEffect<GroupEvent, GroupState> ended(Live state, String tag, Reply answer) {
    freed(tag);
    List<ActorRef<Reply>> askers = waiting.remove(tag);
    if (!state.running().contains(tag)) {
      return Effect().noReply();
    }
    return Effect()
        .persist((GroupEvent) new TaggingEnded(tag))
        .thenRun(() -> reply(askers, answer))
        .thenNoReply();
  }

  private static void reply(List<ActorRef<Reply>> askers, Reply answer) {
    if (askers != null) {
      askers.forEach(asker -> asker.tell(answer));
    }
  }

  /** What a schedule commits every second is no news; that it fails is, now and then. */
  private void announce(TagSummary tag) {
    String what = "tag '" + tag.spec().name() + "' ";
    boolean scheduled = !tag.spec().schedule().isEmpty();
    if (tag.committed() && !scheduled) {
      tell("tag-committed", what + "committed; held for " + tag.holdMicros() + " us");
    } else if (!tag.committed() && (!scheduled || now() - toldMicros > TOLD_EVERY_MICROS)) {
      toldMicros = now();
      tell("tag-failed", what + "failed: " + tag.reason());
    }
  }

  // ---- locks ----------------------------------------------------------------------------------

  private ReplyEffect<GroupEvent, GroupState> onLockTag(Live state, LockTag c) {
    boolean noted = state.locked().containsKey(c.tag());
    if (c.locked() && !noted && state.locked().size() >= LOCKED_MAX) {
      return refused(
          c.replyTo(),
          ErrorCode.LIMIT,
          "group '%s' has %d locked tags, the most there may be; unlock some",
          name,
          LOCKED_MAX);
    }
    context.ask(
        ConsistencyTag.Reply.class,
        tag(state, c.tag()),
        TAG_ANSWERS_WITHIN,
        ref -> new ConsistencyTag.LockTag(c.tag(), c.locked(), ref),
        (answer, failure) -> new Locked(c, answer, failure));
    return Effect().noReply();
  }

  private ReplyEffect<GroupEvent, GroupState> onLocked(Live state, Locked c) {
    ActorRef<Reply> asker = c.request().replyTo();
    if (c.failure() != null) {
      return refused(
          asker, ErrorCode.NOT_ACKNOWLEDGED, "the tag did not answer in time; try again");
    }
    if (c.reply() instanceof ConsistencyTag.Refused m) {
      return Effect().reply(asker, new Refused(m.code(), m.message()));
    }
    if (!(c.reply() instanceof ConsistencyTag.Described m)) {
      return refused(
          asker,
          ErrorCode.NOT_FOUND,
          "group '%s' has no tag '%s'",
          name,
          Refusal.printable(c.request().tag()));
    }
    String tag = c.request().tag();
    boolean locked = m.summary().locked();
    if (state.locked().containsKey(tag) == locked) {
      return Effect().reply(asker, new Tagged(m.summary()));
    }
    if (!locked) {
      sweptUntil = 0; // it may have expired long ago
    }
    GroupEvent noted = locked ? new LockNoted(tag, m.summary().marks()) : new UnlockNoted(tag);
    return Effect()
        .persist(noted)
        .thenRun(
            () ->
                tell(
                    locked ? "tag-locked" : "tag-unlocked",
                    "tag '" + tag + (locked ? "' is kept" : "' may expire")))
        .thenReply(asker, next -> (Reply) new Tagged(m.summary()));
  }

  // ---- waking, sweeping -----------------------------------------------------------------------

  private ReplyEffect<GroupEvent, GroupState> onWake(Live state, Wake c) {
    list(state);
    start(state);
    for (String tag : state.running()) {
      tag(state, tag).tell(new ConsistencyTag.ResumeTag(tag, tagReplies));
    }
    return Effect().noReply();
  }

  private void sweepSoon() {
    timers.startSingleTimer(SWEEP, new Sweep(), SWEEP_GOES_ON);
  }

  /** Removes expired tags, all of a group that is being deleted, a few at a time. */
  private ReplyEffect<GroupEvent, GroupState> onSweep(Live state, Sweep c) {
    if (sweeping) {
      return Effect().noReply();
    }
    sweeping = true;
    long now = now();
    long since = Math.max(sweptUntil, state.createdMicros());
    CompletionStage<List<TagRow>> rows =
        state.closing()
            ? parts
                .catalog()
                .find(state.id(), new TagCatalog.Query(0, Long.MAX_VALUE, "", SWEEP_ROWS))
                .thenApply(TagCatalog.Page::rows)
            : parts.catalog().due(state.id(), since, now, SWEEP_ROWS);
    context.pipeToSelf(
        rows.thenCompose(found -> removeAll(state, found).thenApply(done -> found)),
        (found, failure) -> {
          if (failure != null) {
            return new Swept(0, false, false, failure);
          }
          boolean full = found.size() >= SWEEP_ROWS;
          long last = found.isEmpty() ? now : found.get(found.size() - 1).expiresMicros();
          return new Swept(full ? last : last + 1, !found.isEmpty(), found.isEmpty(), null);
        });
    return Effect().noReply();
  }

  private CompletionStage<Void> removeAll(Live state, List<TagRow> rows) {
    CompletionStage<Void> done = CompletableFuture.completedStage(null);
    for (TagRow row : rows) {
      done = done.thenCompose(nothing -> removeOne(state, row));
    }
    return done;
  }

  /** A locked tag loses its place among the expiring; unlocking gives it a new one. */
  private CompletionStage<Void> removeOne(Live state, TagRow row) {
    CompletionStage<ConsistencyTag.Reply> answer =
        akka.actor.typed.javadsl.AskPattern.ask(
            tag(state, row.name()),
            (ActorRef<ConsistencyTag.Reply> ref) -> new ConsistencyTag.RemoveTag(row.name(), ref),
            TAG_ANSWERS_WITHIN,
            context.getSystem().scheduler());
    return answer.thenCompose(
        reply ->
            reply instanceof ConsistencyTag.Gone
                ? parts
                    .catalog()
                    .remove(row)
                    .thenCompose(
                        done ->
                            parts
                                .purge()
                                .purge(ConsistencyTag.persistenceIdOf(state.id(), row.name())))
                : CompletableFuture.completedStage(null));
  }

  private ReplyEffect<GroupEvent, GroupState> onSwept(Live state, Swept c) {
    sweeping = false;
    if (c.failure() != null) {
      context.getLog().warn("group {}: expired tags could not be removed", name, c.failure());
    } else if (state.closing() && c.empty()) {
      return Effect()
          .persist((GroupEvent) new GroupDeleted())
          .thenRun(
              () -> {
                timers.cancelAll();
                unlist();
              })
          .thenNoReply();
    } else if (!state.closing()) {
      sweptUntil = Math.max(sweptUntil, c.untilMicros());
    }
    boolean goOn = c.failure() == null && (c.more() || state.closing());
    timers.startSingleTimer(
        SWEEP, new Sweep(), goOn ? SWEEP_GOES_ON : parts.settings().sweepEvery());
    return Effect().noReply();
  }

  // ---- events, signals ------------------------------------------------------------------------

  @Override
  public EventHandler<GroupState, GroupEvent> eventHandler() {
    return GroupState::apply;
  }

  @Override
  public SignalHandler<GroupState> signalHandler() {
    return newSignalHandlerBuilder()
        .onSignal(RecoveryCompleted.instance(), this::onRecovered)
        .build();
  }

  private void onRecovered(GroupState state) {
    waiting.clear();
    queued.clear();
    sweeping = false;
    holding = Optional.empty();
    if (state instanceof Live live) {
      // Until it says otherwise, volumes may be held for the newest; any of them answers the wake.
      live.running().forEach(tag -> holding = Optional.of(tag));
      context.getSelf().tell(new Wake());
    }
  }

  /** What was taken and has settled long ago is in the catalog: old events are not needed. */
  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, SNAPSHOTS_KEPT)
        .withDeleteEventsOnSnapshot();
  }

  // ---- what is told ---------------------------------------------------------------------------

  private long now() {
    return parts.clock().micros();
  }

  private void tell(String type, String message) {
    parts
        .events()
        .accept(
            new SiteEvent(
                new MicroTime(now()), type, Optional.empty(), Optional.of(name), message));
  }

  private GroupSummary summary(Live state) {
    return new GroupSummary(
        name,
        state.id(),
        state.closing() ? "Closing" : state.running().isEmpty() ? "Open" : "Tagging",
        state.volumes(),
        state.createdMicros(),
        List.copyOf(state.schedules().values()),
        List.copyOf(state.running()),
        state.locked());
  }
}
