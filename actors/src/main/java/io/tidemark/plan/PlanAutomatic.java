package io.tidemark.plan;

import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.ActorContext;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanRun.TaskKind;
import io.tidemark.plan.PlanState.Elsewhere;
import io.tidemark.plan.PlanState.Live;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.witness.LeaseKeeper;
import io.tidemark.witness.LeaseReport;
import io.tidemark.witness.LeasedPlan;
import io.tidemark.witness.Successor;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * What a plan's entity has run for its automatic failover: at the source who keeps the lease, at
 * the target who watches the source. It lasts as long as the actor; used by its thread only.
 */
final class PlanAutomatic {
  private static final Set<String> AT_TARGET = Set.of("FailedOver", "Committing", "Committed");

  /** What it stands on. */
  record Parts(RemoteSites sites, LeaseKeeper.Taps taps, Duration renewEvery, MicroClock clock) {}

  /**
   * The target's successor wants the plan to take over.
   *
   * @param who of all successors that this entity ever had
   */
  record Wish(UUID who, UUID claim, String agreed) {}

  private final ActorContext<RecoveryPlan.Command> context;
  private final Parts parts;
  private final Consumer<Wish> wishes;
  private final BiConsumer<String, String> events;
  private final AtomicReference<Optional<LeaseReport>> report =
      new AtomicReference<>(Optional.empty());
  private Optional<PlanSpec.Automatic> running = Optional.empty();
  private Optional<ActorRef<LeaseKeeper.Command>> keeper = Optional.empty();
  private Optional<ActorRef<Successor.Command>> successor = Optional.empty();
  private UUID who = UUID.randomUUID();

  /**
   * @param wishes takes the successor's, on any thread
   * @param events takes type and words of what administrators want to know, on any thread
   */
  PlanAutomatic(
      ActorContext<RecoveryPlan.Command> context,
      Parts parts,
      Consumer<Wish> wishes,
      BiConsumer<String, String> events) {
    this.context = context;
    this.parts = parts;
    this.wishes = wishes;
    this.events = events;
  }

  /** After each change: has run what the state needs, and tells it how things stand. */
  void follow(PlanState state) {
    if (!(state instanceof Live live)) {
      return;
    }
    Optional<PlanSpec.Automatic> wanted = live.spec().automatic();
    if (!wanted.equals(running)) {
      stop();
      running = wanted;
      wanted.ifPresent(automatic -> start(live.spec(), automatic));
    }
    boolean asks =
        !(live instanceof Elsewhere there
            && there.note().site().equals(live.spec().target())
            && AT_TARGET.contains(live.text()));
    keeper.ifPresent(ref -> ref.tell(new LeaseKeeper.Renew(asks)));
    successor.ifPresent(
        ref -> ref.tell(new Successor.Stand(live instanceof PlanState.Ready, away(live))));
  }

  /** The actor began anew: what it had run is gone, and nobody waits for it. */
  void restarted() {
    stop();
    running = Optional.empty();
  }

  private void stop() {
    keeper.ifPresent(context::stop);
    successor.ifPresent(context::stop);
    keeper = Optional.empty();
    successor = Optional.empty();
    who = UUID.randomUUID();
    report.set(Optional.empty());
  }

  private void start(PlanSpec spec, PlanSpec.Automatic automatic) {
    String here = parts.sites().here();
    LeasedPlan plan =
        new LeasedPlan(
            spec.name(),
            automatic.config(),
            automatic.witness(),
            spec.source(),
            spec.target(),
            Duration.ofSeconds(automatic.afterSeconds()),
            spec.rpoSeconds(),
            spec.volumes());
    report.set(Optional.of(LeaseReport.none(here)));
    Consumer<LeaseReport> reports = said -> report.set(Optional.of(said));
    if (here.equals(spec.source())) {
      LeaseKeeper.Parts work =
          new LeaseKeeper.Parts(
              parts.sites(),
              parts.taps(),
              () -> behind(spec),
              parts.renewEvery(),
              parts.clock(),
              reports);
      keeper = Optional.of(context.spawnAnonymous(LeaseKeeper.create(plan, work)));
    } else {
      UUID mine = who;
      Successor.Parts work =
          new Successor.Parts(
              parts.sites(),
              parts.renewEvery(),
              parts.clock(),
              System::nanoTime,
              (claim, agreed) -> wishes.accept(new Wish(mine, claim, agreed)),
              reports,
              words -> events.accept("plan-automatic-refused", words));
      successor = Optional.of(context.spawnAnonymous(Successor.create(plan, work)));
    }
  }

  /** How far the target is behind, by this site's links; without one nobody knows. */
  private CompletionStage<Double> behind(PlanSpec spec) {
    return parts
        .sites()
        .ask(
            parts.sites().here(),
            new PlanCommand.FindLanes(spec.volumes(), spec.target()),
            parts.renewEvery().plusSeconds(1))
        .thenApply(
            answer ->
                answer.lanes().size() < spec.volumes().size()
                    ? Double.MAX_VALUE
                    : answer.lanes().stream()
                        .mapToDouble(PlanCommand.Lane::lagSeconds)
                        .max()
                        .orElse(Double.MAX_VALUE));
  }

  /** The run by which volumes are primaries here, or may be, or a rollback has not ended it. */
  private Optional<UUID> away(Live live) {
    Optional<PlanRun> run = live instanceof Elsewhere ? Optional.empty() : live.run();
    return run.filter(one -> one.to().equals(parts.sites().here()) && holds(live, one))
        .map(PlanRun::id);
  }

  private static boolean holds(Live live, PlanRun run) {
    if (live instanceof PlanState.Ready) {
      return false;
    }
    List<PlanRun.Task> left = run.tasks().subList(run.next(), run.tasks().size());
    return run.kind() == Kind.PLANNED
        || run.kind() == Kind.FORCED
        || run.kind() == Kind.COMMIT
        || run.kind() == Kind.ROLLBACK
            && left.stream().anyMatch(task -> task.kind() == TaskKind.RETIRE);
  }

  /** Whether the wish is the successor's that runs now: none that ended is heard. */
  boolean isCurrent(Wish wish) {
    return successor.isPresent() && wish.who().equals(who);
  }

  /** What became of the wish; after {@link #follow} when the run has begun. */
  void answer(Wish wish, Optional<Refusal> refusal) {
    if (isCurrent(wish)) {
      successor.get().tell(new Successor.Answered(wish.claim(), refusal));
    }
  }

  /** Has the source's taps need no lease any more; empty when nothing has to be done for it. */
  Optional<ActorRef<LeaseKeeper.Command>> keeper() {
    return keeper;
  }

  /** How the lease is, as this site sees it; empty without automatic failover. */
  Optional<LeaseReport> report() {
    return report.get();
  }

  static Refusal busy(String plan, String state) {
    return new Refusal(
        ErrorCode.BUSY,
        "plan '%s' is %s; automatic failover is turned on and off while it is Ready"
            .formatted(plan, state));
  }
}
