package io.tidemark.image;

import io.tidemark.image.VolumePoints.Located;
import io.tidemark.point.PointReader;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.VolumeSummary;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What this process reads of volumes' pasts, held against retention for as long as it reads (J8): a
 * hold is renewed until it is let go, and lapses by itself when the process has died. Thread-safe.
 */
public final class HeldPoints implements AutoCloseable {
  /** A hold outlives its process for so long. */
  public static final Duration LEASE = Duration.ofMinutes(10);

  private static final int RENEWALS_A_LEASE = 5;

  /** A horizon that moves again and again while it is to be held is asked for so often. */
  private static final int HORIZONS_MAX = 5;

  private static final Logger LOG = LoggerFactory.getLogger(HeldPoints.class);

  private record Key(VolumeName volume, String holder) {}

  private record Held(Located located, boolean onward, Duration lease) {}

  private final VolumePoints points;
  private final Map<Key, Held> held = new ConcurrentHashMap<>();
  private final ScheduledExecutorService renewals =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "held-points");
            thread.setDaemon(true);
            return thread;
          });

  public HeldPoints(VolumePoints points) {
    this(points, LEASE.dividedBy(RENEWALS_A_LEASE));
  }

  /**
   * @param renewal how often all holds are renewed
   */
  HeldPoints(VolumePoints points, Duration renewal) {
    this.points = points;
    renewals.scheduleWithFixedDelay(
        this::renew, renewal.toMillis(), renewal.toMillis(), TimeUnit.MILLISECONDS);
  }

  /**
   * Holds a point until it is let go; what the holder held of that volume before is let go.
   *
   * @param holder who, unique in the site and at most {@link VolumePoints#HOLDER_CHARS_MAX} long
   * @param onward whether all points from that one on are held
   * @param lease for how long when this process dies, at least {@link #LEASE}
   * @return fails with {@code BEYOND_HORIZON} when the point is given up already
   */
  public CompletionStage<Void> hold(
      Located located, String holder, boolean onward, Duration lease) {
    Key key = new Key(located.name(), holder);
    Held hold = new Held(located, onward, lease);
    held.put(key, hold);
    return points
        .hold(located, holder, onward, lease)
        .whenComplete(
            (done, failure) -> {
              if (failure != null) {
                held.remove(key, hold);
              }
            });
  }

  /** Holds a point for a reader of this process, and opens it. */
  public CompletionStage<PointReader> open(Located located, String holder) {
    return hold(located, holder, false, LEASE)
        .thenCompose(
            done ->
                points
                    .open(located)
                    .whenComplete(
                        (reader, failure) -> {
                          if (failure != null) {
                            release(located.name(), holder);
                          }
                        }));
  }

  /**
   * Holds all of a volume's history as it is now: its horizon does not move meanwhile.
   *
   * @param volume asks for the volume as it is
   * @return the volume as it was when it was held
   */
  public CompletionStage<VolumeSummary> holdHistory(
      Supplier<CompletionStage<VolumeSummary>> volume, String holder) {
    return holdHistory(volume, holder, HORIZONS_MAX);
  }

  private CompletionStage<VolumeSummary> holdHistory(
      Supplier<CompletionStage<VolumeSummary>> volume, String holder, int tries) {
    return volume
        .get()
        .thenCompose(
            now ->
                hold(
                        new Located(now.name(), now.id(), now.sizeBytes(), now.horizon()),
                        holder,
                        true,
                        LEASE)
                    .thenApply(done -> now)
                    .exceptionallyCompose(
                        failure ->
                            tries > 1 && code(failure).equals(Optional.of(ErrorCode.BEYOND_HORIZON))
                                ? holdHistory(volume, holder, tries - 1)
                                : CompletableFuture.failedStage(failure)));
  }

  private static Optional<ErrorCode> code(Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof Refusal refusal ? Optional.of(refusal.code()) : Optional.empty();
  }

  /** Lets go what the holder holds of the volume, if anything. Does not wait for it. */
  public void release(VolumeName volume, String holder) {
    if (held.remove(new Key(volume, holder)) == null) {
      return;
    }
    points
        .release(volume, holder)
        .whenComplete(
            (done, failure) -> {
              if (failure != null) {
                LOG.warn("what {} holds of {} stays for a while", holder, volume, failure);
              }
            });
  }

  private void renew() {
    held.forEach(
        (key, hold) ->
            points
                .hold(hold.located(), key.holder(), hold.onward(), hold.lease())
                .whenComplete((done, failure) -> renewed(key, hold, failure)));
  }

  private void renewed(Key key, Held hold, Throwable failure) {
    if (failure == null) {
      if (!held.containsKey(key)) {
        // It was let go while it was renewed.
        points.release(key.volume(), key.holder());
      }
      return;
    }
    if (code(failure).filter(code -> code != ErrorCode.NOT_ACKNOWLEDGED).isPresent()) {
      held.remove(key, hold);
    }
    LOG.warn("what {} holds of {} is not renewed", key.holder(), key.volume(), failure);
  }

  /** Renews nothing any more: what is held lapses. */
  @Override
  public void close() {
    renewals.shutdown();
  }
}
