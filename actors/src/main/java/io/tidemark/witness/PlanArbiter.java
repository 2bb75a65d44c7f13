package io.tidemark.witness;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.StashBuffer;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.fence.WriterFence;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.witness.ArbiterEvent.ArbiterArmed;
import io.tidemark.witness.ArbiterEvent.ArbiterRetired;
import io.tidemark.witness.ArbiterEvent.LeaseClaimed;
import io.tidemark.witness.ArbiterEvent.LeaseYielded;
import io.tidemark.witness.ArbiterState.Armed;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.function.LongSupplier;

/**
 * One plan's vote at the witness or the target. Diagram and invariants: {@link
 * io.tidemark.witness}.
 */
public final class PlanArbiter
    extends EventSourcedBehaviorWithEnforcedReplies<
        PlanArbiter.Command, ArbiterEvent, ArbiterState> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "plan-arbiter");

  private static final int SNAPSHOT_EVERY = 100;
  private static final int CLAIM_STASH_MAX = 1_000;

  // ---- protocol -------------------------------------------------------------------------------

  /** What an arbiter is asked. */
  public sealed interface Command {}

  /**
   * Replies {@link Word}: the vote is the source's for another lease. {@code FENCED} when the
   * target has it, {@code NOT_ACKNOWLEDGED} when another arbiter took over. Safe to repeat.
   */
  @JsonTypeName("ask-vote")
  public record AskVote(
      UUID config,
      boolean armed,
      String source,
      String target,
      double behindSeconds,
      ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Replies {@link Word}: the vote is the target's. {@code BUSY} while it is promised to the source
   * or that was heard lately, {@code NOT_ACKNOWLEDGED} when it was never armed for this
   * configuration or another arbiter took over. Safe to repeat.
   */
  @JsonTypeName("claim-lease")
  public record Claim(UUID config, UUID claim, long afterMillis, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Word}, also when that claim has no vote: safe to repeat. */
  @JsonTypeName("yield-lease")
  public record Yield(UUID claim, ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** Replies {@link Word}: nobody may claim in that configuration. Safe to repeat. */
  @JsonTypeName("retire-arbiter")
  public record Retire(UUID config, ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** Replies {@link Word}. */
  @JsonTypeName("get-arbiter")
  public record GetArbiter(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  private record Claimed(long term) implements Command {}

  private record NotClaimed(Throwable failure) implements Command {}

  /** Whether this arbiter is still the only one, of an answer that waits for it (W2). */
  private record Confirmed(ActorRef<Reply> replyTo, boolean holds, Throwable failure)
      implements Command {}

  /** What an arbiter answers. */
  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("arbiter-word")
  public record Word(ArbiterWord word) implements Reply {}

  @JsonTypeName("arbiter-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  // ---- construction ---------------------------------------------------------------------------

  /**
   * What arbiters work with; the same for all of a node.
   *
   * @param here this site
   * @param lease how long a promise lasts
   * @param nanos a clock that never goes back
   */
  record Parts(
      WriterFence fence, String here, Duration lease, MicroClock clock, LongSupplier nanos) {}

  private final ActorContext<Command> context;
  private final String plan;
  private final Parts parts;
  private final long term;

  /** Made after the journal was claimed: no predecessor promises anything later (W2). */
  private final Promise promise;

  /** The entity of the plan {@code plan}: claims the journal, then reads it. */
  static Behavior<Command> create(String plan, Parts parts) {
    return Behaviors.setup(
        context ->
            Behaviors.withStash(CLAIM_STASH_MAX, waiting -> claim(context, waiting, plan, parts)));
  }

  private static Behavior<Command> claim(
      ActorContext<Command> context, StashBuffer<Command> waiting, String plan, Parts parts) {
    context.pipeToSelf(
        parts.fence().claim(journal(plan)),
        (term, failure) -> failure == null ? new Claimed(term) : new NotClaimed(failure));
    return Behaviors.receive(Command.class)
        .onMessage(
            Claimed.class,
            claimed -> waiting.unstashAll(new PlanArbiter(context, plan, parts, claimed.term())))
        .onMessage(
            NotClaimed.class,
            failed -> {
              context.getLog().warn("arbiter of plan {}: not claimed", plan, failed.failure());
              return Behaviors.stopped();
            })
        .onAnyMessage(
            request -> {
              if (!waiting.isFull()) {
                waiting.stash(request);
              }
              return Behaviors.same();
            })
        .build();
  }

  private static String journal(String plan) {
    return TYPE_KEY.name() + "|" + plan;
  }

  private PlanArbiter(ActorContext<Command> context, String plan, Parts parts, long term) {
    super(
        PersistenceId.ofUniqueId(journal(plan)),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(500), Duration.ofSeconds(10), 0.2));
    this.context = context;
    this.plan = plan;
    this.parts = parts;
    this.term = term;
    this.promise = new Promise(parts.lease().toNanos(), parts.nanos().getAsLong());
  }

  @Override
  public ArbiterState emptyState() {
    return ArbiterState.EMPTY;
  }

  // ---- commands -------------------------------------------------------------------------------

  @Override
  public CommandHandlerWithReply<Command, ArbiterEvent, ArbiterState> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(AskVote.class, this::onAskVote)
        .onCommand(Claim.class, this::onClaim)
        .onCommand(Yield.class, this::onYield)
        .onCommand(Retire.class, this::onRetire)
        .onCommand(GetArbiter.class, (s, c) -> Effect().reply(c.replyTo(), word(s)))
        .onCommand(Confirmed.class, this::onConfirmed)
        .onCommand(Claimed.class, c -> Effect().noReply())
        .onCommand(NotClaimed.class, c -> Effect().noReply())
        .build();
  }

  private ReplyEffect<ArbiterEvent, ArbiterState> refused(
      ActorRef<Reply> replyTo, Refusal refusal) {
    return Effect().reply(replyTo, new Refused(refusal.code(), refusal.getMessage()));
  }

  private ReplyEffect<ArbiterEvent, ArbiterState> onAskVote(ArbiterState state, AskVote c) {
    promise.heard(nanos(), c.behindSeconds());
    Optional<Refusal> refusal = ArbiterState.refuseVote(state, parts.here(), plan);
    if (refusal.isPresent()) {
      return refused(c.replyTo(), refusal.get());
    }
    promise.extend(nanos()); // before the answer, whatever becomes of that (W2)
    if (c.armed() && ArbiterState.arms(state, c.config())) {
      return Effect()
          .persist((ArbiterEvent) new ArbiterArmed(c.config(), c.source(), c.target(), now()))
          .thenRun(() -> confirm(c.replyTo()))
          .thenNoReply();
    }
    confirm(c.replyTo());
    return Effect().noReply();
  }

  private ReplyEffect<ArbiterEvent, ArbiterState> onClaim(ArbiterState state, Claim c) {
    Optional<Refusal> refusal =
        ArbiterState.refuseClaim(
            state,
            promise,
            c.config(),
            c.claim(),
            Duration.ofMillis(c.afterMillis()).toNanos(),
            nanos(),
            plan);
    if (refusal.isPresent()) {
      return refused(c.replyTo(), refusal.get());
    }
    if (state.claim().isPresent()) {
      confirm(c.replyTo());
      return Effect().noReply();
    }
    return Effect()
        .persist((ArbiterEvent) new LeaseClaimed(c.claim(), now()))
        .thenRun(() -> confirm(c.replyTo()))
        .thenNoReply();
  }

  private ReplyEffect<ArbiterEvent, ArbiterState> onYield(ArbiterState state, Yield c) {
    return state.claim().equals(Optional.of(c.claim()))
        ? Effect()
            .persist((ArbiterEvent) new LeaseYielded(c.claim(), now()))
            .thenReply(c.replyTo(), this::word)
        : Effect().reply(c.replyTo(), word(state));
  }

  private ReplyEffect<ArbiterEvent, ArbiterState> onRetire(ArbiterState state, Retire c) {
    boolean known =
        state instanceof Armed armed
            ? !armed.config().equals(c.config())
            : ((ArbiterState.Unarmed) state).retired().equals(Optional.of(c.config()));
    return known
        ? Effect().reply(c.replyTo(), word(state))
        : Effect()
            .persist((ArbiterEvent) new ArbiterRetired(c.config(), now()))
            .thenReply(c.replyTo(), this::word);
  }

  /** Asks whether this is the only arbiter, after all that the answer rests on. */
  private void confirm(ActorRef<Reply> replyTo) {
    context.pipeToSelf(
        parts.fence().holds(journal(plan), term),
        (holds, failure) -> new Confirmed(replyTo, failure == null && holds, failure));
  }

  private ReplyEffect<ArbiterEvent, ArbiterState> onConfirmed(ArbiterState state, Confirmed c) {
    if (c.holds()) {
      return Effect().reply(c.replyTo(), word(state));
    }
    Refused unsure =
        new Refused(
            ErrorCode.NOT_ACKNOWLEDGED,
            "site '%s' cannot tell whether its arbiter of plan '%s' is the only one; ask again"
                .formatted(parts.here(), plan));
    if (c.failure() != null) {
      context.getLog().warn("arbiter of plan {}: its claim was not found out", plan, c.failure());
      return Effect().reply(c.replyTo(), unsure);
    }
    return Effect().stop().thenReply(c.replyTo(), none -> unsure);
  }

  private Word word(ArbiterState state) {
    long now = nanos();
    Optional<UUID> config =
        state instanceof Armed armed ? Optional.of(armed.config()) : Optional.empty();
    return new Word(
        new ArbiterWord(
            parts.here(),
            state instanceof Armed,
            config,
            state.claim(),
            promise.silentNanos(now) / 1_000_000,
            promise.heardEver(),
            promise.leftNanos(now) / 1_000_000,
            promise.leaseNanos() / 1_000_000,
            promise.behindSeconds()));
  }

  private long nanos() {
    return parts.nanos().getAsLong();
  }

  private long now() {
    return parts.clock().micros();
  }

  // ---- events, retention ----------------------------------------------------------------------

  @Override
  public EventHandler<ArbiterState, ArbiterEvent> eventHandler() {
    return ArbiterState::apply;
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
