package io.tidemark.plan;

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
import akka.persistence.typed.javadsl.RetentionCriteria;
import akka.persistence.typed.javadsl.SignalHandler;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.plan.PlanAutomatic.Wish;
import io.tidemark.plan.PlanEvent.AutomaticSet;
import io.tidemark.plan.PlanEvent.PlanCreated;
import io.tidemark.plan.PlanEvent.RunBegan;
import io.tidemark.plan.PlanEvent.RunEnded;
import io.tidemark.plan.PlanEvent.RunFailed;
import io.tidemark.plan.PlanEvent.RunNoted;
import io.tidemark.plan.PlanEvent.RunResumed;
import io.tidemark.plan.PlanEvent.SourceFenced;
import io.tidemark.plan.PlanEvent.TaskDone;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanRun.Outcome;
import io.tidemark.plan.PlanRun.Task;
import io.tidemark.plan.PlanRun.TaskKind;
import io.tidemark.plan.PlanState.Absent;
import io.tidemark.plan.PlanState.Active;
import io.tidemark.plan.PlanState.Elsewhere;
import io.tidemark.plan.PlanState.FailedOver;
import io.tidemark.plan.PlanState.Live;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.SiteEvent;
import io.tidemark.witness.LeaseKeeper;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;

/**
 * One plan at one of its sites: carries the runs out that bring its volumes to this site, one task
 * after the other, and knows what the other site's runs are at. Diagram and invariants: {@link
 * io.tidemark.plan}.
 */
public final class RecoveryPlan
    extends EventSourcedBehaviorWithEnforcedReplies<RecoveryPlan.Command, PlanEvent, PlanState> {
  public static final EntityTypeKey<Command> TYPE_KEY = EntityTypeKey.create(Command.class, "plan");

  private static final int SNAPSHOT_EVERY = 100;

  /** Between two restarts there is at most so often the time between two attempts. */
  private static final int RESTART_MAX = 5;

  private static final String RETRY = "retry";
  private static final String WATCH = "watch";

  // ---- protocol -------------------------------------------------------------------------------

  /** What a plan is asked. */
  public sealed interface Command {}

  /**
   * Replies {@link Summary}; {@code ALREADY_EXISTS} when the plan exists and is another. Safe to
   * repeat.
   */
  @JsonTypeName("create-plan")
  public record CreatePlan(PlanSpec spec, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Summary}; {@code NOT_FOUND}. */
  @JsonTypeName("get-plan")
  public record GetPlan(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Begins a run that is carried out here, or takes the failed one up again. Replies {@link
   * Summary} once it is stored; {@code NOT_FOUND}; {@code BUSY} when another run is under way or
   * the plan's state does not allow it; else as the guard rails say (P5). A repeat is refused with
   * {@code BUSY}.
   */
  @JsonTypeName("begin-plan-run")
  public record BeginRun(RunOrder order, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * The other site's entity has begun or ended a run. Replies {@link Summary}; {@code BUSY} when a
   * run is under way here, or a newer one was; one that has failed here gives way to a failover
   * that ended. Safe to repeat.
   */
  @JsonTypeName("note-plan-run")
  public record NoteRun(PlanNote note, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Turns automatic failover on or off. Replies {@link Summary} once it is stored, and, when it is
   * turned off at the source, all volumes and attached taps are free of leases; {@code NOT_FOUND};
   * {@code INVALID} for what cannot be; {@code BUSY} unless the plan is {@code Ready}. Safe to
   * repeat.
   *
   * @param overridden turned off whatever the plan is at
   */
  @JsonTypeName("set-plan-automatic")
  public record SetAutomatic(
      Optional<PlanSpec.Automatic> automatic, boolean overridden, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Nothing: whoever is told it is in memory, and so goes on (P1). No reply. */
  @JsonTypeName("wake-plan")
  public record Wake() implements Command, TidemarkMessage {}

  private record Surveyed(
      BeginRun request,
      Optional<Wish> wish,
      List<PlanRun.Volume> volumes,
      long generation,
      Throwable failure)
      implements Command {}

  private record TakeOver(Wish wish) implements Command {}

  private record Unguarded(SetAutomatic request, Optional<Refusal> failure) implements Command {}

  private record Performed(UUID run, int task, Outcome outcome, Throwable failure)
      implements Command {}

  private record Retry(int task) implements Command {}

  private record Watch() implements Command {}

  private record LateFence(VolumeName volume, Outcome outcome, Throwable failure)
      implements Command {}

  private record LateWord(Throwable failure) implements Command {}

  private record Sleep() implements Command {}

  /** What a plan answers. */
  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("plan-summary")
  public record Summary(PlanSummary summary) implements Reply {}

  @JsonTypeName("plan-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  // ---- construction ---------------------------------------------------------------------------

  /**
   * What plans work with; the same for all of a node.
   *
   * @param here this site
   * @param retryEvery between two attempts at a task
   * @param taskLimit after which a task that cannot be done fails the run
   * @param events takes what administrators want to know of
   */
  record Parts(
      PlanWork work,
      PlanSurvey survey,
      String here,
      MicroClock clock,
      Duration retryEvery,
      Duration taskLimit,
      Consumer<SiteEvent> events,
      PlanAutomatic.Parts automatic) {}

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final String name;
  private final Parts parts;
  private final PlanAutomatic automatic;

  // What follows lasts as long as the actor, not the plan.
  private boolean surveying;
  private boolean fencing;
  private boolean told;
  private long taskBegunMicros;
  private String waitsFor = "";

  /** The entity of the plan {@code name}. */
  static Behavior<Command> create(String name, Parts parts) {
    return Behaviors.setup(
        context -> Behaviors.withTimers(timers -> new RecoveryPlan(context, timers, name, parts)));
  }

  /** Makes a plan leave memory. */
  static Command sleep() {
    return new Sleep();
  }

  private RecoveryPlan(
      ActorContext<Command> context, TimerScheduler<Command> timers, String name, Parts parts) {
    super(
        PersistenceId.of(TYPE_KEY.name(), name),
        SupervisorStrategy.restartWithBackoff(
            parts.retryEvery(), parts.retryEvery().multipliedBy(RESTART_MAX), 0.2));
    this.context = context;
    this.timers = timers;
    this.name = name;
    this.parts = parts;
    ActorRef<Command> self = context.getSelf();
    this.automatic =
        new PlanAutomatic(
            context, parts.automatic(), wish -> self.tell(new TakeOver(wish)), this::tell);
  }

  @Override
  public PlanState emptyState() {
    return PlanState.EMPTY;
  }

  // ---- commands -------------------------------------------------------------------------------

  @Override
  public CommandHandlerWithReply<Command, PlanEvent, PlanState> commandHandler() {
    var handlers = newCommandHandlerWithReplyBuilder();
    handlers
        .forStateType(Absent.class)
        .onCommand(CreatePlan.class, this::onCreate)
        .onCommand(GetPlan.class, c -> notFound(c.replyTo()))
        .onCommand(BeginRun.class, c -> notFound(c.replyTo()))
        .onCommand(SetAutomatic.class, c -> notFound(c.replyTo()))
        .onCommand(NoteRun.class, c -> notFound(c.replyTo()));
    handlers
        .forStateType(Live.class)
        .onCommand(CreatePlan.class, this::onCreateAgain)
        .onCommand(GetPlan.class, this::onGet)
        .onCommand(BeginRun.class, this::onBegin)
        .onCommand(NoteRun.class, this::onNote)
        .onCommand(SetAutomatic.class, this::onSetAutomatic)
        .onCommand(TakeOver.class, this::onTakeOver)
        .onCommand(Unguarded.class, this::onUnguarded)
        .onCommand(Surveyed.class, this::onSurveyed);
    handlers
        .forStateType(Active.class)
        .onCommand(Performed.class, this::onPerformed)
        .onCommand(Retry.class, this::onRetry);
    handlers
        .forStateType(FailedOver.class)
        .onCommand(Watch.class, this::onWatch)
        .onCommand(LateFence.class, this::onLateFence);
    handlers
        .forAnyState()
        .onCommand(Sleep.class, c -> Effect().stop().thenNoReply())
        .onCommand(Wake.class, c -> Effect().noReply())
        // Outcomes of what was begun for a run that is over since.
        .onCommand(Surveyed.class, c -> Effect().noReply())
        .onCommand(TakeOver.class, c -> Effect().noReply())
        .onCommand(Unguarded.class, c -> Effect().noReply())
        .onCommand(Performed.class, c -> Effect().noReply())
        .onCommand(Retry.class, c -> Effect().noReply())
        .onCommand(Watch.class, c -> Effect().noReply())
        .onCommand(LateWord.class, this::onLateWord)
        .onCommand(LateFence.class, this::onFenceTooLate);
    return handlers.build();
  }

  private ReplyEffect<PlanEvent, PlanState> notFound(ActorRef<Reply> replyTo) {
    return refused(
        replyTo,
        new Refusal(
            ErrorCode.NOT_FOUND,
            "there is no plan '" + name + "'; 'tidemark plan list' names those there are"));
  }

  private ReplyEffect<PlanEvent, PlanState> refused(ActorRef<Reply> replyTo, Refusal refusal) {
    return Effect().reply(replyTo, new Refused(refusal.code(), refusal.getMessage()));
  }

  private ReplyEffect<PlanEvent, PlanState> onCreate(Absent state, CreatePlan c) {
    return Effect()
        .persist((PlanEvent) new PlanCreated(c.spec(), now()))
        .thenRun(() -> tell("plan-created", "has volumes go on at '" + c.spec().target() + "'"))
        .thenReply(c.replyTo(), next -> (Reply) new Summary(summary((Live) next)));
  }

  private ReplyEffect<PlanEvent, PlanState> onCreateAgain(Live state, CreatePlan c) {
    return state.spec().with(Optional.empty()).equals(c.spec().with(Optional.empty()))
        ? Effect().reply(c.replyTo(), new Summary(summary(state)))
        : refused(
            c.replyTo(),
            new Refusal(
                ErrorCode.ALREADY_EXISTS,
                "a plan '" + name + "' exists, and is another; use another name"));
  }

  private ReplyEffect<PlanEvent, PlanState> onGet(Live state, GetPlan c) {
    return Effect().reply(c.replyTo(), new Summary(summary(state)));
  }

  // ---- beginning a run ------------------------------------------------------------------------

  private ReplyEffect<PlanEvent, PlanState> onBegin(Live state, BeginRun c) {
    Kind kind = c.order().kind();
    Optional<Refusal> refusal =
        surveying
            ? Optional.of(
                new Refusal(
                    ErrorCode.BUSY, "plan '" + name + "' was ordered to do something just before"))
            : PlanState.refuse(state, kind, parts.here());
    if (refusal.isPresent()) {
      return refused(c.replyTo(), refusal.get());
    }
    if (PlanState.resumes(state, kind)) {
      return Effect()
          .persist((PlanEvent) new RunResumed(now()))
          .thenRun(this::goOn)
          .thenReply(c.replyTo(), next -> (Reply) new Summary(summary((Live) next)));
    }
    if (kind == Kind.COMMIT || kind == Kind.CLEANUP) {
      return began(state, c, state.run().orElseThrow());
    }
    surveying = true;
    String from = state.spec().other(parts.here());
    context.pipeToSelf(
        survey(state, c.order(), from),
        (volumes, failure) ->
            new Surveyed(c, Optional.empty(), volumes, state.generation(), failure));
    return Effect().noReply();
  }

  /** A rollback takes the earlier run's volumes; it is only not begun in vain. */
  private CompletionStage<List<PlanRun.Volume>> survey(Live state, RunOrder order, String from) {
    return order.kind() == Kind.ROLLBACK
        ? parts.survey().answers(state.spec(), from).thenApply(answered -> List.of())
        : parts
            .survey()
            .volumes(
                state.spec(),
                order,
                from,
                parts.here(),
                state instanceof Elsewhere there ? Optional.of(there.note()) : Optional.empty());
  }

  private ReplyEffect<PlanEvent, PlanState> onSurveyed(Live state, Surveyed c) {
    surveying = false;
    if (c.wish().isPresent()) {
      return takeOver(state, c, c.wish().get());
    }
    ActorRef<Reply> replyTo = c.request().replyTo();
    Kind kind = c.request().order().kind();
    if (c.failure() != null) {
      Refusal trouble = refusal(c.failure());
      waitsFor = state instanceof FailedOver && kind == Kind.ROLLBACK ? trouble.getMessage() : "";
      return refused(replyTo, trouble);
    }
    Optional<Refusal> refusal = PlanState.refuse(state, kind, parts.here());
    if (refusal.isPresent() || state.generation() != c.generation()) {
      return refused(
          replyTo,
          refusal.orElseGet(
              () -> new Refusal(ErrorCode.BUSY, "plan '" + name + "' has changed meanwhile")));
    }
    if (kind == Kind.ROLLBACK) {
      return began(state, c.request(), state.run().orElseThrow());
    }
    String from = state.spec().other(parts.here());
    return begin(
        run(state, kind, UUID.randomUUID(), from, c.request().order().at(), c.volumes()), replyTo);
  }

  /** What follows from an earlier run goes the same way, with what that run has found. */
  private ReplyEffect<PlanEvent, PlanState> began(Live state, BeginRun c, PlanRun earlier) {
    return begin(
        run(
            state,
            c.order().kind(),
            earlier.id(),
            earlier.from(),
            earlier.at(),
            c.order().kind() == Kind.ROLLBACK ? earlier.asPromoted() : earlier.volumes()),
        c.replyTo());
  }

  private PlanRun run(
      Live state, Kind kind, UUID id, String from, String at, List<PlanRun.Volume> volumes) {
    return new PlanRun(
        id,
        state.generation() + 1,
        kind,
        from,
        parts.here(),
        at,
        PlanRun.tasks(state.spec(), kind, from, parts.here()),
        0,
        List.of(),
        volumes,
        now(),
        0,
        0);
  }

  private ReplyEffect<PlanEvent, PlanState> begin(PlanRun run, ActorRef<Reply> replyTo) {
    return Effect()
        .persist((PlanEvent) new RunBegan(run))
        .thenRun(() -> tell("plan-run-began", "is " + run.kind().text()))
        .thenRun(this::goOn)
        .thenReply(replyTo, next -> (Reply) new Summary(summary((Live) next)));
  }

  // ---- automatic failover ---------------------------------------------------------------------

  /** Both votes are this site's: the run begins unless a guard rail forbids it (P8). */
  private ReplyEffect<PlanEvent, PlanState> onTakeOver(Live state, TakeOver c) {
    Optional<Refusal> refusal = refuse(state, c.wish());
    if (refusal.isPresent()) {
      automatic.answer(c.wish(), refusal);
      return Effect().noReply();
    }
    surveying = true;
    RunOrder order = new RunOrder(Kind.FORCED, "latest", List.of(ErrorCode.SECOND_PRIMARY));
    BeginRun request = new BeginRun(order, context.getSystem().ignoreRef());
    long generation = state.generation();
    context.pipeToSelf(
        survey(state, order, state.spec().other(parts.here())),
        (volumes, failure) ->
            new Surveyed(request, Optional.of(c.wish()), volumes, generation, failure));
    return Effect().noReply();
  }

  private Optional<Refusal> refuse(Live state, Wish wish) {
    if (surveying || !(state instanceof PlanState.Ready) || !automatic.isCurrent(wish)) {
      return Optional.of(new Refusal(ErrorCode.BUSY, "plan '" + name + "' is " + state.text()));
    }
    return Optional.empty();
  }

  private ReplyEffect<PlanEvent, PlanState> takeOver(Live state, Surveyed c, Wish wish) {
    Optional<Refusal> refusal =
        c.failure() != null
            ? Optional.of(refusal(c.failure()))
            : state.generation() != c.generation()
                ? Optional.of(new Refusal(ErrorCode.BUSY, "plan '" + name + "' has changed"))
                : refuse(state, wish);
    if (refusal.isPresent()) {
      automatic.answer(wish, refusal);
      return Effect().noReply();
    }
    String from = state.spec().other(parts.here());
    PlanRun run = run(state, Kind.FORCED, wish.claim(), from, "latest", c.volumes()).agreed();
    return Effect()
        .persist(
            List.<PlanEvent>of(
                new RunBegan(run), new TaskDone(0, Outcome.of(wish.agreed()), now())))
        .thenRun(() -> tell("plan-automatic-failover", "fails over by itself: " + wish.agreed()))
        .thenRun(this::goOn)
        .thenRun(() -> automatic.answer(wish, Optional.empty()))
        .thenNoReply();
  }

  private ReplyEffect<PlanEvent, PlanState> onSetAutomatic(Live state, SetAutomatic c) {
    if (state.spec().automatic().equals(c.automatic())) {
      return Effect().reply(c.replyTo(), new Summary(summary(state)));
    }
    if (surveying || !(state instanceof PlanState.Ready) && !c.overridden()) {
      return refused(c.replyTo(), PlanAutomatic.busy(name, state.text()));
    }
    try {
      state.spec().with(c.automatic()).checked();
    } catch (Refusal e) {
      return refused(c.replyTo(), e);
    }
    if (c.automatic().isEmpty() && automatic.keeper().isPresent()) {
      ActorRef<LeaseKeeper.Unguarded> freed =
          context.messageAdapter(
              LeaseKeeper.Unguarded.class, done -> new Unguarded(c, done.failure()));
      automatic.keeper().get().tell(new LeaseKeeper.Unguard(freed));
      return Effect().noReply();
    }
    return set(c);
  }

  private ReplyEffect<PlanEvent, PlanState> onUnguarded(Live state, Unguarded c) {
    return c.failure().isPresent()
        ? refused(c.request().replyTo(), c.failure().get())
        : set(c.request());
  }

  private ReplyEffect<PlanEvent, PlanState> set(SetAutomatic c) {
    return Effect()
        .persist((PlanEvent) new AutomaticSet(c.automatic(), now()))
        .thenRun(automatic::follow)
        .thenRun(
            () ->
                tell(
                    "plan-automatic-set",
                    c.automatic()
                        .map(a -> "fails over by itself, with witness '" + a.witness() + "'")
                        .orElse("fails over by order only")))
        .thenReply(c.replyTo(), next -> (Reply) new Summary(summary((Live) next)));
  }

  // ---- carrying it out ------------------------------------------------------------------------

  /** Begins the task that is next, or waits for what else is to come (P1). */
  private void goOn(PlanState state) {
    timers.cancel(RETRY);
    timers.cancel(WATCH);
    waitsFor = "";
    told = false;
    automatic.follow(state);
    if (state instanceof Active active) {
      taskBegunMicros = now();
      perform(active);
    } else if (state instanceof FailedOver) {
      timers.startTimerWithFixedDelay(WATCH, new Watch(), parts.retryEvery());
    }
  }

  private void perform(Active active) {
    PlanRun run = active.current();
    int number = run.next();
    Task task = run.tasks().get(number);
    context.pipeToSelf(
        parts.work().perform(active.spec(), run, task),
        (outcome, failure) -> new Performed(run.id(), number, outcome, failure));
  }

  private ReplyEffect<PlanEvent, PlanState> onRetry(Active state, Retry c) {
    if (c.task() == state.current().next()) {
      perform(state);
    }
    return Effect().noReply();
  }

  private ReplyEffect<PlanEvent, PlanState> onPerformed(Active state, Performed c) {
    PlanRun run = state.current();
    if (!run.id().equals(c.run()) || run.next() != c.task()) {
      return Effect().noReply();
    }
    if (c.failure() == null) {
      return taskDone(run, c.outcome());
    }
    Refusal refusal = refusal(c.failure());
    Task task = run.tasks().get(run.next());
    if (!task.must()) {
      return taskDone(run, new Outcome(false, -1, 0, 0, -1, refusal.getMessage()));
    }
    boolean late = now() - taskBegunMicros > parts.taskLimit().toNanos() / 1_000;
    boolean endless = run.kind() == Kind.COMMIT;
    boolean other = task.kind() == TaskKind.NOTE && refusal.code() == ErrorCode.BUSY;
    if (mayPass(task.kind(), refusal.code()) && !other && (!late || endless)) {
      waitsFor = refusal.getMessage();
      timers.startSingleTimer(RETRY, new Retry(run.next()), parts.retryEvery());
      return Effect().noReply();
    }
    return Effect()
        .persist((PlanEvent) new RunFailed(run.next(), refusal.code(), refusal.getMessage(), now()))
        .thenRun(() -> tell("plan-run-failed", task.text() + ": " + refusal.getMessage()))
        .thenRun(this::goOn)
        .thenNoReply();
  }

  /** The end of what was begun before a crash may overtake a task that looks first. */
  private static boolean mayPass(TaskKind kind, ErrorCode code) {
    boolean looksAgain =
        kind == TaskKind.FENCE
            || kind == TaskKind.RETIRE
            || kind == TaskKind.RETURN
            || kind == TaskKind.REVERSE;
    return code == ErrorCode.NOT_ACKNOWLEDGED
        || code == ErrorCode.BUSY
        || looksAgain && (code == ErrorCode.FENCED || code == ErrorCode.ALREADY_EXISTS);
  }

  private ReplyEffect<PlanEvent, PlanState> taskDone(PlanRun run, Outcome outcome) {
    PlanEvent done = new TaskDone(run.next(), outcome, now());
    boolean last = run.next() + 1 == run.tasks().size();
    List<PlanEvent> events = last ? List.of(done, new RunEnded(now())) : List.of(done);
    return Effect()
        .persist(events)
        .thenRun((PlanState next) -> tellEnd(next, last))
        .thenRun(this::goOn)
        .thenNoReply();
  }

  private void tellEnd(PlanState state, boolean last) {
    if (last) {
      tell("plan-run-ended", "is " + ((Live) state).text());
    }
  }

  // ---- the other site -------------------------------------------------------------------------

  private ReplyEffect<PlanEvent, PlanState> onNote(Live state, NoteRun c) {
    boolean known = state instanceof Elsewhere there && there.note().equals(c.note());
    boolean settled =
        c.note().state().equals("Ready")
            && state instanceof PlanState.Ready
            && state.generation() == c.note().generation();
    if (known || settled) {
      return Effect().reply(c.replyTo(), new Summary(summary(state)));
    }
    boolean older = c.note().generation() < state.generation();
    boolean overtaken =
        state instanceof PlanState.Failed && c.note().state().equals("FailedOver") && !older;
    boolean busy = state instanceof PlanState.Busy && !overtaken;
    if (surveying || busy || older) {
      return refused(
          c.replyTo(),
          new Refusal(
              ErrorCode.BUSY,
              "plan '%s' is %s at site '%s', by its run %d"
                  .formatted(name, state.text(), parts.here(), state.generation())));
    }
    return Effect()
        .persist((PlanEvent) new RunNoted(c.note()))
        .thenRun(this::goOn)
        .thenReply(c.replyTo(), next -> (Reply) new Summary(summary((Live) next)));
  }

  // ---- waiting for a commit -------------------------------------------------------------------

  /** Fences sources that did not answer before (P4), and heeds the time limit. */
  private ReplyEffect<PlanEvent, PlanState> onWatch(FailedOver state, Watch c) {
    if (state.untilMicros() > 0 && now() > state.untilMicros()) {
      PlanSpec.AfterLimit after = state.spec().afterLimit();
      if (after != PlanSpec.AfterLimit.STAY) {
        Kind kind = after == PlanSpec.AfterLimit.COMMIT ? Kind.COMMIT : Kind.ROLLBACK;
        return onBegin(state, new BeginRun(RunOrder.of(kind), context.getSystem().ignoreRef()));
      }
    }
    Optional<PlanRun.Volume> unfenced =
        state.current().volumes().stream().filter(v -> !v.fenced()).findFirst();
    if (unfenced.isPresent() && !fencing) {
      fencing = true;
      VolumeName volume = unfenced.get().name();
      context.pipeToSelf(
          parts.work().tryFence(state.spec(), state.current(), unfenced.get()),
          (outcome, failure) -> new LateFence(volume, outcome, failure));
    } else if (unfenced.isEmpty() && !told && !state.current().told()) {
      told = true;
      context.pipeToSelf(
          parts.work().tellOutcome(state.spec(), state.current()),
          (outcome, failure) -> new LateWord(failure));
    }
    return Effect().noReply();
  }

  private ReplyEffect<PlanEvent, PlanState> onLateWord(PlanState state, LateWord c) {
    told = c.failure() == null;
    return Effect().noReply();
  }

  private ReplyEffect<PlanEvent, PlanState> onLateFence(FailedOver state, LateFence c) {
    fencing = false;
    if (c.failure() != null) {
      context.getLog().debug("plan {}: {} is not fenced", name, c.volume(), c.failure());
      return Effect().noReply();
    }
    return Effect()
        .persist((PlanEvent) new SourceFenced(c.volume(), c.outcome().seq(), now()))
        .thenRun(
            (PlanState next) ->
                tell(
                    "plan-loss-counted",
                    "volume '%s' lost %d writes"
                        .formatted(
                            c.volume(),
                            ((FailedOver) next)
                                .current()
                                .volume(c.volume())
                                .lostWrites()
                                .orElse(0L))))
        .thenNoReply();
  }

  private ReplyEffect<PlanEvent, PlanState> onFenceTooLate(PlanState state, LateFence c) {
    fencing = false;
    return Effect().noReply();
  }

  // ---- figures --------------------------------------------------------------------------------

  private PlanSummary summary(Live state) {
    Optional<ErrorCode> code =
        state instanceof PlanState.Failed failed ? Optional.of(failed.code()) : Optional.empty();
    return new PlanSummary(
        state.spec(),
        state instanceof Elsewhere there ? there.note().site() : parts.here(),
        state.generation(),
        state.text(),
        state.run(),
        state instanceof FailedOver over ? over.untilMicros() : 0,
        code,
        state instanceof PlanState.Failed failed ? failed.reason() : waitsFor,
        automatic.report());
  }

  private static Refusal refusal(Throwable failure) {
    return Failures.cause(failure) instanceof Refusal refusal
        ? refusal
        : new Refusal(ErrorCode.FAILED, "it failed: " + Failures.cause(failure), failure);
  }

  private long now() {
    return parts.clock().micros();
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
                "plan '" + name + "' " + message));
  }

  // ---- events, signals, retention -------------------------------------------------------------

  @Override
  public EventHandler<PlanState, PlanEvent> eventHandler() {
    return PlanState::apply;
  }

  @Override
  public SignalHandler<PlanState> signalHandler() {
    return newSignalHandlerBuilder()
        .onSignal(
            RecoveryCompleted.instance(),
            state -> {
              automatic.restarted();
              goOn(state);
            })
        .build();
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
