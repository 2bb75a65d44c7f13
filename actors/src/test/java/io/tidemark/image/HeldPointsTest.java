package io.tidemark.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.image.VolumePoints.Located;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Holds are renewed as long as somebody reads, and not a moment longer than that (J8). */
class HeldPointsTest {
  private static final VolumeName VOLUME = new VolumeName("disk");
  private static final VolumeId ID = VolumeId.random();

  /** A volume that remembers who holds what, and how often it was asked. */
  private static final class Volume implements VolumePoints {
    private final Map<String, Long> held = new ConcurrentHashMap<>();
    private final AtomicInteger asked = new AtomicInteger();
    private volatile ErrorCode refusal;
    private volatile boolean opens = true;

    @Override
    public CompletionStage<Located> locate(VolumeName volume, At at) {
      throw new AssertionError("nobody looks for a point");
    }

    @Override
    public CompletionStage<PointReader> open(Located located) {
      return opens
          ? CompletableFuture.completedStage(null)
          : CompletableFuture.failedStage(new Refusal(ErrorCode.FAILED, "it does not open"));
    }

    @Override
    public CompletionStage<Void> hold(
        Located located, String holder, boolean onward, Duration lease) {
      ErrorCode now = refusal;
      asked.incrementAndGet();
      if (now != null) {
        return CompletableFuture.failedStage(new Refusal(now, "not now"));
      }
      held.put(holder, located.point().seq().value());
      return CompletableFuture.completedStage(null);
    }

    @Override
    public CompletionStage<Void> release(VolumeName volume, String holder) {
      held.remove(holder);
      return CompletableFuture.completedStage(null);
    }
  }

  private final Volume volume = new Volume();
  private final HeldPoints points = new HeldPoints(volume, Duration.ofMillis(5));

  @AfterEach
  void stop() {
    points.close();
  }

  private static Located at(long seq) {
    return new Located(
        VOLUME,
        ID,
        512,
        new RecoveryPoint(new WriteSeq(seq), new MicroTime(seq), RecoveryPoint.MAIN_BRANCH));
  }

  private static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, what);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
    }
  }

  private static void join(CompletionStage<?> stage) {
    stage.toCompletableFuture().join();
  }

  @Test
  void shouldRenewUntilReleased() {
    join(points.hold(at(7), "copy", false, HeldPoints.LEASE));
    await(() -> volume.asked.get() > 3, "it is not renewed");
    join(points.hold(at(9), "copy", false, HeldPoints.LEASE));
    await(() -> volume.held.equals(Map.of("copy", 9L)), "the hold does not move");
    points.release(VOLUME, "copy");
    await(volume.held::isEmpty, "it is not let go");
    int asked = volume.asked.get();
    join(points.hold(at(1), "other", true, HeldPoints.LEASE));
    await(() -> volume.asked.get() > asked + 3, "others are not renewed");
    assertEquals(Map.of("other", 1L), volume.held);
  }

  /** A hold that is lost is not asked for again; one that cannot be renewed just now is. */
  @Test
  void shouldGoOnUnlessThePointIsGone() {
    join(points.hold(at(7), "copy", false, HeldPoints.LEASE));
    volume.refusal = ErrorCode.NOT_ACKNOWLEDGED;
    int before = volume.asked.get();
    await(() -> volume.asked.get() > before + 3, "it gives up");
    volume.held.clear();
    volume.refusal = null;
    await(() -> volume.held.containsKey("copy"), "it is not held again");
    volume.refusal = ErrorCode.BEYOND_HORIZON;
    int lost = volume.asked.get();
    await(() -> volume.asked.get() > lost, "it is not renewed");
    volume.held.clear();
    volume.refusal = null;
    join(points.hold(at(1), "other", false, HeldPoints.LEASE));
    int after = volume.asked.get();
    await(() -> volume.asked.get() > after + 3, "others are not renewed");
    assertEquals(Map.of("other", 1L), volume.held);
  }

  /** What was refused or did not open is not held. */
  @Test
  void shouldNotHoldWhatDoesNotOpen() {
    volume.opens = false;
    assertThrows(CompletionException.class, () -> join(points.open(at(7), "reader")));
    assertTrue(volume.held.isEmpty());
    volume.opens = true;
    volume.refusal = ErrorCode.BEYOND_HORIZON;
    CompletionException refused =
        assertThrows(CompletionException.class, () -> join(points.open(at(7), "reader")));
    assertEquals(ErrorCode.BEYOND_HORIZON, ((Refusal) refused.getCause()).code());
    volume.refusal = null;
    join(points.open(at(8), "reader"));
    assertEquals(Map.of("reader", 8L), volume.held);
  }
}
