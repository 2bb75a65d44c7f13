package io.tidemark.witness;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.AbstractBehavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.Receive;
import akka.actor.typed.javadsl.TimerScheduler;
import io.tidemark.order.Leases;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The source's side: in rounds, has the taps note their clocks, asks both arbiters for their vote,
 * and tells the taps once one of them has given it (W1). Keeps nothing.
 */
public final class LeaseKeeper extends AbstractBehavior<LeaseKeeper.Command> {

  /** What a keeper is told. */
  public sealed interface Command {}

  /** Whether the source is to have the lease. */
  public record Renew(boolean on) implements Command {}

  /** Has taps need no lease any more, and ends the rounds. Replies once that is so. */
  public record Unguard(ActorRef<Unguarded> replyTo) implements Command {}

  /**
   * @param failure why not all taps and volumes are free of it; empty when they are
   */
  public record Unguarded(Optional<Refusal> failure) {}

  private record Tick() implements Command {}

  private record Leased(Throwable failure) implements Command {}

  private record Marked(long round, List<VolumeName> obeying, double behind) implements Command {}

  private record Voted(long round, String site, ArbiterWord word, Throwable failure)
      implements Command {}

  private record Freed(ActorRef<Unguarded> replyTo, Throwable failure) implements Command {}

  /** The source's volumes and their taps. */
  public interface Taps {
    /** Has a volume's taps need leases; fails with {@code NOT_FOUND} when there is no volume. */
    CompletionStage<?> lease(VolumeName volume, boolean on);

    /** Orders the volume's attached tap; fails as {@code Site.order}. */
    CompletionStage<byte[]> order(VolumeName volume, TapOrder order);
  }

  /**
   * What a keeper works with.
   *
   * @param behind how far the target is behind, in seconds
   * @param renewEvery between rounds
   * @param report takes how the lease is after each change
   */
  public record Parts(
      RemoteSites sites,
      Taps taps,
      Supplier<CompletionStage<Double>> behind,
      Duration renewEvery,
      MicroClock clock,
      Consumer<LeaseReport> report) {}

  /**
   * A round whose votes are asked for.
   *
   * @param counts whether all volumes were leased when it began: only then does a tap that obeys
   *     have no successor that does not (W4)
   */
  private record Round(long beganMicros, boolean counts, List<VolumeName> obeying) {}

  private static final int ROUNDS_MAX = 8;

  /** A volume may have been created anew. */
  private static final int LEASED_AGAIN_TICKS = 5;

  private static final Duration ANSWER_MIN = Duration.ofSeconds(1);

  private static final Logger log = LoggerFactory.getLogger(LeaseKeeper.class);

  private final LeasedPlan plan;
  private final Parts parts;
  private final Map<Long, Round> rounds = new HashMap<>();
  private final Set<VolumeName> obeyed = new HashSet<>();
  private final Map<String, String> words = new HashMap<>();
  private long round = ThreadLocalRandom.current().nextLong() >>> 1;
  private boolean renews = true;
  private boolean leasing;
  private boolean leased;
  private boolean marking;
  private boolean unguarding;
  private int ticks;
  private String unleased = "";
  private long untilMicros;

  public static Behavior<Command> create(LeasedPlan plan, Parts parts) {
    return Behaviors.setup(
        context -> Behaviors.withTimers(timers -> new LeaseKeeper(context, timers, plan, parts)));
  }

  private LeaseKeeper(
      ActorContext<Command> context, TimerScheduler<Command> timers, LeasedPlan plan, Parts parts) {
    super(context);
    this.plan = plan;
    this.parts = parts;
    timers.startTimerWithFixedDelay(new Tick(), Duration.ZERO, parts.renewEvery());
  }

  @Override
  public Receive<Command> createReceive() {
    return newReceiveBuilder()
        .onMessage(Renew.class, this::onRenew)
        .onMessage(Unguard.class, this::onUnguard)
        .onMessage(Tick.class, this::onTick)
        .onMessage(Leased.class, this::onLeased)
        .onMessage(Marked.class, this::onMarked)
        .onMessage(Voted.class, this::onVoted)
        .onMessage(Freed.class, this::onFreed)
        .build();
  }

  private Behavior<Command> onRenew(Renew c) {
    renews = c.on();
    report();
    return this;
  }

  private boolean armed() {
    return leased && obeyed.containsAll(plan.volumes());
  }

  private Behavior<Command> onTick(Tick tick) {
    if (unguarding) {
      return this;
    }
    if (!leasing && ticks++ % LEASED_AGAIN_TICKS == 0) {
      leasing = true;
      getContext()
          .pipeToSelf(each(volume -> parts.taps().lease(volume, true)), (n, e) -> new Leased(e));
    }
    if (renews && !marking) {
      beginRound();
    }
    return this;
  }

  private Behavior<Command> onLeased(Leased c) {
    leasing = false;
    leased = c.failure() == null;
    unleased = leased ? "" : refusal(c.failure()).getMessage();
    return this;
  }

  private void beginRound() {
    marking = true;
    long mine = ++round;
    if (rounds.size() >= ROUNDS_MAX) {
      rounds.clear();
    }
    rounds.put(mine, new Round(parts.clock().micros(), leased, List.of()));
    CompletionStage<List<VolumeName>> all = CompletableFuture.completedStage(List.of());
    for (VolumeName volume : plan.volumes()) {
      all =
          all.thenCombine(
              order(volume, new Leases.Mark(mine)).handle((answer, failure) -> failure == null),
              (obeying, obeys) -> obeys ? with(obeying, volume) : obeying);
    }
    getContext()
        .pipeToSelf(
            all.thenCombine(
                parts.behind().get().exceptionally(failure -> Double.MAX_VALUE),
                (obeying, behind) -> new Marked(mine, obeying, behind)),
            (marked, failure) -> failure == null ? marked : new Marked(mine, List.of(), 0));
  }

  private static List<VolumeName> with(List<VolumeName> all, VolumeName more) {
    List<VolumeName> longer = new ArrayList<>(all);
    longer.add(more);
    return longer;
  }

  private CompletionStage<byte[]> order(VolumeName volume, Leases.Lease lease) {
    long id = ThreadLocalRandom.current().nextLong();
    long deadline = parts.clock().micros() + answer().toNanos() / 1_000;
    return parts
        .taps()
        .order(volume, new TapOrder(id, OrderKind.LEASE, deadline, Leases.encode(lease)));
  }

  private Duration answer() {
    Duration twice = parts.renewEvery().multipliedBy(2);
    return twice.compareTo(ANSWER_MIN) < 0 ? ANSWER_MIN : twice;
  }

  /** Only now, after all the marks, are the arbiters asked (W1). */
  private Behavior<Command> onMarked(Marked c) {
    marking = false;
    Round begun = rounds.get(c.round());
    if (begun == null || unguarding) {
      return this;
    }
    rounds.put(c.round(), new Round(begun.beganMicros(), begun.counts(), c.obeying()));
    if (begun.counts()) {
      obeyed.addAll(c.obeying());
    }
    WitnessCommand.AskVote ask =
        new WitnessCommand.AskVote(
            plan.name(), plan.config(), armed(), plan.source(), plan.target(), c.behind());
    for (String site : List.of(plan.witness(), plan.target())) {
      getContext()
          .pipeToSelf(
              parts.sites().ask(site, ask, answer()),
              (said, failure) ->
                  new Voted(c.round(), site, failure == null ? said.word() : null, failure));
    }
    return this;
  }

  private Behavior<Command> onVoted(Voted c) {
    words.put(
        c.site(),
        c.failure() == null ? LeaseReport.text(c.word()) : refusal(c.failure()).getMessage());
    // The first of both votes is enough; the other one finds the round gone.
    Round won = c.failure() == null ? rounds.remove(c.round()) : null;
    if (won != null && !unguarding) {
      long leaseMicros = c.word().leaseMillis() * 1_000;
      untilMicros = Math.max(untilMicros, won.beganMicros() + LeaseTerms.relied(leaseMicros));
      for (VolumeName volume : won.obeying()) {
        order(volume, new Leases.Grant(c.round(), leaseMicros))
            .exceptionally(failure -> ungranted(volume, failure));
      }
    }
    report();
    return this;
  }

  private static byte[] ungranted(VolumeName volume, Throwable failure) {
    log.debug("volume {}: no lease passed on", volume, failure);
    return new byte[0];
  }

  private Behavior<Command> onUnguard(Unguard c) {
    unguarding = true;
    getContext()
        .pipeToSelf(
            each(volume -> parts.taps().lease(volume, false))
                .thenCompose(
                    freed ->
                        each(
                            volume ->
                                order(volume, new Leases.Off())
                                    // Whoever is not attached learns it when it is.
                                    .exceptionally(gone -> new byte[0]))),
            (freed, failure) -> new Freed(c.replyTo(), failure));
    return this;
  }

  private Behavior<Command> onFreed(Freed c) {
    unguarding = c.failure() == null;
    leased &= c.failure() == null;
    c.replyTo().tell(new Unguarded(Optional.ofNullable(c.failure()).map(LeaseKeeper::refusal)));
    return this;
  }

  private CompletionStage<Void> each(
      java.util.function.Function<VolumeName, CompletionStage<?>> act) {
    CompletionStage<Void> all = CompletableFuture.completedStage(null);
    for (VolumeName volume : plan.volumes()) {
      all = all.thenCombine(act.apply(volume), (none, done) -> null);
    }
    return all;
  }

  private void report() {
    boolean held = renews && untilMicros > parts.clock().micros();
    String witness = words.getOrDefault(plan.witness(), "not asked yet");
    parts
        .report()
        .accept(
            new LeaseReport(
                plan.source(),
                held ? plan.source() : "",
                held ? untilMicros : 0,
                armed(),
                unleased.isEmpty() ? witness : unleased,
                words.getOrDefault(plan.target(), "not asked yet")));
  }

  static Refusal refusal(Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof Refusal refusal
        ? refusal
        : new Refusal(ErrorCode.FAILED, "it failed: " + cause, cause);
  }
}
