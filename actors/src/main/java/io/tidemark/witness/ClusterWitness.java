package io.tidemark.witness;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.AskPattern;
import akka.cluster.sharding.typed.ClusterShardingSettings;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.sharding.typed.javadsl.Entity;
import io.tidemark.fence.WriterFence;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.witness.WitnessCommand.Answer;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/** Has a node take part in arbitrating, for whichever plans this site is target or witness of. */
public final class ClusterWitness {
  private final ActorSystem<?> system;
  private final ClusterSharding sharding;
  private final Duration timeout;

  private ClusterWitness(ActorSystem<?> system, Duration timeout) {
    this.system = system;
    this.sharding = ClusterSharding.get(system);
    this.timeout = timeout;
  }

  /** Starts it; nothing runs until a plan asks. */
  public static void start(ActorSystem<?> system, RemoteSites sites, WriterFence fence) {
    var config = system.settings().config();
    PlanArbiter.Parts parts =
        new PlanArbiter.Parts(
            fence,
            sites.here(),
            config.getDuration("tidemark.witness.lease"),
            MicroClock.system(),
            System::nanoTime);
    ClusterWitness witness =
        new ClusterWitness(system, config.getDuration("tidemark.site.ask-timeout"));
    witness.sharding.init(
        Entity.of(PlanArbiter.TYPE_KEY, entity -> PlanArbiter.create(entity.getEntityId(), parts))
            .withSettings(ClusterShardingSettings.create(system).withNoPassivationStrategy()));
    witness.serve(sites);
  }

  private void serve(RemoteSites sites) {
    sites.serve(
        WitnessCommand.AskVote.class,
        c ->
            ask(
                c.plan(),
                ref ->
                    new PlanArbiter.AskVote(
                        c.config(), c.armed(), c.source(), c.target(), c.behindSeconds(), ref)));
    sites.serve(
        WitnessCommand.Claim.class,
        c ->
            ask(
                c.plan(),
                ref -> new PlanArbiter.Claim(c.config(), c.claim(), c.afterMillis(), ref)));
    sites.serve(
        WitnessCommand.Yield.class,
        c -> ask(c.plan(), ref -> new PlanArbiter.Yield(c.claim(), ref)));
    sites.serve(
        WitnessCommand.Retire.class,
        c -> ask(c.plan(), ref -> new PlanArbiter.Retire(c.config(), ref)));
    sites.serve(WitnessCommand.Show.class, c -> ask(c.plan(), PlanArbiter.GetArbiter::new));
  }

  private CompletionStage<Answer> ask(
      String plan, Function<ActorRef<PlanArbiter.Reply>, PlanArbiter.Command> command) {
    CompletionStage<PlanArbiter.Reply> reply =
        AskPattern.ask(
            sharding.entityRefFor(PlanArbiter.TYPE_KEY, plan),
            command::apply,
            timeout,
            system.scheduler());
    return reply.handle(
        (answer, failure) -> {
          if (failure != null) {
            throw late(plan, failure);
          }
          if (answer instanceof PlanArbiter.Refused refused) {
            throw refused.refusal();
          }
          return new Answer(((PlanArbiter.Word) answer).word());
        });
  }

  private static RuntimeException late(String plan, Throwable failure) {
    return failure instanceof TimeoutException
        ? new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "the arbiter of plan '" + Refusal.printable(plan) + "' did not answer in time",
            failure)
        : new CompletionException(failure);
  }
}
