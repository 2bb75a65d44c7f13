package io.tidemark.tag;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
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
import akka.persistence.typed.javadsl.SignalHandler;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.catalog.TagRow;
import io.tidemark.order.ApplicationResult;
import io.tidemark.order.Holds;
import io.tidemark.order.OrderKind;
import io.tidemark.order.Quiescing;
import io.tidemark.order.TapOrder;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.tag.TagEvent.TagAdopted;
import io.tidemark.tag.TagEvent.TagCommitted;
import io.tidemark.tag.TagEvent.TagFailed;
import io.tidemark.tag.TagEvent.TagHolding;
import io.tidemark.tag.TagEvent.TagLocked;
import io.tidemark.tag.TagEvent.TagMarked;
import io.tidemark.tag.TagEvent.TagQuiescing;
import io.tidemark.tag.TagEvent.TagRemoved;
import io.tidemark.tag.TagEvent.TagRequested;
import io.tidemark.tag.TagState.Absent;
import io.tidemark.tag.TagState.Committed;
import io.tidemark.tag.TagState.Failed;
import io.tidemark.tag.TagState.Final;
import io.tidemark.tag.TagState.Holding;
import io.tidemark.tag.TagState.Known;
import io.tidemark.tag.TagState.Marked;
import io.tidemark.tag.TagState.Running;
import io.tidemark.volume.VolumeEntity;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * One tag of a group: takes it, keeps it, and answers what it is. Diagram and invariants: {@link
 * io.tidemark.tag}.
 */
public final class ConsistencyTag
    extends EventSourcedBehaviorWithEnforcedReplies<ConsistencyTag.Command, TagEvent, TagState> {

  public static final EntityTypeKey<Command> TYPE_KEY = EntityTypeKey.create(Command.class, "tag");

  /** Members of a group; an order's id has room for no more. */
  public static final int VOLUMES_MAX = 64;

  private static final Duration RELEASE_WITHIN = Duration.ofSeconds(2);
  private static final Duration RESTART_BACKOFF_MAX = Duration.ofSeconds(3);
  private static final Duration POLL_FIRST = Duration.ofMillis(10);
  private static final Duration POLL_MAX = Duration.ofMillis(250);
  private static final Duration CATALOG_RETRY = Duration.ofSeconds(1);
  private static final int WATCHERS_MAX = 64;
  private static final String STEP = "step";
  private static final String POLL = "poll";
  private static final String CATALOG = "catalog";

  // Parts of a request's id: the tag's owner number, what is asked, and which volume.
  private static final long OWNER_MASK = 0x7fff_ffff_ffff_0000L;
  private static final int FIND = 0x20;
  private static final int CONFIRM = 0x21;

  // ---- protocol -------------------------------------------------------------------------------

  /** What a tag is asked. */
  public sealed interface Command {}

  /**
   * Begins the tag. Replies {@link WasMarked} once no volume is held any more and {@link Settled}
   * at the end, {@link Settled} alone when it fails before; {@link Refused} with {@code
   * ALREADY_EXISTS} when there is another of the name. Repeating it with the same spec is safe.
   */
  @JsonTypeName("request-tag")
  public record RequestTag(TagSpec spec, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Takes over what another site committed. Replies {@link Settled} once the catalog has it; {@link
   * Refused} with {@code ALREADY_EXISTS} when there is another of the name. Safe to repeat.
   *
   * @param spec with the id that the group has here
   * @param marks with the ids that the volumes have here; their journals reach them
   */
  @JsonTypeName("adopt-tag")
  public record AdoptTag(
      TagSpec spec,
      List<ApplicationResult> applications,
      List<TagMark> marks,
      long timeMicros,
      ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies as {@link RequestTag} does for a tag that was begun; {@link Gone} for none. */
  @JsonTypeName("resume-tag")
  public record ResumeTag(String name, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Described} or {@link Gone}. */
  @JsonTypeName("get-tag")
  public record GetTag(String name, ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Locks or unlocks. Replies {@link Described} or {@link Gone}; {@code BUSY} while it is being
   * taken, {@code INVALID} when it failed. Safe to repeat.
   */
  @JsonTypeName("lock-tag")
  public record LockTag(String name, boolean locked, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Forgets it. Replies {@link Gone}; {@code BUSY} while it is locked or being taken. The catalog's
   * row is the asker's to remove. Safe to repeat.
   */
  @JsonTypeName("remove-tag")
  public record RemoveTag(String name, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  private record VolumeSaid(VolumeEntity.Reply reply) implements Command {}

  private record StepTimedOut(Step step) implements Command {}

  private record PollMarks() implements Command {}

  private record Cataloged(TagSummary summary, Throwable failure) implements Command {}

  private record PutAgain() implements Command {}

  private record Recovered() implements Command {}

  /** What a tag answers. */
  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("tag-described")
  public record Described(TagSummary summary) implements Reply {}

  /** No volume is held for it any more; it may still fail. */
  @JsonTypeName("tag-was-marked")
  public record WasMarked(String name) implements Reply {}

  /** It is committed or failed, and in the catalog. */
  @JsonTypeName("tag-settled")
  public record Settled(TagSummary summary) implements Reply {}

  /** There is no tag of the name. */
  @JsonTypeName("tag-gone")
  public record Gone(String name) implements Reply {}

  @JsonTypeName("tag-refused")
  public record Refused(String name, ErrorCode code, String message) implements Reply {
    public Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  // ---- construction ---------------------------------------------------------------------------

  private enum Step {
    NONE,
    FINDING,
    QUIESCING,
    HOLDING,
    RELEASING,
    COMMITTING
  }

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final TagParts parts;
  private final ActorRef<VolumeEntity.Reply> answers;

  // What is under way; lost with the actor, and then resumed by what was persisted (G3).
  private final Set<ActorRef<Reply>> watchers = new HashSet<>();
  private final Map<Integer, VolumeEntity.TapFound> taps = new TreeMap<>();
  private final Map<Integer, Holds.Held> held = new TreeMap<>();

  /** Volumes that are ordered together with another one, by that one. */
  private final Map<Integer, List<Integer>> together = new TreeMap<>();

  private final Map<Integer, Holds.Released> released = new TreeMap<>();
  private final Set<Integer> awaited = new HashSet<>();
  private final Set<Integer> quiesced = new HashSet<>();
  private final Set<Integer> thawing = new HashSet<>();
  private final List<ApplicationResult> results = new ArrayList<>();
  private final List<ApplicationResult> thawed = new ArrayList<>();
  private Step step = Step.NONE;
  private long owner;
  private Duration poll = POLL_FIRST;

  /**
   * @param entityId as {@link #entityId} makes it
   */
  public static Behavior<Command> create(String entityId, TagParts parts) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(timers -> new ConsistencyTag(context, timers, entityId, parts)));
  }

  /** The entity of a tag: a name belongs to an incarnation of a group. */
  public static String entityId(UUID group, String name) {
    return group + "/" + name;
  }

  public static String persistenceIdOf(UUID group, String name) {
    return PersistenceId.of(TYPE_KEY.name(), entityId(group, name)).id();
  }

  private ConsistencyTag(
      ActorContext<Command> context,
      TimerScheduler<Command> timers,
      String entityId,
      TagParts parts) {
    super(
        PersistenceId.of(TYPE_KEY.name(), entityId),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(200), RESTART_BACKOFF_MAX, 0.2));
    this.context = context;
    this.timers = timers;
    this.parts = parts;
    this.answers = context.messageAdapter(VolumeEntity.Reply.class, VolumeSaid::new);
  }

  @Override
  public TagState emptyState() {
    return TagState.EMPTY;
  }

  // ---- commands -------------------------------------------------------------------------------

  @Override
  public CommandHandlerWithReply<Command, TagEvent, TagState> commandHandler() {
    var handlers = newCommandHandlerWithReplyBuilder();
    handlers
        .forStateType(Absent.class)
        .onCommand(RequestTag.class, this::onRequest)
        .onCommand(AdoptTag.class, this::onAdopt)
        .onCommand(ResumeTag.class, c -> gone(c.name(), c.replyTo()))
        .onCommand(GetTag.class, c -> gone(c.name(), c.replyTo()))
        .onCommand(LockTag.class, c -> gone(c.name(), c.replyTo()))
        .onCommand(RemoveTag.class, c -> gone(c.name(), c.replyTo()));
    handlers
        .forStateType(Known.class)
        .onCommand(RequestTag.class, this::onRequestAgain)
        .onCommand(AdoptTag.class, this::onAdoptAgain)
        .onCommand(ResumeTag.class, (s, c) -> watch(s, c.replyTo()))
        .onCommand(GetTag.class, (s, c) -> described(s, c.replyTo()));
    handlers
        .forStateType(Running.class)
        .onCommand(LockTag.class, c -> busy(c.name(), c.replyTo()))
        .onCommand(RemoveTag.class, c -> busy(c.name(), c.replyTo()))
        .onCommand(VolumeSaid.class, this::onVolumeSaid)
        .onCommand(StepTimedOut.class, this::onStepTimedOut)
        .onCommand(PollMarks.class, this::onPollMarks)
        .onCommand(Recovered.class, this::onRecoveredRunning);
    handlers
        .forStateType(Committed.class)
        .onCommand(LockTag.class, this::onLock)
        .onCommand(RemoveTag.class, this::onRemoveCommitted);
    handlers
        .forStateType(Failed.class)
        .onCommand(LockTag.class, this::onLockFailed)
        .onCommand(RemoveTag.class, c -> remove(c));
    handlers
        .forStateType(Final.class)
        .onCommand(Cataloged.class, this::onCataloged)
        .onCommand(PutAgain.class, this::onPutAgain);
    handlers
        .forAnyState()
        // Only what was under way for a tag that has settled, or was removed since.
        .onCommand(VolumeSaid.class, c -> Effect().noReply())
        .onCommand(StepTimedOut.class, c -> Effect().noReply())
        .onCommand(PollMarks.class, c -> Effect().noReply())
        .onCommand(Recovered.class, c -> Effect().noReply())
        .onCommand(Cataloged.class, c -> Effect().noReply())
        .onCommand(PutAgain.class, c -> Effect().noReply());
    return handlers.build();
  }

  private ReplyEffect<TagEvent, TagState> gone(String name, ActorRef<Reply> replyTo) {
    return Effect().reply(replyTo, new Gone(name));
  }

  private ReplyEffect<TagEvent, TagState> described(Known state, ActorRef<Reply> replyTo) {
    return Effect().reply(replyTo, new Described(state.summary()));
  }

  private ReplyEffect<TagEvent, TagState> busy(String name, ActorRef<Reply> replyTo) {
    return Effect()
        .reply(
            replyTo,
            new Refused(name, ErrorCode.BUSY, "tag '" + name + "' is being taken; try again soon"));
  }

  private ReplyEffect<TagEvent, TagState> onRequest(Absent state, RequestTag c) {
    return Effect()
        .persist((TagEvent) new TagRequested(c.spec()))
        .thenRun(
            () -> {
              watchers.add(c.replyTo());
              find(c.spec());
            })
        .thenNoReply();
  }

  private ReplyEffect<TagEvent, TagState> onAdopt(Absent state, AdoptTag c) {
    return Effect()
        .persist((TagEvent) new TagAdopted(c.spec(), c.applications(), c.marks(), c.timeMicros()))
        .thenRun(
            (TagState next) -> {
              watchers.add(c.replyTo());
              catalog(((Final) next).summary());
            })
        .thenNoReply();
  }

  private ReplyEffect<TagEvent, TagState> onAdoptAgain(Known state, AdoptTag c) {
    return state.spec().equals(c.spec())
        ? watch(state, c.replyTo())
        : exists(c.spec(), c.replyTo());
  }

  private ReplyEffect<TagEvent, TagState> exists(TagSpec spec, ActorRef<Reply> replyTo) {
    return Effect()
        .reply(
            replyTo,
            new Refused(
                spec.name(),
                ErrorCode.ALREADY_EXISTS,
                "group '%s' has a tag '%s' already; choose another name"
                    .formatted(spec.group(), spec.name())));
  }

  private ReplyEffect<TagEvent, TagState> onRequestAgain(Known state, RequestTag c) {
    return state.spec().equals(c.spec())
        ? watch(state, c.replyTo())
        : exists(c.spec(), c.replyTo());
  }

  /** Who asks about a tag that has settled is told once the catalog has it, too (G5). */
  private ReplyEffect<TagEvent, TagState> watch(Known state, ActorRef<Reply> replyTo) {
    if (watchers.size() >= WATCHERS_MAX) {
      return busy(state.spec().name(), replyTo);
    }
    watchers.add(replyTo);
    if (state instanceof Marked) {
      replyTo.tell(new WasMarked(state.spec().name()));
    }
    if (state instanceof Final) {
      catalog(state.summary());
    }
    return Effect().noReply();
  }

  // ---- finding the taps -----------------------------------------------------------------------

  private void begin(Step next, Duration within) {
    step = next;
    awaited.clear();
    timers.startSingleTimer(STEP, new StepTimedOut(next), within);
  }

  private void find(TagSpec spec) {
    owner = parts.ids().getAsLong() & OWNER_MASK;
    begin(Step.FINDING, parts.settings().findWithin());
    for (int i = 0; i < spec.volumes().size(); i++) {
      awaited.add(i);
      volume(spec, i).tell(new VolumeEntity.FindTap(id(FIND, i), answers));
    }
  }

  private akka.actor.typed.RecipientRef<VolumeEntity.Command> volume(TagSpec spec, int index) {
    return parts.volumes().apply(spec.volumes().get(index));
  }

  private long id(int what, int index) {
    return owner | (long) what << 8 | index;
  }

  private ReplyEffect<TagEvent, TagState> onVolumeSaid(Running state, VolumeSaid c) {
    if (c.reply() instanceof VolumeEntity.TapFound m && ours(m.call(), FIND)) {
      return onFound(state, index(m.call()), m);
    }
    if (c.reply() instanceof VolumeEntity.OrderDone m) {
      return onOrderDone(state, m);
    }
    if (c.reply() instanceof VolumeEntity.MarkJournaled m && ours(m.call(), CONFIRM)) {
      return onJournaled(state, index(m.call()));
    }
    if (c.reply() instanceof VolumeEntity.Refused m && (m.call() & OWNER_MASK) == owner) {
      return onRefused(state, m);
    }
    return Effect().noReply();
  }

  private boolean ours(long call, int what) {
    return (call & OWNER_MASK) == owner && what(call) == what;
  }

  private static int what(long call) {
    return (int) (call >> 8) & 0xff;
  }

  private static int index(long call) {
    return (int) call & 0xff;
  }

  private ReplyEffect<TagEvent, TagState> onFound(
      Running state, int index, VolumeEntity.TapFound found) {
    if (step != Step.FINDING || !awaited.remove(index)) {
      return Effect().noReply();
    }
    if (found.dark()) {
      return fail(
          state,
          ErrorCode.DARK_INTERVAL,
          "volume '%s' is being synchronised; it has no recovery points now"
              .formatted(state.spec().volumes().get(index)));
    }
    taps.put(index, found);
    if (!awaited.isEmpty()) {
      return Effect().noReply();
    }
    if (!state.spec().application()) {
      return Effect()
          .persist((TagEvent) new TagHolding(owner, List.of()))
          .thenRun((TagState next) -> hold((Running) next))
          .thenNoReply();
    }
    return Effect()
        .persist((TagEvent) new TagQuiescing(owner))
        .thenRun((TagState next) -> quiesce((Running) next))
        .thenNoReply();
  }

  // ---- quiescing ------------------------------------------------------------------------------

  /** Once on each host: a tap process has one address for all its volumes. */
  private Set<Integer> hosts() {
    Map<String, Integer> first = new LinkedHashMap<>();
    taps.forEach((index, tap) -> first.putIfAbsent(tap.address(), index));
    return new HashSet<>(first.values());
  }

  private void quiesce(Running state) {
    Duration within = parts.settings().quiesceWithin();
    begin(Step.QUIESCING, within);
    byte[] body = new Quiescing.Request(owner, state.spec().applications()).encode();
    for (int index : hosts()) {
      awaited.add(index);
      order(index, OrderKind.QUIESCE, within, body);
    }
  }

  /** Straight to the session: what a volume has to persist first must not lengthen a hold. */
  private void order(int index, OrderKind kind, Duration within, byte[] body) {
    long deadline = parts.clock().micros() + within.toNanos() / 1_000;
    taps.get(index)
        .tap()
        .tell(
            new VolumeEntity.PassOrder(
                new TapOrder(id(kind.code(), index), kind, deadline, body), answers));
  }

  private ReplyEffect<TagEvent, TagState> onOrderDone(Running state, VolumeEntity.OrderDone m) {
    int index = index(m.call());
    if (ours(m.call(), OrderKind.THAW.code()) && thawing.remove(index)) {
      // After a crash of this actor every volume is asked, and a tap answers for each of its own.
      Quiescing.decode(m.body()).stream().filter(r -> !thawed.contains(r)).forEach(thawed::add);
      return maybeCommit(state);
    }
    if (ours(m.call(), OrderKind.QUIESCE.code()) && awaits(Step.QUIESCING, index)) {
      List<ApplicationResult> said = Quiescing.decode(m.body());
      results.addAll(said);
      if (!said.isEmpty()) {
        quiesced.add(index);
      }
      return awaited.isEmpty() ? quiesced(state) : Effect().noReply();
    }
    if (ours(m.call(), OrderKind.HOLD.code()) && awaits(Step.HOLDING, index)) {
      return onHeld(state, index, m.body());
    }
    if (ours(m.call(), OrderKind.RELEASE.code()) && awaits(Step.RELEASING, index)) {
      return onReleased(state, index, m.body());
    }
    return Effect().noReply();
  }

  private boolean awaits(Step expected, int index) {
    return step == expected && awaited.remove(index);
  }

  private ReplyEffect<TagEvent, TagState> quiesced(Running state) {
    Optional<ApplicationResult> without = without(results);
    if (without.isPresent()) {
      return fail(
          state,
          ErrorCode.FAILED,
          "application '%s' could not be made consistent: %s"
              .formatted(
                  Refusal.printable(without.get().application()),
                  Refusal.printable(without.get().output())));
    }
    Set<String> found =
        results.stream().map(ApplicationResult::application).collect(Collectors.toSet());
    for (String wanted : state.spec().applications()) {
      if (!found.contains(wanted)) {
        return fail(
            state,
            ErrorCode.NOT_FOUND,
            "no tap of group '%s' has an application '%s'; see the taps' settings"
                .formatted(state.spec().group(), Refusal.printable(wanted)));
      }
    }
    if (found.isEmpty()) {
      return fail(
          state,
          ErrorCode.NOT_FOUND,
          "no tap of group '%s' has an application; ask for a crash-consistent tag"
              .formatted(state.spec().group()));
    }
    return Effect()
        .persist((TagEvent) new TagHolding(owner, List.copyOf(results)))
        .thenRun((TagState next) -> hold((Running) next))
        .thenNoReply();
  }

  /** The first failure for which there is no tag by its policy (G7). */
  private static Optional<ApplicationResult> without(List<ApplicationResult> results) {
    return results.stream()
        .filter(result -> result.doubtful() && !result.crashAllowed())
        // What was given up because another one failed says less than that one.
        .max(Comparator.comparing((ApplicationResult result) -> !result.output().isEmpty()));
  }

  // ---- holding --------------------------------------------------------------------------------

  /** One order for each tap; each of a tap's volumes on its own if the tap has others (G1). */
  private void hold(Running state) {
    begin(Step.HOLDING, parts.settings().holdLimit());
    Map<String, List<Integer>> byTap = new LinkedHashMap<>();
    taps.forEach(
        (index, tap) ->
            byTap.computeIfAbsent(tap.address(), address -> new ArrayList<>()).add(index));
    together.clear();
    for (List<Integer> indexes : byTap.values()) {
      awaited.addAll(indexes);
      orderHold(state, indexes.get(0), indexes.subList(1, indexes.size()));
    }
  }

  private void orderHold(Running state, int index, List<Integer> companions) {
    together.put(index, List.copyOf(companions));
    byte[] body =
        new Holds.Hold(owner, parts.settings().holdMicros(), names(state, companions)).encode();
    order(index, OrderKind.HOLD, parts.settings().holdLimit(), body);
  }

  private static List<String> names(Running state, List<Integer> indexes) {
    return indexes.stream().map(i -> state.spec().volumes().get(i).value()).toList();
  }

  private ReplyEffect<TagEvent, TagState> onHeld(Running state, int index, byte[] body) {
    List<Integer> asked = together.get(index);
    List<Optional<Holds.Held>> answers = Holds.Held.decode(body, asked.size());
    held.put(index, answers.get(0).orElseThrow());
    List<Integer> there = new ArrayList<>();
    for (int i = 0; i < asked.size(); i++) {
      int companion = asked.get(i);
      Optional<Holds.Held> answer = answers.get(i + 1);
      if (answer.isPresent()) {
        held.put(companion, answer.get());
        awaited.remove(companion);
        there.add(companion);
      } else {
        orderHold(state, companion, List.of());
      }
    }
    together.put(index, there);
    if (awaited.isEmpty()) {
      release(state); // G1
    }
    return Effect().noReply();
  }

  private void release(Running state) {
    begin(Step.RELEASING, RELEASE_WITHIN);
    together.forEach(
        (index, companions) -> {
          awaited.add(index);
          awaited.addAll(companions);
          byte[] body = new Holds.Release(owner, names(state, companions)).encode();
          order(index, OrderKind.RELEASE, RELEASE_WITHIN, body);
        });
  }

  private ReplyEffect<TagEvent, TagState> onReleased(Running state, int index, byte[] body) {
    List<Integer> companions = together.get(index);
    List<Holds.Released> all = Holds.Released.decode(body, companions.size());
    released.put(index, all.get(0));
    for (int i = 0; i < companions.size(); i++) {
      released.put(companions.get(i), all.get(i + 1));
      awaited.remove(companions.get(i));
    }
    return awaited.isEmpty() ? attested(state) : Effect().noReply();
  }

  private ReplyEffect<TagEvent, TagState> attested(Running state) {
    List<TagMark> marks = new ArrayList<>();
    for (int i = 0; i < state.spec().volumes().size(); i++) {
      VolumeEntity.TapFound tap = taps.get(i);
      VolumeName name = state.spec().volumes().get(i);
      if (!released.get(i).unbroken()) {
        return fail(
            state,
            ErrorCode.HOLD_TIMEOUT,
            "the tap of volume '%s' ended its hold by itself before all volumes were held"
                .formatted(name));
      }
      marks.add(
          new TagMark(
              name,
              tap.volume(),
              tap.session(),
              tap.gaps(),
              held.get(i).mark().value(),
              held.get(i).time().micros(),
              released.get(i).heldMicros()));
    }
    marks.forEach(mark -> parts.holds().held(mark.holdMicros()));
    if (state.spec().application()) {
      thaw(state.spec(), quiesced); // applications need not wait for what is persisted next
    }
    return Effect()
        .persist((TagEvent) new TagMarked(marks, parts.clock().micros()))
        .thenRun((TagState next) -> commit((Marked) next))
        .thenNoReply();
  }

  // ---- committing -----------------------------------------------------------------------------

  private void commit(Marked state) {
    watchers.forEach(watcher -> watcher.tell(new WasMarked(state.spec().name())));
    begin(Step.COMMITTING, parts.settings().commitWithin());
    for (int i = 0; i < state.marks().size(); i++) {
      awaited.add(i);
    }
    poll = POLL_FIRST;
    confirm(state);
  }

  private void thaw(TagSpec spec, Set<Integer> indexes) {
    Duration within = parts.settings().quiesceWithin();
    long deadline = parts.clock().micros() + within.toNanos() / 1_000;
    byte[] body = new Quiescing.Request(owner, List.of()).encode();
    for (int index : indexes) {
      thawing.add(index);
      TapOrder order =
          new TapOrder(id(OrderKind.THAW.code(), index), OrderKind.THAW, deadline, body);
      volume(spec, index).tell(new VolumeEntity.OrderTap(order, answers));
    }
  }

  private void confirm(Marked state) {
    for (int index : awaited) {
      TagMark mark = state.marks().get(index);
      volume(state.spec(), index)
          .tell(
              new VolumeEntity.ConfirmMark(
                  id(CONFIRM, index), mark.id(), mark.session(), mark.gaps(), mark.seq(), answers));
    }
    timers.startSingleTimer(POLL, new PollMarks(), poll);
    Duration longer = poll.multipliedBy(2);
    poll = longer.compareTo(POLL_MAX) < 0 ? longer : POLL_MAX;
  }

  private ReplyEffect<TagEvent, TagState> onPollMarks(Running state, PollMarks c) {
    if (step == Step.COMMITTING && state instanceof Marked marked) {
      confirm(marked);
    }
    return Effect().noReply();
  }

  private ReplyEffect<TagEvent, TagState> onJournaled(Running state, int index) {
    if (step == Step.COMMITTING) {
      awaited.remove(index);
      return maybeCommit(state);
    }
    return Effect().noReply();
  }

  private ReplyEffect<TagEvent, TagState> maybeCommit(Running state) {
    if (step != Step.COMMITTING || !awaited.isEmpty() || !thawing.isEmpty()) {
      return Effect().noReply();
    }
    Optional<ApplicationResult> without = without(thawed);
    if (without.isPresent()) {
      return fail(
          state,
          ErrorCode.FAILED,
          "application '%s' may have gone on before its volumes were held: %s"
              .formatted(
                  Refusal.printable(without.get().application()),
                  Refusal.printable(without.get().output())));
    }
    return Effect()
        .persist((TagEvent) new TagCommitted(List.copyOf(thawed), parts.clock().micros()))
        .thenRun((TagState next) -> settled((Final) next))
        .thenNoReply();
  }

  // ---- failing --------------------------------------------------------------------------------

  private ReplyEffect<TagEvent, TagState> onRefused(Running state, VolumeEntity.Refused m) {
    int index = index(m.call());
    String volume = "volume '" + state.spec().volumes().get(index) + "': ";
    if (what(m.call()) == OrderKind.THAW.code()) {
      if (thawing.remove(index)) {
        thawed.add(notThawed(state, volume + m.message()));
      }
      return maybeCommit(state);
    }
    if (what(m.call()) == CONFIRM) {
      boolean later = m.code() == ErrorCode.NOT_ACKNOWLEDGED; // asked again, until the deadline
      return step != Step.COMMITTING || later
          ? Effect().noReply()
          : fail(state, m.code(), volume + m.message());
    }
    boolean current =
        switch (step) {
          case FINDING -> what(m.call()) == FIND;
          case QUIESCING -> what(m.call()) == OrderKind.QUIESCE.code();
          case HOLDING -> what(m.call()) == OrderKind.HOLD.code();
          case RELEASING -> what(m.call()) == OrderKind.RELEASE.code();
          case NONE, COMMITTING -> false;
        };
    return current ? fail(state, m.code(), volume + m.message()) : Effect().noReply();
  }

  private ReplyEffect<TagEvent, TagState> onStepTimedOut(Running state, StepTimedOut c) {
    if (c.step() != step) {
      return Effect().noReply();
    }
    String waiting =
        awaited.stream()
            .sorted()
            .map(i -> "'" + state.spec().volumes().get(i) + "'")
            .limit(10)
            .collect(Collectors.joining(", "));
    return switch (step) {
      case HOLDING ->
          fail(state, ErrorCode.HOLD_TIMEOUT, "not held within the limit: volumes " + waiting);
      case RELEASING ->
          fail(state, ErrorCode.HOLD_TIMEOUT, "not attested by the taps of volumes " + waiting);
      case COMMITTING -> committedLate(state, waiting);
      case FINDING ->
          fail(state, ErrorCode.NOT_ACKNOWLEDGED, "no answer in time from volumes " + waiting);
      case QUIESCING ->
          fail(
              state,
              ErrorCode.NOT_ACKNOWLEDGED,
              "applications did not become consistent in time at the taps of volumes " + waiting);
      case NONE -> Effect().noReply();
    };
  }

  /** What was journaled is a tag; of what kind, if any, is for the policies to say (G7). */
  private ReplyEffect<TagEvent, TagState> committedLate(Running state, String waiting) {
    if (!awaited.isEmpty()) {
      return fail(
          state,
          ErrorCode.NOT_ACKNOWLEDGED,
          "the journal did not reach the marks in time: volumes " + waiting);
    }
    for (int index : thawing) {
      String volume = state.spec().volumes().get(index).value();
      thawed.add(notThawed(state, "no answer: volume '" + volume + "'"));
    }
    thawing.clear();
    return maybeCommit(state);
  }

  /** A host that does not say how long its applications were stopped; it has any of them. */
  private static ApplicationResult notThawed(Running state, String why) {
    boolean crashAllowed = state.results().stream().allMatch(ApplicationResult::crashAllowed);
    return new ApplicationResult("thaw", false, -1, 0, why, true, crashAllowed);
  }

  private ReplyEffect<TagEvent, TagState> fail(Running state, ErrorCode code, String reason) {
    letGo(state);
    List<ApplicationResult> unsaid =
        state instanceof TagState.Quiescing
            ? List.copyOf(results)
            : state instanceof Marked ? List.copyOf(thawed) : List.of();
    return Effect()
        .persist((TagEvent) new TagFailed(code, reason, unsaid, parts.clock().micros()))
        .thenRun((TagState next) -> settled((Final) next))
        .thenNoReply();
  }

  /** Releases and thaws whatever may be stopped; the taps do so by themselves, too (G4). */
  private void letGo(Running state) {
    TagSpec spec = state.spec();
    long deadline = parts.clock().micros() + RELEASE_WITHIN.toNanos() / 1_000;
    if (state instanceof Holding) {
      byte[] body = new Holds.Release(owner).encode();
      for (int i = 0; i < spec.volumes().size(); i++) {
        TapOrder order =
            new TapOrder(id(OrderKind.RELEASE.code(), i), OrderKind.RELEASE, deadline, body);
        if (taps.containsKey(i)) {
          taps.get(i).tap().tell(new VolumeEntity.PassOrder(order, answers));
        } else {
          volume(spec, i).tell(new VolumeEntity.OrderTap(order, answers));
        }
      }
    }
    if (spec.application() && !(state instanceof TagState.Requested)) {
      thaw(spec, taps.isEmpty() ? everywhere(spec) : hosts());
      thawing.clear();
    }
  }

  private static Set<Integer> everywhere(TagSpec spec) {
    Set<Integer> all = new HashSet<>();
    for (int i = 0; i < spec.volumes().size(); i++) {
      all.add(i);
    }
    return all;
  }

  /** After a crash: what may be stopped goes on, and only what was attested is finished (G3). */
  private ReplyEffect<TagEvent, TagState> onRecoveredRunning(Running state, Recovered c) {
    if (step != Step.NONE) {
      return Effect().noReply();
    }
    if (state instanceof Marked marked) {
      owner = marked.owner();
      if (marked.spec().application()) {
        thaw(marked.spec(), everywhere(marked.spec()));
      }
      commit(marked);
      return Effect().noReply();
    }
    if (state instanceof Holding holding) {
      owner = holding.owner();
    } else if (state instanceof TagState.Quiescing quiescing) {
      owner = quiescing.owner();
    }
    return fail(state, ErrorCode.FAILED, "the tag's actor was lost before all volumes were held");
  }

  // ---- settled --------------------------------------------------------------------------------

  private void settled(Final state) {
    step = Step.NONE;
    timers.cancel(STEP);
    timers.cancel(POLL);
    parts.holds().settled(state instanceof Committed);
    catalog(state.summary());
  }

  private TagRow row(TagSummary summary) {
    TagSpec spec = summary.spec();
    long kept = parts.settings().failedKept().toNanos() / 1_000;
    long expires = spec.expiresMicros();
    if (!summary.committed()) {
      long shown = spec.requestedMicros() + kept;
      expires = expires == 0 ? shown : Math.min(expires, shown);
    }
    return new TagRow(
        spec.groupId(), summary.timeMicros(), spec.name(), expires, parts.bytes().apply(summary));
  }

  private void catalog(TagSummary summary) {
    context.pipeToSelf(
        parts.catalog().put(row(summary)), (done, failure) -> new Cataloged(summary, failure));
  }

  private ReplyEffect<TagEvent, TagState> onCataloged(Final state, Cataloged c) {
    if (c.failure() != null) {
      context.getLog().warn("tag {}: not in the catalog yet", state.spec().name(), c.failure());
      timers.startSingleTimer(CATALOG, new PutAgain(), CATALOG_RETRY);
      return Effect().noReply();
    }
    if (c.summary().equals(state.summary())) {
      watchers.forEach(watcher -> watcher.tell(new Settled(state.summary())));
      watchers.clear();
    }
    return Effect().noReply();
  }

  private ReplyEffect<TagEvent, TagState> onPutAgain(Final state, PutAgain c) {
    catalog(state.summary());
    return Effect().noReply();
  }

  private ReplyEffect<TagEvent, TagState> onLock(Committed state, LockTag c) {
    if (state.locked() == c.locked()) {
      return described(state, c.replyTo());
    }
    return Effect()
        .persist((TagEvent) new TagLocked(c.locked()))
        .thenRun((TagState next) -> catalog(((Final) next).summary()))
        .thenReply(c.replyTo(), next -> (Reply) new Described(((Final) next).summary()));
  }

  private ReplyEffect<TagEvent, TagState> onLockFailed(Failed state, LockTag c) {
    return Effect()
        .reply(
            c.replyTo(),
            new Refused(
                c.name(),
                ErrorCode.INVALID,
                "tag '" + c.name() + "' failed and names no point: " + state.reason()));
  }

  private ReplyEffect<TagEvent, TagState> onRemoveCommitted(Committed state, RemoveTag c) {
    return state.locked()
        ? Effect()
            .reply(
                c.replyTo(),
                new Refused(
                    c.name(), ErrorCode.BUSY, "tag '" + c.name() + "' is locked; unlock it first"))
        : remove(c);
  }

  private ReplyEffect<TagEvent, TagState> remove(RemoveTag c) {
    return Effect()
        .persist((TagEvent) new TagRemoved())
        .thenRun(() -> timers.cancel(CATALOG))
        .thenStop()
        .thenReply(c.replyTo(), next -> (Reply) new Gone(c.name()));
  }

  // ---- events, signals ------------------------------------------------------------------------

  @Override
  public EventHandler<TagState, TagEvent> eventHandler() {
    return TagState::apply;
  }

  @Override
  public SignalHandler<TagState> signalHandler() {
    return newSignalHandlerBuilder()
        .onSignal(RecoveryCompleted.instance(), this::onRecovered)
        .build();
  }

  private void onRecovered(TagState state) {
    taps.clear();
    held.clear();
    released.clear();
    awaited.clear();
    quiesced.clear();
    thawing.clear();
    results.clear();
    thawed.clear();
    step = Step.NONE;
    if (state instanceof Running) {
      context.getSelf().tell(new Recovered());
    }
  }
}
