package io.tidemark.segment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.Test;

class ChunkCacheTest {
  private final VolumeId volume = VolumeId.random();
  private final SegmentRef ref = new SegmentRef(volume, 1);
  private final List<CompletableFuture<ByteBuffer>> reads = new ArrayList<>();

  /** A store whose reads complete when the test says so. */
  private final class SlowStore implements SegmentStore {
    @Override
    public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
      return CompletableFuture.completedFuture(0L);
    }

    @Override
    public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
      CompletableFuture<ByteBuffer> read = new CompletableFuture<>();
      reads.add(read);
      return read;
    }

    @Override
    public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletionStage<Void> deleteRuns(
        VolumeId volume, int session, int firstRun, int lastRun) {
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
      return CompletableFuture.completedFuture(null);
    }
  }

  private static ByteBuffer join(CompletionStage<ByteBuffer> stage) {
    return stage.toCompletableFuture().join();
  }

  private static ByteBuffer chunk(int value) {
    return ByteBuffer.allocate(1000).put(0, (byte) value).asReadOnlyBuffer();
  }

  @Test
  void shouldShareReadsInFlightAndGiveEachReaderItsOwnPosition() {
    ChunkCache cache = new ChunkCache(new SlowStore(), 1 << 20);
    CompletionStage<ByteBuffer> first = cache.readChunk(ref, 0);
    CompletionStage<ByteBuffer> second = cache.readChunk(ref, 0);
    assertEquals(1, reads.size());
    reads.get(0).complete(chunk(1));
    join(first).position(500);
    assertEquals(0, join(second).position());
    assertEquals(0, join(cache.readChunk(ref, 0)).position());
    assertEquals(1, reads.size());
  }

  @Test
  void shouldNotRememberFailures() {
    ChunkCache cache = new ChunkCache(new SlowStore(), 1 << 20);
    CompletionStage<ByteBuffer> first = cache.readChunk(ref, 0);
    reads.get(0).completeExceptionally(new Refusal(ErrorCode.CORRUPT, "damaged"));
    CompletionException e = assertThrows(CompletionException.class, () -> join(first));
    assertEquals(Refusal.class, e.getCause().getClass());
    CompletionStage<ByteBuffer> second = cache.readChunk(ref, 0);
    reads.get(1).complete(chunk(2));
    assertEquals(2, join(second).get(0));
  }

  @Test
  void shouldStayWithinItsBytesAndForgetTheLeastRecentlyRead() {
    ChunkCache cache = new ChunkCache(new SlowStore(), 3 * 1300);
    for (int i = 0; i < 3; i++) {
      CompletionStage<ByteBuffer> read = cache.readChunk(ref, i);
      reads.get(i).complete(chunk(i));
      join(read);
    }
    join(cache.readChunk(ref, 0));
    CompletionStage<ByteBuffer> fourth = cache.readChunk(ref, 3);
    reads.get(3).complete(chunk(3));
    join(fourth);
    assertTrue(cache.stats().heldBytes() <= 3 * 1300);
    assertEquals(0, join(cache.readChunk(ref, 0)).get(0));
    assertEquals(4, reads.size());
    cache.readChunk(ref, 1);
    assertEquals(5, reads.size());
  }

  @Test
  void shouldForgetADeletedVolumeEvenWhileItIsRead() {
    ChunkCache cache = new ChunkCache(new SlowStore(), 1 << 20);
    CompletionStage<ByteBuffer> read = cache.readChunk(ref, 0);
    cache.deleteVolume(volume, 1).toCompletableFuture().join();
    reads.get(0).complete(chunk(1));
    join(read);
    cache.readChunk(ref, 0);
    assertEquals(2, reads.size());
    assertEquals(0, cache.stats().heldBytes());
  }
}
