package io.tidemark.taplink;

import io.tidemark.position.VolumeName;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/** The volumes whose tap has its session on this node. Thread-safe. */
public final class LiveLinks {
  private final ConcurrentMap<VolumeName, LiveLink> links = new ConcurrentHashMap<>();

  /** The link of the volume's tap, if it is to this node. */
  public Optional<LiveLink> of(VolumeName volume) {
    return Optional.ofNullable(links.get(volume));
  }

  /** A newer session of the same volume takes the place of an older one. */
  void opened(VolumeName volume, LiveLink link) {
    links.put(volume, link);
  }

  /** Does nothing when a newer session has taken its place. */
  void closed(VolumeName volume, LiveLink link) {
    links.remove(volume, link);
  }
}
