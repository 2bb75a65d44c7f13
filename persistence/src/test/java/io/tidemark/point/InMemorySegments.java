package io.tidemark.point;

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
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** A segment store in memory that counts reads and how many of them overlap. */
final class InMemorySegments implements SegmentStore {
  private record Stored(byte[] data, int chunkBytes) {}

  private final Map<SegmentRef, Stored> segments = new ConcurrentHashMap<>();
  private final Executor executor;
  final AtomicLong reads = new AtomicLong();
  final AtomicInteger atOnceMost = new AtomicInteger();
  private final AtomicInteger atOnce = new AtomicInteger();

  InMemorySegments(Executor executor) {
    this.executor = executor;
  }

  @Override
  public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
    ByteBuffer whole = ByteBuffer.allocate((int) meta.dataBytes());
    data.forEach(piece -> whole.put(piece.duplicate()));
    segments.put(ref, new Stored(whole.array(), meta.chunkBytes()));
    return CompletableFuture.completedFuture((long) whole.capacity());
  }

  @Override
  public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
    reads.incrementAndGet();
    atOnceMost.accumulateAndGet(atOnce.incrementAndGet(), Math::max);
    return CompletableFuture.supplyAsync(() -> chunk(ref, chunk), executor);
  }

  private ByteBuffer chunk(SegmentRef ref, int chunk) {
    atOnce.decrementAndGet();
    Stored stored = segments.get(ref);
    if (stored == null || (long) chunk * stored.chunkBytes >= stored.data.length) {
      throw new Refusal(ErrorCode.CORRUPT, "no chunk " + chunk + " of " + ref);
    }
    int from = chunk * stored.chunkBytes;
    int length = Math.min(stored.chunkBytes, stored.data.length - from);
    return ByteBuffer.wrap(stored.data, from, length).slice().asReadOnlyBuffer();
  }

  long bytes() {
    return segments.values().stream().mapToLong(s -> s.data.length).sum();
  }

  void lose(SegmentRef ref) {
    segments.remove(ref);
  }

  @Override
  public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
    segments
        .keySet()
        .removeIf(
            ref ->
                ref.volume().equals(firstOrphan.volume())
                    && ref.session() == firstOrphan.session()
                    && ref.ordinal() >= firstOrphan.ordinal());
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> deleteRuns(VolumeId volume, int session, int firstRun, int lastRun) {
    segments
        .keySet()
        .removeIf(
            ref ->
                ref.volume().equals(volume)
                    && ref.session() == session
                    && ref.run() >= firstRun
                    && ref.run() <= lastRun);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
    segments.keySet().removeIf(ref -> ref.volume().equals(volume));
    return CompletableFuture.completedFuture(null);
  }
}
