package io.tidemark.point;

import io.tidemark.index.BlockCache;
import io.tidemark.position.VolumeId;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Fetches chunks for all readers of the process through one cache, with a bounded number at the
 * store at once, so that reading images never floods it (J9). Thread-safe.
 */
final class ChunkReader {
  /** Sequential readers whose read-ahead the cache must hold at once. */
  private static final int READERS_AHEAD = 8;

  private record Key(VolumeId volume, long segment, int chunk) {}

  private record Waiting(Key key, CompletableFuture<ByteBuffer> result) {}

  private final SegmentStore store;
  private final BlockCache<Key, ByteBuffer> cache;
  private final int inFlightMax;
  private final long aheadBytesMax;
  private final Queue<Waiting> waiting = new ArrayDeque<>();
  private int inFlight;

  ChunkReader(SegmentStore store, long cacheBytesMax, int inFlightMax) {
    this.store = store;
    this.cache = new BlockCache<>(cacheBytesMax, chunk -> chunk.remaining() + 128);
    this.inFlightMax = inFlightMax;
    this.aheadBytesMax = cacheBytesMax / READERS_AHEAD;
  }

  /** The chunk's data; the buffer is shared, use absolute gets or a duplicate. */
  CompletableFuture<ByteBuffer> chunk(VolumeId volume, long segment, int chunk) {
    Key key = new Key(volume, segment, chunk);
    return cache.get(key, () -> admit(key));
  }

  /** Begins to fetch a chunk that is likely to be asked for soon, unless the store is busy. */
  void ahead(VolumeId volume, long segment, int chunk) {
    if (!busy()) {
      chunk(volume, segment, chunk);
    }
  }

  /** How much one reader may fetch ahead without driving others' chunks from the cache. */
  long aheadBytesMax() {
    return aheadBytesMax;
  }

  /** Whether as many chunks are being fetched as may be. */
  synchronized boolean busy() {
    return inFlight >= inFlightMax;
  }

  private CompletionStage<ByteBuffer> admit(Key key) {
    Waiting request = new Waiting(key, new CompletableFuture<>());
    synchronized (this) {
      if (inFlight >= inFlightMax) {
        waiting.add(request);
        return request.result;
      }
      inFlight++;
    }
    fetch(request);
    return request.result;
  }

  private void fetch(Waiting request) {
    Key key = request.key;
    CompletionStage<ByteBuffer> stage;
    try {
      stage = store.readChunk(new SegmentRef(key.volume, key.segment), key.chunk);
    } catch (RuntimeException e) {
      stage = CompletableFuture.failedFuture(e);
    }
    stage.whenComplete(
        (data, failure) -> {
          next();
          if (failure == null) {
            request.result.complete(data);
          } else {
            request.result.completeExceptionally(failure);
          }
        });
  }

  private void next() {
    Waiting following;
    synchronized (this) {
      following = waiting.poll();
      if (following == null) {
        inFlight--;
        return;
      }
    }
    fetch(following);
  }
}
