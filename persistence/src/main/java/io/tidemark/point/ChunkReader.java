package io.tidemark.point;

import io.tidemark.position.VolumeId;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Fetches chunks for all readers of the process with a bounded number at the store at once, so that
 * reading images never floods it (P4, J9). Thread-safe.
 */
final class ChunkReader {
  private record Request(SegmentRef ref, int chunk, CompletableFuture<ByteBuffer> result) {}

  private final SegmentStore store;
  private final int inFlightMax;
  private final long aheadBytesMax;
  private final Queue<Request> waiting = new ArrayDeque<>();
  private int inFlight;

  ChunkReader(SegmentStore store, int inFlightMax, long aheadBytesMax) {
    this.store = store;
    this.inFlightMax = inFlightMax;
    this.aheadBytesMax = aheadBytesMax;
  }

  /** The chunk's data; the buffer is shared, use absolute gets or a duplicate. */
  CompletableFuture<ByteBuffer> chunk(VolumeId volume, long segment, int chunk) {
    Request request =
        new Request(new SegmentRef(volume, segment), chunk, new CompletableFuture<>());
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

  /** Begins to fetch a chunk that is likely to be asked for soon, unless the store is busy. */
  void ahead(VolumeId volume, long segment, int chunk) {
    if (!busy()) {
      chunk(volume, segment, chunk);
    }
  }

  /** How much one reader may fetch ahead. */
  long aheadBytesMax() {
    return aheadBytesMax;
  }

  /** Whether as many chunks are being fetched as may be. */
  synchronized boolean busy() {
    return inFlight >= inFlightMax;
  }

  /** Fetches a request and, while answers are there at once, those that wait behind it. */
  private void fetch(Request first) {
    Request request = first;
    while (request != null) {
      CompletableFuture<ByteBuffer> read = read(request);
      if (!read.isDone()) {
        Request started = request;
        read.whenComplete(
            (data, failure) -> {
              Request following = next();
              settle(started, data, failure);
              fetch(following);
            });
        return;
      }
      Request following = next();
      Request done = request;
      read.whenComplete((data, failure) -> settle(done, data, failure));
      request = following;
    }
  }

  private CompletableFuture<ByteBuffer> read(Request request) {
    try {
      CompletionStage<ByteBuffer> read = store.readChunk(request.ref, request.chunk);
      return read.toCompletableFuture();
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static void settle(Request request, ByteBuffer data, Throwable failure) {
    if (failure == null) {
      request.result.complete(data);
    } else {
      request.result.completeExceptionally(failure);
    }
  }

  /** The request that takes over the slot; null when none waits and the slot is free again. */
  private synchronized Request next() {
    Request following = waiting.poll();
    if (following == null) {
      inFlight--;
    }
    return following;
  }
}
