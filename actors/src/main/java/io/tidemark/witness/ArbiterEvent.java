package io.tidemark.witness;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;
import java.util.UUID;

/** What has happened to a plan's vote at one site. */
public sealed interface ArbiterEvent extends TidemarkMessage {
  /**
   * All taps of the source obey the lease: the target may claim the vote from now on (W4).
   *
   * @param config of the plan's automatic failover; another one after each change
   */
  @JsonTypeName("arbiter-armed")
  record ArbiterArmed(UUID config, String source, String target, long timeMicros)
      implements ArbiterEvent {}

  /** The target has the vote. */
  @JsonTypeName("lease-claimed")
  record LeaseClaimed(UUID claim, long timeMicros) implements ArbiterEvent {}

  /** The target gave it back: the source may have it again. */
  @JsonTypeName("lease-yielded")
  record LeaseYielded(UUID claim, long timeMicros) implements ArbiterEvent {}

  /** Automatic failover was turned off; that configuration never comes back. */
  @JsonTypeName("arbiter-retired")
  record ArbiterRetired(UUID config, long timeMicros) implements ArbiterEvent {}
}
