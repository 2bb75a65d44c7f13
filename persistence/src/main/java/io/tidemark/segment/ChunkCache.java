package io.tidemark.segment;

import io.tidemark.position.VolumeId;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * A segment store that remembers the chunks read last, bounded by their bytes. Readers that ask for
 * the same chunk at once share one read; a failed read is not remembered.
 */
public final class ChunkCache implements SegmentStore {
  /** What an entry costs beside its bytes. */
  private static final int ENTRY_OVERHEAD_BYTES = 256;

  private record Key(VolumeId volume, long number, int chunk) {}

  /**
   * What happened since the start.
   *
   * @param heldBytes occupied now
   */
  public record Stats(long hits, long misses, long heldBytes) {}

  private final SegmentStore store;
  private final long bytesMax;

  // Guarded by this object's monitor, which is never held during a read.
  private final LinkedHashMap<Key, ByteBuffer> chunks = new LinkedHashMap<>(256, 0.75f, true);
  private final Map<Key, CompletableFuture<ByteBuffer>> reading = new HashMap<>();
  private long heldBytes;
  private long hits;
  private long misses;

  /**
   * @param bytesMax memory for chunks; 0 shares reads in flight and remembers nothing
   */
  public ChunkCache(SegmentStore store, long bytesMax) {
    this.store = store;
    this.bytesMax = bytesMax;
  }

  @Override
  public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
    return store.store(ref, meta, data);
  }

  @Override
  public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
    Key key = new Key(ref.volume(), ref.number(), chunk);
    CompletableFuture<ByteBuffer> read;
    synchronized (this) {
      ByteBuffer held = chunks.get(key);
      if (held != null) {
        hits++;
        return CompletableFuture.completedFuture(held.duplicate());
      }
      CompletableFuture<ByteBuffer> other = reading.get(key);
      if (other != null) {
        hits++;
        return other.thenApply(ByteBuffer::duplicate);
      }
      misses++;
      read = new CompletableFuture<>();
      reading.put(key, read);
    }
    // Registered before the read begins, which may complete at once.
    CompletionStage<ByteBuffer> own = read.thenApply(ByteBuffer::duplicate);
    start(ref, chunk)
        .whenComplete(
            (data, failure) -> {
              keep(key, read, data);
              if (failure == null) {
                read.complete(data);
              } else {
                read.completeExceptionally(unwrapped(failure));
              }
            });
    return own;
  }

  private CompletionStage<ByteBuffer> start(SegmentRef ref, int chunk) {
    try {
      return store.readChunk(ref, chunk);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static Throwable unwrapped(Throwable failure) {
    return failure instanceof java.util.concurrent.CompletionException && failure.getCause() != null
        ? failure.getCause()
        : failure;
  }

  private synchronized void keep(
      Key key, CompletableFuture<ByteBuffer> read, ByteBuffer dataOrNull) {
    // Not there any more when the volume was deleted meanwhile.
    boolean current = reading.remove(key, read);
    if (dataOrNull == null || !current || cost(dataOrNull) > bytesMax) {
      return;
    }
    chunks.put(key, dataOrNull);
    heldBytes += cost(dataOrNull);
    Iterator<ByteBuffer> eldest = chunks.values().iterator();
    while (heldBytes > bytesMax) {
      heldBytes -= cost(eldest.next());
      eldest.remove();
    }
  }

  private static long cost(ByteBuffer data) {
    return data.capacity() + ENTRY_OVERHEAD_BYTES;
  }

  @Override
  public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
    forget(firstOrphan.volume());
    return store.deleteOrphans(firstOrphan);
  }

  @Override
  public CompletionStage<Void> deleteRuns(VolumeId volume, int session, int firstRun, int lastRun) {
    return store.deleteRuns(volume, session, firstRun, lastRun);
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
    forget(volume);
    return store.deleteVolume(volume, lastSession);
  }

  private synchronized void forget(VolumeId volume) {
    reading.keySet().removeIf(key -> key.volume().equals(volume));
    Iterator<Map.Entry<Key, ByteBuffer>> entries = chunks.entrySet().iterator();
    while (entries.hasNext()) {
      Map.Entry<Key, ByteBuffer> entry = entries.next();
      if (entry.getKey().volume().equals(volume)) {
        heldBytes -= cost(entry.getValue());
        entries.remove();
      }
    }
  }

  public synchronized Stats stats() {
    return new Stats(hits, misses, heldBytes);
  }
}
