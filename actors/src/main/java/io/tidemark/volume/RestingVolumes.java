package io.tidemark.volume;

import io.tidemark.position.VolumeName;
import io.tidemark.site.VolumeSummary;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Consumer;

/**
 * What the site's volumes were when they left memory, of whatever node. It is what they are for as
 * long as the term stands that they were claimed under: without a later claim nobody has written an
 * event since (F1), and no tap is attached (V9). Thread-safe.
 */
public final class RestingVolumes {
  /** Past it a volume is asked, as if it had never been in memory here. */
  private static final int VOLUMES_MAX = 100_000;

  /**
   * @param term of the claim under which the summary was made
   */
  public record Resting(VolumeSummary summary, long term) {}

  private final ConcurrentMap<VolumeName, Resting> volumes = new ConcurrentHashMap<>();
  private final Consumer<Resting> others;

  /**
   * @param others tells the other nodes, as far as they can be reached; who is not told asks
   */
  public RestingVolumes(Consumer<Resting> others) {
    this.others = others;
  }

  void slept(VolumeSummary summary, long term) {
    Resting resting = new Resting(summary, term);
    learn(resting);
    others.accept(resting);
  }

  /** Takes what another node tells; of two the one with the later term. */
  public void learn(Resting resting) {
    if (volumes.size() < VOLUMES_MAX) {
      volumes.merge(
          resting.summary().name(), resting, (old, next) -> old.term() > next.term() ? old : next);
    }
  }

  void woke(VolumeName name) {
    volumes.remove(name);
  }

  /** Empty for a volume that is in this node's memory, or of which nothing was heard. */
  public Optional<Resting> find(VolumeName name) {
    return Optional.ofNullable(volumes.get(name));
  }
}
