package io.tidemark.testsite;

import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** Segments in memory; the test decides when, in which order and whether a store completes. */
public final class MemorySegmentStore implements SegmentStore {
  private final Map<SegmentRef, byte[]> segments = new ConcurrentHashMap<>();
  public final ConcurrentSkipListSet<Long> orphanCalls = new ConcurrentSkipListSet<>();
  public final AtomicInteger failStores = new AtomicInteger();
  public final AtomicInteger failDeletes = new AtomicInteger();
  private final AtomicInteger inFlight = new AtomicInteger();
  public final AtomicInteger inFlightPeak = new AtomicInteger();

  /** Runs what completes a store; replace it to delay or reorder. */
  public volatile Executor completion = Runnable::run;

  @Override
  public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
    if (failStores.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "injected: the store does not answer"));
    }
    byte[] copy = new byte[(int) meta.dataBytes()];
    int position = 0;
    for (ByteBuffer piece : data) {
      int length = piece.remaining();
      piece.duplicate().get(copy, position, length);
      position += length;
    }
    inFlightPeak.accumulateAndGet(inFlight.incrementAndGet(), Math::max);
    CompletableFuture<Long> done = new CompletableFuture<>();
    completion.execute(
        () -> {
          segments.put(ref, copy);
          inFlight.decrementAndGet();
          done.complete((long) copy.length / 2);
        });
    return done;
  }

  @Override
  public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
    return CompletableFuture.failedFuture(new UnsupportedOperationException());
  }

  @Override
  public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
    return deleting(
            ref ->
                ref.volume().equals(firstOrphan.volume())
                    && ref.session() == firstOrphan.session()
                    && ref.ordinal() >= firstOrphan.ordinal())
        .thenAccept(done -> orphanCalls.add(firstOrphan.number()));
  }

  @Override
  public CompletionStage<Void> deleteRuns(VolumeId volume, int session, int firstRun, int lastRun) {
    return deleting(
        ref ->
            ref.volume().equals(volume)
                && ref.session() == session
                && ref.run() >= firstRun
                && ref.run() <= lastRun);
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
    return deleting(ref -> ref.volume().equals(volume) && ref.session() <= lastSession);
  }

  private CompletionStage<Void> deleting(Function<SegmentRef, Boolean> which) {
    if (failDeletes.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "injected: the store does not delete"));
    }
    segments.keySet().removeIf(which::apply);
    return CompletableFuture.completedStage(null);
  }

  public int count() {
    return segments.size();
  }

  public boolean has(VolumeId volume, long number) {
    return segments.containsKey(new SegmentRef(volume, number));
  }
}
