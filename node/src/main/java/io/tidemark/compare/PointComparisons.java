package io.tidemark.compare;

import io.tidemark.image.HeldPoints;
import io.tidemark.image.VolumePoints;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;

/** Comparisons over the points of the site's volumes. Thread-safe. */
public final class PointComparisons implements Comparisons, AutoCloseable {
  /** Comparisons of content that may run at once; each has a thread. */
  public static final int CONTENT_MAX = 2;

  private final VolumePoints points;
  private final HeldPoints held;
  private final Semaphore slots = new Semaphore(CONTENT_MAX);
  private final ExecutorService threads =
      Executors.newFixedThreadPool(
          CONTENT_MAX,
          work -> {
            Thread thread = new Thread(work, "compare");
            thread.setDaemon(true);
            return thread;
          });

  public PointComparisons(VolumePoints points, HeldPoints held) {
    this.points = points;
    this.held = held;
  }

  @Override
  public CompletionStage<Page> compare(Request request) {
    if (request.rangesMax() < 1 || request.rangesMax() > RANGES_MAX) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.INVALID,
              request.rangesMax() + " ranges cannot be told at once: use 1 to " + RANGES_MAX));
    }
    return points
        .locate(request.volume(), request.from())
        .thenCombine(
            points.locate(request.volume(), request.to()), (from, to) -> page(request, from, to))
        .thenCompose(page -> page);
  }

  private CompletionStage<Page> page(Request request, Located from, Located to) {
    if (!from.volume().equals(to.volume())) {
      throw new Refusal(
          ErrorCode.NOT_FOUND,
          "the volume '" + request.volume() + "' was deleted and created again meanwhile");
    }
    if (request.offset() < 0 || request.offset() >= to.sizeBytes()) {
      throw new Refusal(
          ErrorCode.INVALID,
          "offset %d lies outside the volume of %d bytes"
              .formatted(request.offset(), to.sizeBytes()));
    }
    boolean inOrder = from.point().seq().compareTo(to.point().seq()) <= 0;
    Located older = inOrder ? from : to;
    Located newer = inOrder ? to : from;
    ByteRange within = new ByteRange(request.offset(), to.sizeBytes() - request.offset());
    String holder = "compare:" + UUID.randomUUID();
    return held.open(newer, holder)
        .thenCompose(
            now ->
                now.changedAfter(older.point().seq(), within, request.rangesMax())
                    .thenCompose(
                        changes ->
                            request.content()
                                ? content(older, now, changes, request.rangesMax(), holder)
                                : CompletableFuture.completedStage(changes)))
        .whenComplete((done, failure) -> held.release(request.volume(), holder))
        .thenApply(
            changes ->
                new Page(
                    request.volume(),
                    from.point(),
                    to.point(),
                    to.sizeBytes(),
                    request.content(),
                    changes.ranges(),
                    changes.ranges().stream().mapToLong(ByteRange::length).sum(),
                    changes.end() < to.sizeBytes()
                        ? OptionalLong.of(changes.end())
                        : OptionalLong.empty()));
  }

  private CompletionStage<Changes> content(
      Located older, PointReader now, Changes written, int rangesMax, String holder) {
    if (written.ranges().isEmpty()) {
      return CompletableFuture.completedStage(written);
    }
    if (!slots.tryAcquire()) {
      throw new Refusal(
          ErrorCode.BUSY,
          CONTENT_MAX + " comparisons of content are running, the most that may; repeat this");
    }
    String olderHolder = holder + ":older";
    return held.open(older, olderHolder)
        .thenApplyAsync(
            before -> new ContentComparison(before, now, rangesMax).of(written), threads)
        .whenComplete(
            (done, failure) -> {
              slots.release();
              held.release(older.name(), olderHolder);
            });
  }

  @Override
  public void close() {
    threads.shutdown();
  }
}
