package io.tidemark.segment;

import io.tidemark.position.VolumeId;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;

/**
 * A segment store in memory, for the tests of the modules above. It keeps the same encoded rows as
 * the real one, and lets a test damage them.
 */
public final class InMemorySegmentStore implements SegmentStore {
  /** Where a row is. */
  public record Place(SegmentRef ref, int chunk) {}

  private final Map<Place, ByteBuffer> rows =
      new ConcurrentSkipListMap<>(
          java.util.Comparator.comparing((Place place) -> place.ref().volume().value())
              .thenComparingLong(place -> place.ref().number())
              .thenComparingInt(Place::chunk));

  @Override
  public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
    try {
      byte[] bytes = new byte[(int) meta.dataBytes()];
      ByteBuffer joined = ByteBuffer.wrap(bytes);
      data.forEach(piece -> joined.put(piece.duplicate()));
      long stored = 0;
      for (int i = 0; i < meta.chunkCount(); i++) {
        ByteBuffer raw = ByteBuffer.wrap(bytes, i * meta.chunkBytes(), meta.chunkLength(i));
        ByteBuffer row =
            ChunkCodec.encode(
                ref, i, new ByteBuffer[] {raw}, meta.chunkCrc(i), ChunkCodec.Compression.ZSTD);
        stored += row.remaining();
        rows.put(new Place(ref, i), row);
      }
      return CompletableFuture.completedFuture(stored);
    } catch (Refusal e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  @Override
  public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
    ByteBuffer row = rows.get(new Place(ref, chunk));
    try {
      return row == null
          ? CompletableFuture.failedFuture(ChunkCodec.corrupt(ref, chunk, "is missing"))
          : CompletableFuture.completedFuture(ChunkCodec.decode(ref, chunk, row));
    } catch (Refusal e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  @Override
  public CompletionStage<Void> deleteOrphans(SegmentRef first) {
    rows.keySet()
        .removeIf(
            place ->
                place.ref().volume().equals(first.volume())
                    && place.ref().session() == first.session()
                    && Integer.compareUnsigned(place.ref().ordinal(), first.ordinal()) >= 0);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> deleteRuns(VolumeId volume, int session, int firstRun, int lastRun) {
    rows.keySet()
        .removeIf(
            place ->
                place.ref().volume().equals(volume)
                    && place.ref().session() == session
                    && place.ref().run() >= firstRun
                    && place.ref().run() <= lastRun);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
    rows.keySet().removeIf(place -> place.ref().volume().equals(volume));
    return CompletableFuture.completedFuture(null);
  }

  /** Every row, for a test to count or to damage. */
  public Map<Place, ByteBuffer> rows() {
    return rows;
  }
}
