package io.tidemark.link;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.PostStop;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.cluster.typed.Cluster;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.RecoveryCompleted;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import akka.persistence.typed.javadsl.SignalHandler;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.group.Groups;
import io.tidemark.link.LinkEvent.LaneAdvanced;
import io.tidemark.link.LinkEvent.LaneBroken;
import io.tidemark.link.LinkEvent.LaneSyncBegan;
import io.tidemark.link.LinkEvent.LinkCreated;
import io.tidemark.link.LinkEvent.LinkDeleted;
import io.tidemark.link.LinkEvent.LinkPaused;
import io.tidemark.link.LinkEvent.LinkResumed;
import io.tidemark.link.LinkEvent.LinkRulesSet;
import io.tidemark.link.LinkEvent.ResyncOrdered;
import io.tidemark.link.LinkEvent.TagsShipped;
import io.tidemark.link.LinkState.Absent;
import io.tidemark.link.LinkState.Active;
import io.tidemark.link.LinkState.Body;
import io.tidemark.link.LinkState.Lane;
import io.tidemark.link.LinkState.Live;
import io.tidemark.link.LinkState.Paused;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.replication.LaneGauge;
import io.tidemark.replication.Pace;
import io.tidemark.replication.Shipping;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.SiteEvent;
import io.tidemark.volume.VolumeEntity;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/**
 * One link: keeps a stream running for each of its volumes, opens it again when it breaks, stores
 * what the other site has acknowledged, and knows how far behind it is. Diagram and invariants:
 * {@link io.tidemark.link}.
 */
public final class ReplicationLink
    extends EventSourcedBehaviorWithEnforcedReplies<ReplicationLink.Command, LinkEvent, LinkState> {
  public static final EntityTypeKey<Command> TYPE_KEY = EntityTypeKey.create(Command.class, "link");

  private static final int SNAPSHOT_EVERY = 100;

  /** A line that could not be opened so often in a row is an event. */
  private static final int STALLED_FAILURES = 3;

  private static final Duration TICK = Duration.ofSeconds(1);

  /**
   * What is not shipped is held in the source's journal (J8), by a pin that is moved so often ...
   */
  private static final long PIN_MICROS = Duration.ofSeconds(30).toNanos() / 1_000;

  /** ... and lapses so long after the link was last alive. */
  private static final Duration PIN_LEASE = Duration.ofDays(7);

  // ---- protocol -------------------------------------------------------------------------------

  /** What a link is asked. */
  public sealed interface Command {}

  /**
   * Replies {@link Summary}; {@code ALREADY_EXISTS} when the link exists and replicates something
   * else. Safe to repeat.
   */
  @JsonTypeName("create-link")
  public record CreateLink(LinkSpec spec, LinkRules rules, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Summary}; {@code NOT_FOUND} when there is no such link. */
  @JsonTypeName("get-link")
  public record GetLink(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** Replies {@link Summary}; {@code NOT_FOUND}. Takes effect at once. Safe to repeat. */
  @JsonTypeName("set-link-rules")
  public record SetRules(LinkRules rules, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Stops the streams. Replies {@link Summary}; {@code NOT_FOUND}. Safe to repeat. */
  @JsonTypeName("pause-link")
  public record PauseLink(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Has the streams run, also those of broken lanes. Replies {@link Summary}; {@code NOT_FOUND}.
   * Safe to repeat.
   */
  @JsonTypeName("resume-link")
  public record ResumeLink(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Compares source and target and sends what differs, as one dark interval of the target. Replies
   * {@link Summary}; {@code NOT_FOUND}; {@code BUSY} while the link is paused.
   */
  @JsonTypeName("resync-link")
  public record ResyncLink(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Forgets the link; the replicas stay as they are. Replies {@link Done}, also when there is none:
   * safe to repeat.
   */
  @JsonTypeName("delete-link")
  public record DeleteLink(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** Nothing: whoever is told it is in memory, and so runs (K5). No reply. */
  @JsonTypeName("wake-link")
  public record Wake() implements Command, TidemarkMessage {}

  private record Begin(VolumeName volume, int run) implements Command {}

  private record Acknowledged(VolumeName volume, int run) implements Command {}

  private record SyncBegins(VolumeName volume, CompletableFuture<akka.Done> stored)
      implements Command {}

  private record Store(VolumeName volume) implements Command {}

  private record Ended(VolumeName volume, int run, Throwable failure) implements Command {}

  private record Tick() implements Command {}

  private record TagsTaken(Long untilMicros, Throwable failure) implements Command {}

  private record Sleep() implements Command {}

  /** What a link answers. */
  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("link-summary")
  public record Summary(LinkSummary summary) implements Reply {}

  @JsonTypeName("link-done")
  public record Done() implements Reply {}

  @JsonTypeName("link-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  // ---- construction ---------------------------------------------------------------------------

  /**
   * What links work with; the same for all of a node.
   *
   * @param events takes what administrators want to know of
   */
  public record Parts(
      Shipping.Parts shipping, Groups groups, RemoteSites sites, Consumer<SiteEvent> events) {}

  /** What runs for a lane; it lasts as long as the actor. */
  private static final class Runner {
    final LaneGauge gauge;
    final Forecast forecast = new Forecast();
    int run;
    Shipping shipping;
    int failures;
    long pinnedMicros;
    Refusal lastFailure;
    boolean stalled;
    boolean late;

    Runner(LaneGauge gauge) {
      this.gauge = gauge;
    }
  }

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final String name;
  private final Parts parts;
  private final Pace pace;
  private final Map<VolumeName, Runner> runners = new ConcurrentHashMap<>();
  private final TagFerry ferry;
  private boolean ferries;

  /** Read by the streams' threads. */
  private volatile LinkRules rules = LinkRules.DEFAULT;

  /** The entity of the link {@code name}. */
  public static Behavior<Command> create(String name, Parts parts) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(timers -> new ReplicationLink(context, timers, name, parts)));
  }

  /** Makes a link leave memory. */
  public static Command sleep() {
    return new Sleep();
  }

  private ReplicationLink(
      ActorContext<Command> context, TimerScheduler<Command> timers, String name, Parts parts) {
    super(
        PersistenceId.of(TYPE_KEY.name(), name),
        SupervisorStrategy.restartWithBackoff(
            parts.shipping().settings().retryMin(), parts.shipping().settings().retryMax(), 0.2));
    this.context = context;
    this.timers = timers;
    this.name = name;
    this.parts = parts;
    this.ferry = new TagFerry(context.getSystem(), parts.groups(), parts.sites());
    this.pace =
        new Pace(
            context.getSystem().scheduler(),
            context.getExecutionContext(),
            parts.shipping().clock(),
            micros -> rules.throttle().rateAt(micros));
  }

  @Override
  public LinkState emptyState() {
    return LinkState.EMPTY;
  }

  // ---- commands -------------------------------------------------------------------------------

  @Override
  public CommandHandlerWithReply<Command, LinkEvent, LinkState> commandHandler() {
    var handlers = newCommandHandlerWithReplyBuilder();
    handlers
        .forStateType(Absent.class)
        .onCommand(CreateLink.class, this::onCreate)
        .onCommand(GetLink.class, c -> notFound(c.replyTo()))
        .onCommand(SetRules.class, c -> notFound(c.replyTo()))
        .onCommand(PauseLink.class, c -> notFound(c.replyTo()))
        .onCommand(ResumeLink.class, c -> notFound(c.replyTo()))
        .onCommand(ResyncLink.class, c -> notFound(c.replyTo()))
        .onCommand(DeleteLink.class, c -> Effect().reply(c.replyTo(), new Done()));
    handlers
        .forStateType(Live.class)
        .onCommand(CreateLink.class, this::onCreateAgain)
        .onCommand(GetLink.class, this::onGet)
        .onCommand(SetRules.class, this::onSetRules)
        .onCommand(PauseLink.class, this::onPause)
        .onCommand(ResumeLink.class, this::onResume)
        .onCommand(ResyncLink.class, this::onResync)
        .onCommand(DeleteLink.class, this::onDelete)
        .onCommand(SyncBegins.class, this::onSyncBegins)
        .onCommand(Store.class, this::onStore)
        .onCommand(Ended.class, this::onEnded)
        .onCommand(TagsTaken.class, this::onTagsTaken)
        .onCommand(Tick.class, this::onTick);
    handlers.forStateType(Active.class).onCommand(Begin.class, this::onBegin);
    handlers
        .forAnyState()
        .onCommand(Acknowledged.class, this::onAcknowledged)
        .onCommand(Sleep.class, c -> Effect().stop().thenNoReply())
        .onCommand(Wake.class, c -> Effect().noReply())
        // Outcomes of what was begun for a link that has been paused or deleted since.
        .onCommand(Begin.class, c -> Effect().noReply())
        .onCommand(SyncBegins.class, c -> Effect().noReply())
        .onCommand(Store.class, c -> Effect().noReply())
        .onCommand(Ended.class, c -> Effect().noReply())
        .onCommand(TagsTaken.class, c -> Effect().noReply())
        .onCommand(Tick.class, c -> Effect().noReply());
    return handlers.build();
  }

  private ReplyEffect<LinkEvent, LinkState> notFound(ActorRef<Reply> replyTo) {
    return refused(
        replyTo,
        new Refusal(
            ErrorCode.NOT_FOUND,
            "there is no link '" + name + "'; 'tidemark link list' names those there are"));
  }

  private ReplyEffect<LinkEvent, LinkState> refused(ActorRef<Reply> replyTo, Refusal refusal) {
    return Effect().reply(replyTo, new Refused(refusal.code(), refusal.getMessage()));
  }

  private ReplyEffect<LinkEvent, LinkState> onCreate(Absent state, CreateLink c) {
    return Effect()
        .persist((LinkEvent) new LinkCreated(c.spec(), c.rules(), now()))
        .thenRun(() -> tell("link-created", "replicates to site '" + c.spec().toSite() + "'"))
        .thenRun(this::settle)
        .thenReply(c.replyTo(), next -> (Reply) new Summary(summary((Live) next)));
  }

  private ReplyEffect<LinkEvent, LinkState> onCreateAgain(Live state, CreateLink c) {
    return LinkState.refuseCreate(state, c.spec())
        .map(refusal -> refused(c.replyTo(), refusal))
        .orElseGet(() -> Effect().reply(c.replyTo(), new Summary(summary(state))));
  }

  private ReplyEffect<LinkEvent, LinkState> onGet(Live state, GetLink c) {
    return Effect().reply(c.replyTo(), new Summary(summary(state)));
  }

  private ReplyEffect<LinkEvent, LinkState> onSetRules(Live state, SetRules c) {
    return changing(state, new LinkRulesSet(c.rules()), c.replyTo());
  }

  private ReplyEffect<LinkEvent, LinkState> onPause(Live state, PauseLink c) {
    return state instanceof Paused
        ? Effect().reply(c.replyTo(), new Summary(summary(state)))
        : changing(state, new LinkPaused(now()), c.replyTo());
  }

  private ReplyEffect<LinkEvent, LinkState> onResume(Live state, ResumeLink c) {
    boolean runs =
        state instanceof Active
            && state.body().lanes().stream().allMatch(lane -> lane.broken().isEmpty());
    return runs
        ? Effect().reply(c.replyTo(), new Summary(summary(state)))
        : changing(state, new LinkResumed(now()), c.replyTo());
  }

  private ReplyEffect<LinkEvent, LinkState> onResync(Live state, ResyncLink c) {
    if (state instanceof Paused) {
      return refused(
          c.replyTo(),
          new Refusal(ErrorCode.BUSY, "link '" + name + "' is paused; resume it first"));
    }
    runners.values().forEach(runner -> runner.gauge.orderResync());
    state.body().lanes().forEach(lane -> stop(lane.volume()));
    return changing(state, new ResyncOrdered(now()), c.replyTo());
  }

  private ReplyEffect<LinkEvent, LinkState> changing(
      Live state, LinkEvent event, ActorRef<Reply> replyTo) {
    return Effect()
        .persist(event)
        .thenRun(this::settle)
        .thenReply(replyTo, next -> (Reply) new Summary(summary((Live) next)));
  }

  private ReplyEffect<LinkEvent, LinkState> onDelete(Live state, DeleteLink c) {
    return Effect()
        .persist((LinkEvent) new LinkDeleted(now()))
        .thenRun(() -> tell("link-deleted", "replicates no more"))
        .thenRun(this::unpin)
        .thenRun(this::settle)
        .thenReply(c.replyTo(), next -> (Reply) new Done());
  }

  // ---- streams --------------------------------------------------------------------------------

  /** Has run what is to run, and nothing else. */
  private void settle(LinkState state) {
    if (!(state instanceof Live live)) {
      List.copyOf(runners.keySet()).forEach(this::stop);
      runners.clear();
      timers.cancelAll();
      return;
    }
    rules = live.body().rules();
    timers.startTimerWithFixedDelay(new Tick(), TICK);
    for (Lane lane : live.body().lanes()) {
      Runner runner =
          runners.computeIfAbsent(
              lane.volume(),
              volume ->
                  new Runner(
                      new LaneGauge(
                          lane.ackedSeq(),
                          lane.ackedMicros(),
                          lane.ackedEventNr(),
                          lane.ackedRawBytes(),
                          lane.resync())));
      boolean wanted = live instanceof Active && lane.broken().isEmpty();
      if (!wanted) {
        stop(lane.volume());
      } else if (runner.shipping == null && !timers.isTimerActive(beginKey(lane.volume()))) {
        context.getSelf().tell(new Begin(lane.volume(), ++runner.run));
      }
    }
  }

  private static String beginKey(VolumeName volume) {
    return "begin " + volume;
  }

  private static String storeKey(VolumeName volume) {
    return "store " + volume;
  }

  /** What it tells from now on is not believed (K2). */
  private void stop(VolumeName volume) {
    Runner runner = runners.get(volume);
    if (runner == null) {
      return;
    }
    timers.cancel(beginKey(volume));
    runner.run++;
    if (runner.shipping != null) {
      runner.shipping.stop();
      runner.shipping = null;
      runner.gauge.ended();
    }
  }

  private ReplyEffect<LinkEvent, LinkState> onBegin(Active state, Begin c) {
    Runner runner = runners.get(c.volume());
    if (runner == null || runner.run != c.run() || runner.shipping != null) {
      return Effect().noReply();
    }
    Body body = state.body();
    ActorRef<Command> self = context.getSelf();
    runner.shipping =
        Shipping.start(
            parts.shipping(),
            new Shipping.Order(
                c.volume(),
                body.spec().toSite(),
                body.spec().laneId(c.volume()),
                body.spec().origin(),
                () -> rules.priority(),
                pace,
                runner.gauge,
                seq -> self.tell(new Acknowledged(c.volume(), c.run())),
                () -> beginSync(self, c.volume())));
    context.pipeToSelf(
        runner.shipping.ended(), (done, failure) -> new Ended(c.volume(), c.run(), failure));
    return Effect().noReply();
  }

  private static CompletionStage<akka.Done> beginSync(ActorRef<Command> self, VolumeName volume) {
    CompletableFuture<akka.Done> stored = new CompletableFuture<>();
    self.tell(new SyncBegins(volume, stored));
    return stored;
  }

  private ReplyEffect<LinkEvent, LinkState> onSyncBegins(Live state, SyncBegins c) {
    boolean known = state.body().lane(c.volume()).filter(Lane::resync).isPresent();
    if (known) {
      c.stored().complete(akka.Done.getInstance());
      return Effect().noReply();
    }
    return Effect()
        .persist((LinkEvent) new LaneSyncBegan(c.volume(), now()))
        .thenRun(() -> c.stored().complete(akka.Done.getInstance()))
        .thenNoReply();
  }

  /** Stores the position after a while, together with those that come until then (K1). */
  private ReplyEffect<LinkEvent, LinkState> onAcknowledged(LinkState state, Acknowledged c) {
    Runner runner = runners.get(c.volume());
    if (runner != null && runner.run == c.run()) {
      runner.failures = 0;
      runner.lastFailure = null;
      tellMoving(c.volume(), runner);
      if (!timers.isTimerActive(storeKey(c.volume()))) {
        timers.startSingleTimer(
            storeKey(c.volume()), new Store(c.volume()), parts.shipping().settings().storeEvery());
      }
    }
    return Effect().noReply();
  }

  private ReplyEffect<LinkEvent, LinkState> onStore(Live state, Store c) {
    Runner runner = runners.get(c.volume());
    Optional<Lane> lane = state.body().lane(c.volume());
    if (runner == null || lane.isEmpty()) {
      return Effect().noReply();
    }
    LaneGauge.Reading now = runner.gauge.read();
    boolean whole = now.headSeq() == now.ackedSeq() && now.sourceMicros() > 0 && !now.resyncing();
    if (now.ackedSeq() == lane.get().ackedSeq()
        && (lane.get().synchronised() && !lane.get().resync() || !whole)) {
      return Effect().noReply();
    }
    return Effect()
        .persist(
            (LinkEvent)
                new LaneAdvanced(
                    c.volume(),
                    now.ackedSeq(),
                    now.ackedMicros(),
                    now.ackedEventNr(),
                    now.ackedRawBytes(),
                    whole))
        .thenNoReply();
  }

  /** Tries again after a while that grows (K3). */
  private ReplyEffect<LinkEvent, LinkState> onEnded(Live state, Ended c) {
    Runner runner = runners.get(c.volume());
    if (runner == null || runner.run != c.run()) {
      return Effect().noReply();
    }
    runner.shipping = null;
    Refusal refusal = refusal(c.failure());
    runner.lastFailure = refusal;
    if (lasts(refusal.code())) {
      return Effect()
          .persist(
              (LinkEvent) new LaneBroken(c.volume(), refusal.code(), refusal.getMessage(), now()))
          .thenRun(() -> tell("link-broken", c.volume() + ": " + refusal.getMessage()))
          .thenRun(this::settle)
          .thenNoReply();
    }
    context.getLog().info("link {}: {}: {}", name, c.volume(), refusal.getMessage());
    Duration wait = backoff(runner, refusal.code());
    tellStalled(c.volume(), runner);
    timers.startSingleTimer(beginKey(c.volume()), new Begin(c.volume(), ++runner.run), wait);
    return Effect().noReply();
  }

  /** What is over by itself soon is not worth an event. */
  private void tellStalled(VolumeName volume, Runner runner) {
    if (!runner.stalled && runner.failures >= STALLED_FAILURES) {
      runner.stalled = true;
      Refusal why = runner.lastFailure;
      tell("link-stalled", "%s: %s (%s)".formatted(volume, why.getMessage(), why.code()));
    }
  }

  private void tellMoving(VolumeName volume, Runner runner) {
    if (runner.stalled) {
      runner.stalled = false;
      tell("link-moving", volume + ": its line is open again");
    }
  }

  private static Refusal refusal(Throwable failure) {
    Throwable cause = Failures.cause(failure);
    if (cause instanceof Refusal refusal) {
      return refusal;
    }
    return cause == null
        ? new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the line was closed")
        : new Refusal(ErrorCode.FAILED, "the stream failed: " + cause, cause);
  }

  /** Whether trying again without an order would only fail again. */
  private static boolean lasts(ErrorCode code) {
    return code == ErrorCode.ALREADY_EXISTS
        || code == ErrorCode.FENCED
        || code == ErrorCode.INVALID
        || code == ErrorCode.LIMIT;
  }

  private Duration backoff(Runner runner, ErrorCode code) {
    if (code == ErrorCode.BUSY && runner.failures == 0) {
      return parts.shipping().settings().pollEvery();
    }
    Duration wait =
        parts.shipping().settings().retryMin().multipliedBy(1L << Math.min(runner.failures++, 16));
    Duration max = parts.shipping().settings().retryMax();
    return wait.compareTo(max) < 0 ? wait : max;
  }

  // ---- figures --------------------------------------------------------------------------------

  private ReplyEffect<LinkEvent, LinkState> onTick(Live state, Tick c) {
    for (Map.Entry<VolumeName, Runner> entry : runners.entrySet()) {
      Runner runner = entry.getValue();
      LaneGauge.Reading reading = runner.gauge.read();
      runner.forecast.tick(now(), reading.lagBytes());
      if (reading.connected() && reading.lagBytes() == 0) {
        tellMoving(entry.getKey(), runner);
        noteSynchronised(state, entry.getKey());
      }
      pin(entry.getKey(), runner);
      watchObjective(state, entry.getKey(), runner, lagSeconds(reading));
    }
    if (state instanceof Active active && state.body().spec().group().isPresent() && !ferries) {
      ferryTags(active.body());
    }
    return Effect().noReply();
  }

  /** A target that has all there is from the start gets nothing that it could acknowledge. */
  private void noteSynchronised(Live state, VolumeName volume) {
    if (state.body().lane(volume).filter(l -> !l.synchronised() && !l.resync()).isPresent()) {
      context.getSelf().tell(new Store(volume));
    }
  }

  private void pin(VolumeName volume, Runner runner) {
    Optional<VolumeEntity.Progress> source = runner.gauge.source();
    if (source.isEmpty() || now() - runner.pinnedMicros < PIN_MICROS) {
      return;
    }
    runner.pinnedMicros = now();
    ask(
        volume,
        new VolumeEntity.PinPoint(
            source.get().volume(),
            "link:" + name,
            Math.max(runner.gauge.ackedSeq(), source.get().horizonSeq()),
            true,
            PIN_LEASE.toMillis(),
            context.getSystem().ignoreRef()));
  }

  private void ask(VolumeName volume, VolumeEntity.Command command) {
    parts.shipping().volumes().apply(volume).tell(command);
  }

  private void unpin() {
    for (VolumeName volume : runners.keySet()) {
      ask(volume, new VolumeEntity.UnpinPoint("link:" + name, context.getSystem().ignoreRef()));
    }
  }

  private void ferryTags(Body body) {
    ferries = true;
    context.pipeToSelf(
        ferry.ferry(body.spec(), body.tagsUntilMicros(), now(), this::acknowledged),
        TagsTaken::new);
  }

  /** Also for the ferry's threads. */
  private long acknowledged(VolumeName volume) {
    Runner runner = runners.get(volume);
    return runner == null ? 0 : runner.gauge.ackedSeq();
  }

  private ReplyEffect<LinkEvent, LinkState> onTagsTaken(Live state, TagsTaken c) {
    ferries = false;
    if (c.failure() != null) {
      context.getLog().info("link {}: tags wait: {}", name, c.failure().getMessage());
      return Effect().noReply();
    }
    return c.untilMicros() <= state.body().tagsUntilMicros()
        ? Effect().noReply()
        : Effect().persist((LinkEvent) new TagsShipped(c.untilMicros())).thenNoReply();
  }

  private void watchObjective(Live state, VolumeName volume, Runner runner, double lagSeconds) {
    int objective = state.body().rules().rpoSeconds();
    boolean late = state instanceof Active && objective > 0 && lagSeconds > objective;
    if (late != runner.late) {
      runner.late = late;
      tell(
          late ? "rpo-missed" : "rpo-met",
          "%s lags %.1f s behind, the objective is %d s".formatted(volume, lagSeconds, objective));
    }
  }

  /** The age of the oldest write that the target lacks. */
  private double lagSeconds(LaneGauge.Reading reading) {
    return reading.oldestMicros() == 0
        ? 0
        : Math.max(0, (now() - reading.oldestMicros()) / 1_000_000.0);
  }

  private LinkSummary summary(Live state) {
    Body body = state.body();
    List<LinkSummary.Lane> lanes = new ArrayList<>();
    for (Lane lane : body.lanes()) {
      lanes.add(lane(state, lane));
    }
    return new LinkSummary(
        body.spec(),
        body.rules(),
        worst(state, lanes),
        Cluster.get(context.getSystem()).selfMember().address().toString(),
        List.copyOf(lanes));
  }

  private static String worst(Live state, List<LinkSummary.Lane> lanes) {
    for (String text : List.of("Broken", "Created", "Synchronising")) {
      if (lanes.stream().anyMatch(lane -> lane.state().equals(text))) {
        return state instanceof Paused && !text.equals("Broken") ? "Paused" : text;
      }
    }
    return state instanceof Paused ? "Paused" : "Streaming";
  }

  private LinkSummary.Lane lane(Live state, Lane lane) {
    Runner runner = runners.get(lane.volume());
    LaneGauge.Reading now = runner.gauge.read();
    long asOf = Math.min(now.sourceMicros(), now.targetMicros());
    boolean stale =
        !now.connected()
            || now() - asOf > parts.shipping().settings().staleAfter().toNanos() / 1_000;
    Optional<Refusal> open = Optional.ofNullable(now.connected() ? null : runner.lastFailure);
    Optional<String> fault =
        lane.broken().map(LinkState.Fault::reason).or(() -> open.map(Refusal::getMessage));
    Optional<ErrorCode> faultCode =
        lane.broken().map(LinkState.Fault::code).or(() -> open.map(Refusal::code));
    return new LinkSummary.Lane(
        lane.volume(),
        laneState(state, lane, now),
        now.connected(),
        fault,
        faultCode,
        now.headSeq(),
        now.ackedSeq(),
        now.ackedMicros(),
        lagSeconds(now),
        now.lagBytes(),
        now.headSeq() - now.ackedSeq(),
        runner.forecast.catchUpSeconds(now.lagBytes()),
        asOf,
        stale,
        now.sent().rawBytes(),
        now.sent().sentBytes(),
        now.sent().headBytes(),
        LinkSummary.kinds(now.sent()));
  }

  private static String laneState(Live state, Lane lane, LaneGauge.Reading now) {
    if (lane.broken().isPresent()) {
      return "Broken";
    }
    if (state instanceof Paused) {
      return "Paused";
    }
    if (lane.synchronised() && !now.resyncing()) {
      return "Streaming";
    }
    return now.connected() || lane.ackedSeq() > 0 ? "Synchronising" : "Created";
  }

  private long now() {
    return parts.shipping().clock().micros();
  }

  private void tell(String type, String message) {
    parts
        .events()
        .accept(
            new SiteEvent(
                new MicroTime(now()),
                type,
                Optional.empty(),
                Optional.empty(),
                "link '" + name + "' " + message));
  }

  // ---- events, signals, retention -------------------------------------------------------------

  @Override
  public EventHandler<LinkState, LinkEvent> eventHandler() {
    return LinkState::apply;
  }

  @Override
  public SignalHandler<LinkState> signalHandler() {
    return newSignalHandlerBuilder()
        .onSignal(RecoveryCompleted.instance(), this::settle)
        .onSignal(PostStop.instance(), this::stopAll)
        .build();
  }

  private void stopAll(LinkState state) {
    List.copyOf(runners.keySet()).forEach(this::stop);
  }

  /** Positions that were passed are of no use any more. */
  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2).withDeleteEventsOnSnapshot();
  }
}
