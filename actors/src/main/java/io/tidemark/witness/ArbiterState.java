package io.tidemark.witness;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.witness.ArbiterEvent.ArbiterArmed;
import io.tidemark.witness.ArbiterEvent.ArbiterRetired;
import io.tidemark.witness.ArbiterEvent.LeaseClaimed;
import java.util.Optional;
import java.util.UUID;

/** Whose a plan's vote is at one site: pure, immutable, without clock or chance. */
public sealed interface ArbiterState extends TidemarkMessage {
  ArbiterState EMPTY = new Unarmed(Optional.empty());

  /**
   * Nobody may claim the vote; the source gets it whenever it asks.
   *
   * @param retired the configuration that was turned off last
   */
  @JsonTypeName("arbiter-state-unarmed")
  record Unarmed(Optional<UUID> retired) implements ArbiterState {}

  /**
   * The taps of the source obey the lease of that configuration.
   *
   * @param claim by which the target has the vote; empty: it is the source's
   */
  @JsonTypeName("arbiter-state-armed")
  record Armed(UUID config, String source, String target, Optional<UUID> claim)
      implements ArbiterState {}

  /** By which claim the target has the vote. */
  default Optional<UUID> claim() {
    return Optional.empty();
  }

  /** Whether the source's message that its taps obey is news. */
  static boolean arms(ArbiterState state, UUID config) {
    if (state instanceof Armed armed) {
      return armed.claim().isEmpty() && !armed.config().equals(config);
    }
    return !((Unarmed) state).retired().equals(Optional.of(config));
  }

  /** Why the source does not get the vote. */
  static Optional<Refusal> refuseVote(ArbiterState state, String here, String plan) {
    return state.claim().isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Refusal(
                ErrorCode.FENCED,
                "site '%s' gave its vote for plan '%s' to the target, which took over"
                    .formatted(here, plan)));
  }

  /** Why the target does not get the vote (W3, W4). */
  static Optional<Refusal> refuseClaim(
      ArbiterState state,
      Promise promise,
      UUID config,
      UUID claim,
      long afterNanos,
      long nowNanos,
      String plan) {
    if (!(state instanceof Armed armed) || !armed.config().equals(config)) {
      return refuse(
          ErrorCode.NOT_ACKNOWLEDGED,
          "the source of plan '%s' has not said that all its taps obey the lease",
          plan);
    }
    if (armed.claim().equals(Optional.of(claim))) {
      return Optional.empty();
    }
    if (armed.claim().isPresent()) {
      return refuse(ErrorCode.BUSY, "another run of plan '%s' has the vote", plan);
    }
    double silent = promise.silentNanos(nowNanos) / 1e9;
    if (promise.silentNanos(nowNanos) < afterNanos) {
      return refuse(
          ErrorCode.BUSY,
          "site '%s' was heard %.1f s ago; it has to be silent for %.1f s",
          armed.source(),
          silent,
          afterNanos / 1e9);
    }
    return promise.over(nowNanos)
        ? Optional.empty()
        : refuse(
            ErrorCode.BUSY,
            "site '%s' has the lease for another %.1f s",
            armed.source(),
            promise.leftNanos(nowNanos) / 1e9);
  }

  private static Optional<Refusal> refuse(ErrorCode code, String sentence, Object... values) {
    return Optional.of(new Refusal(code, sentence.formatted(values)));
  }

  /** The state after {@code event}. */
  static ArbiterState apply(ArbiterState state, ArbiterEvent event) {
    if (event instanceof ArbiterArmed e) {
      return new Armed(e.config(), e.source(), e.target(), Optional.empty());
    }
    if (event instanceof ArbiterRetired e) {
      return new Unarmed(Optional.of(e.config()));
    }
    if (state instanceof Armed armed) {
      Optional<UUID> claim =
          event instanceof LeaseClaimed e ? Optional.of(e.claim()) : Optional.empty();
      return new Armed(armed.config(), armed.source(), armed.target(), claim);
    }
    throw new IllegalStateException("no transition for " + event + " in " + state);
  }
}
