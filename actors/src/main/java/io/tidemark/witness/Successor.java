package io.tidemark.witness;

import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.AbstractBehavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.Receive;
import akka.actor.typed.javadsl.TimerScheduler;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The target's side: looks whether the source is silent, gets both votes when it is, and has the
 * plan take over; gives votes back that no run needs (W5). Keeps nothing: what a predecessor was at
 * never began, unless the plan says so.
 */
public final class Successor extends AbstractBehavior<Successor.Command> {

  /** What a successor is told. */
  public sealed interface Command {}

  /**
   * What the plan is at.
   *
   * @param mayTakeOver whether it is ready to
   * @param away the run by which volumes are primaries here, or may be
   */
  public record Stand(boolean mayTakeOver, Optional<UUID> away) implements Command {}

  /** The plan began the run, or says why not. */
  public record Answered(UUID claim, Optional<Refusal> refusal) implements Command {}

  private record Tick() implements Command {}

  private record Said(String site, ArbiterWord word, Throwable failure) implements Command {}

  private record AtWitness(UUID claim, ArbiterWord word, Throwable failure) implements Command {}

  private record AtTarget(UUID claim, ArbiterWord witness, ArbiterWord word, Throwable failure)
      implements Command {}

  /** How the plan is asked to take over: answered with {@link Answered}. */
  @FunctionalInterface
  public interface TakeOver {
    /**
     * @param claim the id of the run
     * @param agreed who agreed to it, in words
     */
    void order(UUID claim, String agreed);
  }

  /**
   * What a successor works with.
   *
   * @param alert takes why it did not take over, in words
   */
  public record Parts(
      RemoteSites sites,
      Duration renewEvery,
      MicroClock clock,
      LongSupplier nanos,
      TakeOver takeOver,
      Consumer<LeaseReport> report,
      Consumer<String> alert) {}

  private static final Duration ANSWER = Duration.ofSeconds(3);

  private static final Logger log = LoggerFactory.getLogger(Successor.class);

  private final LeasedPlan plan;
  private final Parts parts;
  private final Map<String, ArbiterWord> said = new HashMap<>();
  private final Map<String, String> words = new HashMap<>();
  private Optional<Stand> known = Optional.empty();
  private Optional<UUID> attempt = Optional.empty();
  private long restUntilNanos;
  private String alerted = "";

  public static Behavior<Command> create(LeasedPlan plan, Parts parts) {
    return Behaviors.setup(
        context -> Behaviors.withTimers(timers -> new Successor(context, timers, plan, parts)));
  }

  private Successor(
      ActorContext<Command> context, TimerScheduler<Command> timers, LeasedPlan plan, Parts parts) {
    super(context);
    this.plan = plan;
    this.parts = parts;
    this.restUntilNanos = parts.nanos().getAsLong();
    timers.startTimerWithFixedDelay(new Tick(), Duration.ZERO, parts.renewEvery());
  }

  @Override
  public Receive<Command> createReceive() {
    return newReceiveBuilder()
        .onMessage(Stand.class, this::onStand)
        .onMessage(Tick.class, this::onTick)
        .onMessage(Said.class, this::onSaid)
        .onMessage(AtWitness.class, this::onAtWitness)
        .onMessage(AtTarget.class, this::onAtTarget)
        .onMessage(Answered.class, this::onAnswered)
        .build();
  }

  private Behavior<Command> onStand(Stand c) {
    known = Optional.of(c);
    report();
    return this;
  }

  private Behavior<Command> onTick(Tick tick) {
    for (String site : new String[] {plan.witness(), plan.target()}) {
      getContext()
          .pipeToSelf(
              parts.sites().ask(site, new WitnessCommand.Show(plan.name()), ANSWER),
              (answer, failure) -> new Said(site, failure == null ? answer.word() : null, failure));
    }
    return this;
  }

  private Behavior<Command> onSaid(Said c) {
    if (c.failure() != null) {
      said.remove(c.site());
      words.put(c.site(), LeaseKeeper.refusal(c.failure()).getMessage());
      report();
      return this;
    }
    said.put(c.site(), c.word());
    words.put(c.site(), LeaseReport.text(c.word()));
    report();
    if (known.isEmpty()) {
      return this; // nothing is given back that the plan may need
    }
    if (known.get().away().isPresent()) {
      own(c.word(), known.get().away().get());
    } else if (attempt.isEmpty()) {
      if (c.word().claim().isPresent()) {
        tell(c.site(), new WitnessCommand.Yield(plan.name(), c.word().claim().get()));
      } else if (c.site().equals(plan.target())) {
        consider(c.word());
      }
    }
    return this;
  }

  /** Volumes are primaries here: the old source is to have no lease, whoever ordered it. */
  private void own(ArbiterWord word, UUID run) {
    if (word.claim().isEmpty() && word.armed()) {
      tell(word.site(), new WitnessCommand.Claim(plan.name(), plan.config(), run, 0));
    } else if (word.claim().isPresent() && !word.claim().get().equals(run)) {
      tell(word.site(), new WitnessCommand.Yield(plan.name(), word.claim().get()));
    }
  }

  /** The next look shows what came of it. */
  private void tell(String site, WitnessCommand command) {
    parts
        .sites()
        .ask(site, command, ANSWER)
        .whenComplete(
            (answer, failure) -> {
              if (failure != null) {
                log.debug("plan {}: {}", plan.name(), command, failure);
              }
            });
  }

  private void consider(ArbiterWord own) {
    boolean silent =
        own.silentMillis() >= plan.after().toMillis() && own.promisedMillis() == 0 && own.armed();
    boolean ours = own.config().equals(Optional.of(plan.config()));
    if (!silent) {
      alerted = "";
    }
    boolean rested = parts.nanos().getAsLong() - restUntilNanos >= 0;
    if (!known.map(Stand::mayTakeOver).orElse(false) || !silent || !ours || !rested) {
      return;
    }
    UUID claim = UUID.randomUUID();
    attempt = Optional.of(claim);
    claim(plan.witness(), claim, (word, failure) -> new AtWitness(claim, word, failure));
  }

  private void claim(
      String site,
      UUID claim,
      java.util.function.BiFunction<ArbiterWord, Throwable, Command> outcome) {
    WitnessCommand.Claim command =
        new WitnessCommand.Claim(plan.name(), plan.config(), claim, plan.after().toMillis());
    getContext()
        .pipeToSelf(
            parts.sites().ask(site, command, ANSWER),
            (answer, failure) -> outcome.apply(failure == null ? answer.word() : null, failure));
  }

  private Behavior<Command> onAtWitness(AtWitness c) {
    if (!attempt.equals(Optional.of(c.claim()))) {
      return this;
    }
    if (c.failure() != null) {
      return giveUp(
          "site '%s' does not agree: %s"
              .formatted(plan.witness(), LeaseKeeper.refusal(c.failure()).getMessage()));
    }
    claim(
        plan.target(),
        c.claim(),
        (word, failure) -> new AtTarget(c.claim(), c.word(), word, failure));
    return this;
  }

  private Behavior<Command> onAtTarget(AtTarget c) {
    if (!attempt.equals(Optional.of(c.claim()))) {
      return this;
    }
    if (c.failure() != null) {
      return giveUp(LeaseKeeper.refusal(c.failure()).getMessage());
    }
    Optional<String> lossy = lossy(c.witness(), c.word());
    if (lossy.isPresent()) {
      return giveUp(lossy.get());
    }
    parts
        .takeOver()
        .order(
            c.claim(),
            "site '%s' agreed, which had not heard site '%s' for %.1f s, and site '%s' for %.1f s"
                .formatted(
                    plan.witness(),
                    plan.source(),
                    c.witness().silentMillis() / 1e3,
                    plan.target(),
                    c.word().silentMillis() / 1e3));
    return this;
  }

  /** The source may have gone on for as long as the witness heard it, and this site did not. */
  private Optional<String> lossy(ArbiterWord witness, ArbiterWord own) {
    if (plan.rpoSeconds() == 0) {
      return Optional.empty();
    }
    double alone = Math.max(0, own.silentMillis() - witness.silentMillis()) / 1e3;
    if (!own.heard() || own.behindSeconds() + alone > plan.rpoSeconds()) {
      return Optional.of(
          own.heard()
              ? "%.1f s of writes may be lost, more than the %d s that the plan accepts"
                  .formatted(own.behindSeconds() + alone, plan.rpoSeconds())
              : "how much would be lost is not known, and the plan accepts %d s"
                  .formatted(plan.rpoSeconds()));
    }
    return Optional.empty();
  }

  private Behavior<Command> onAnswered(Answered c) {
    if (!attempt.equals(Optional.of(c.claim()))) {
      return this;
    }
    if (c.refusal().isPresent()) {
      Refusal refusal = c.refusal().get();
      return giveUp(refusal.code() + ": " + refusal.getMessage());
    }
    attempt = Optional.empty(); // the plan's stand was told before
    return this;
  }

  /** What was claimed is given back at the next look. */
  private Behavior<Command> giveUp(String reason) {
    attempt = Optional.empty();
    restUntilNanos = parts.nanos().getAsLong() + plan.after().toNanos() / 4;
    if (!alerted.equals(reason.replaceAll("[0-9.]+", ""))) {
      alerted = reason.replaceAll("[0-9.]+", "");
      parts.alert().accept(reason);
    }
    return this;
  }

  private void report() {
    ArbiterWord witness = said.get(plan.witness());
    ArbiterWord own = said.get(plan.target());
    boolean taken = known.flatMap(Stand::away).isPresent();
    long promised =
        Math.max(
            witness == null ? 0 : witness.promisedMillis(), own == null ? 0 : own.promisedMillis());
    boolean source = !taken && promised > 0;
    parts
        .report()
        .accept(
            new LeaseReport(
                plan.target(),
                taken ? plan.target() : source ? plan.source() : "",
                source ? parts.clock().micros() + promised * 1_000 : 0,
                own != null && own.armed() && witness != null && witness.armed(),
                words.getOrDefault(plan.witness(), "not asked yet"),
                words.getOrDefault(plan.target(), "not asked yet")));
  }
}
