package io.tidemark.position;

import java.util.UUID;

/**
 * The identity of one incarnation of a volume: a volume deleted and created again under the same
 * name has a new id, so that nothing stored for the old one is ever read for the new.
 */
public record VolumeId(UUID value) {
  public static VolumeId random() {
    return new VolumeId(UUID.randomUUID());
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
