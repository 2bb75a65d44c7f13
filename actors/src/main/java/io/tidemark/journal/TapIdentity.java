package io.tidemark.journal;

import io.tidemark.position.VolumeName;
import java.util.UUID;

/**
 * Who asks to append.
 *
 * @param volume the volume it captures
 * @param tapId the tap's lasting identity, kept beside its activity log; the same tap may replace
 *     its own broken session at once
 * @param address how people know it: host and listen address
 * @param sizeBytes size of the backing store
 * @param trusting whether it takes its backing store for the truth in any case; taps of older
 *     releases do
 */
public record TapIdentity(
    VolumeName volume, UUID tapId, String address, long sizeBytes, boolean trusting) {
  public TapIdentity(VolumeName volume, UUID tapId, String address, long sizeBytes) {
    this(volume, tapId, address, sizeBytes, false);
  }
}
