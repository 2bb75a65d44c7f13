package io.tidemark.point;

import io.tidemark.extent.ExtentMap;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * One read being assembled: which pieces of which chunks go where in the answer. Every chunk is
 * fetched once; at most {@link #CHUNKS_IN_FLIGHT_MAX} are in flight or held for one read.
 */
final class ChunkCopy {
  static final int CHUNKS_IN_FLIGHT_MAX = 32;

  private record ChunkKey(long segment, int chunk) {}

  /** Pieces of one chunk: from, to in the answer, length; a list in an array. */
  private static final class Pieces {
    private final ChunkKey key;
    private int[] values = new int[3];
    private int count;

    Pieces(ChunkKey key) {
      this.key = key;
    }

    void add(int from, int to, int length) {
      if (count == values.length) {
        values = java.util.Arrays.copyOf(values, count * 2);
      }
      values[count++] = from;
      values[count++] = to;
      values[count++] = length;
    }
  }

  private final StoredPointReader reader;
  private final long offset;
  private final byte[] answer;
  private final CompletableFuture<ByteBuffer> result = new CompletableFuture<>();
  private Pieces[] work = new Pieces[0];
  private int started;
  private int finished;

  ChunkCopy(StoredPointReader reader, long offset, int length) {
    this.reader = reader;
    this.offset = offset;
    this.answer = new byte[length];
  }

  CompletableFuture<ByteBuffer> fill(List<ExtentMap> maps) {
    Map<ChunkKey, Pieces> pieces = new HashMap<>();
    long end = offset + answer.length;
    for (ExtentMap map : maps) {
      for (int i = map.firstEndingAfter(offset); i < map.size() && map.offset(i) < end; i++) {
        if (!map.zero(i)) {
          plan(pieces, map, i);
        }
      }
    }
    work = pieces.values().toArray(Pieces[]::new);
    if (work.length == 0) {
      return CompletableFuture.completedFuture(ByteBuffer.wrap(answer).asReadOnlyBuffer());
    }
    int first = Math.min(work.length, CHUNKS_IN_FLIGHT_MAX);
    for (int i = 0; i < first; i++) {
      fetchNext();
    }
    return result;
  }

  private void plan(Map<ChunkKey, Pieces> pieces, ExtentMap map, int i) {
    long from = Math.max(offset, map.offset(i));
    long to = Math.min(offset + answer.length, map.end(i));
    long position = map.position(i) + (from - map.offset(i));
    int chunkBytes = map.chunkBytes(i);
    while (from < to) {
      int chunk = (int) (position / chunkBytes);
      int inChunk = (int) (position % chunkBytes);
      int length = (int) Math.min(to - from, chunkBytes - inChunk);
      pieces
          .computeIfAbsent(new ChunkKey(map.segment(i), chunk), Pieces::new)
          .add(inChunk, (int) (from - offset), length);
      from += length;
      position += length;
    }
  }

  /** Fetches chunks one after the other while they are there at once. */
  private void fetchNext() {
    while (true) {
      Pieces pieces;
      synchronized (this) {
        if (started == work.length) {
          return;
        }
        pieces = work[started++];
      }
      CompletableFuture<ByteBuffer> chunk = reader.chunk(pieces.key.segment, pieces.key.chunk);
      if (!chunk.isDone() || chunk.isCompletedExceptionally()) {
        chunk.whenComplete(
            (data, failure) -> {
              if (failure != null) {
                result.completeExceptionally(failure);
              } else if (copied(pieces, data)) {
                fetchNext();
              }
            });
        return;
      }
      if (!copied(pieces, chunk.join())) {
        return;
      }
    }
  }

  private boolean copied(Pieces pieces, ByteBuffer data) {
    for (int i = 0; i < pieces.count; i += 3) {
      if (pieces.values[i] + pieces.values[i + 2] > data.remaining()) {
        result.completeExceptionally(
            new Refusal(
                ErrorCode.CORRUPT,
                "chunk %d of segment %d has %d bytes, the index refers to more"
                    .formatted(pieces.key.chunk, pieces.key.segment, data.remaining())));
        return false;
      }
      data.get(
          data.position() + pieces.values[i], answer, pieces.values[i + 1], pieces.values[i + 2]);
    }
    synchronized (this) {
      finished++;
      if (finished < work.length) {
        return true;
      }
    }
    result.complete(ByteBuffer.wrap(answer).asReadOnlyBuffer());
    return false;
  }
}
