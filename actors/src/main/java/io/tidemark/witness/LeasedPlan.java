package io.tidemark.witness;

import io.tidemark.position.VolumeName;
import java.time.Duration;
import java.util.List;
import java.util.UUID;

/**
 * A plan with automatic failover, as far as leases are concerned.
 *
 * @param config another one after each change
 * @param after how long the source has to be silent
 * @param rpoSeconds the loss that is accepted, 0 for any
 */
public record LeasedPlan(
    String name,
    UUID config,
    String witness,
    String source,
    String target,
    Duration after,
    int rpoSeconds,
    List<VolumeName> volumes) {
  public LeasedPlan {
    volumes = List.copyOf(volumes);
  }
}
