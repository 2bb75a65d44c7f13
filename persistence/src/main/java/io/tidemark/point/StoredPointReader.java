package io.tidemark.point;

import io.tidemark.extent.ExtentMap;
import io.tidemark.index.IndexSnapshot;
import io.tidemark.index.MappedExtent;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Reads a volume as of a recovery point: regions are resolved in the index once and remembered,
 * their chunks are fetched in parallel through the shared cache, and what follows a sequential
 * reader is fetched ahead of it.
 */
final class StoredPointReader implements PointReader {
  private final RecoveryPoint point;
  private final long sizeBytes;
  private final IndexSnapshot snapshot;
  private final RegionCache regions;
  private final ChunkReader chunks;
  private final SequentialReads sequential;

  StoredPointReader(
      RecoveryPoint point, long sizeBytes, IndexSnapshot snapshot, ChunkReader chunks) {
    this.point = point;
    this.sizeBytes = sizeBytes;
    this.snapshot = snapshot;
    this.chunks = chunks;
    this.sequential = new SequentialReads(chunks.aheadBytesMax());
    this.regions = new RegionCache(snapshot, sizeBytes);
  }

  @Override
  public RecoveryPoint point() {
    return point;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  IndexSnapshot snapshot() {
    return snapshot;
  }

  @Override
  public CompletionStage<ByteBuffer> read(long offset, int length) {
    if (outside(offset, length)) {
      return CompletableFuture.failedFuture(outsideRefusal(offset, length));
    }
    ByteRange range = new ByteRange(offset, length);
    if (length == 0) {
      return CompletableFuture.completedFuture(ByteBuffer.allocate(0).asReadOnlyBuffer());
    }
    CompletableFuture<ByteBuffer> result =
        regions
            .extents(range.offset(), range.end())
            .thenCompose(maps -> new ChunkCopy(this, offset, length).fill(maps));
    readAhead(range);
    return result;
  }

  CompletableFuture<ByteBuffer> chunk(long segment, int chunk) {
    return chunks.chunk(snapshot.volume(), segment, chunk);
  }

  /** Fetches what is likely to be read next; when that fails, the read itself will say so. */
  private void readAhead(ByteRange range) {
    ByteRange ahead = sequential.after(range, sizeBytes);
    if (ahead.length() == 0 || chunks.busy()) {
      return;
    }
    regions
        .extents(ahead.offset(), ahead.end())
        .thenAccept(maps -> maps.forEach(map -> fetchAhead(map, ahead)));
  }

  private void fetchAhead(ExtentMap map, ByteRange range) {
    for (int i = map.firstEndingAfter(range.offset());
        i < map.size() && map.offset(i) < range.end();
        i++) {
      if (!map.zero(i)) {
        int last = (int) ((map.position(i) + map.end(i) - map.offset(i) - 1) / map.chunkBytes(i));
        for (int c = (int) (map.position(i) / map.chunkBytes(i)); c <= last; c++) {
          chunks.ahead(snapshot.volume(), map.segment(i), c);
        }
      }
    }
  }

  @Override
  public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
    if (outside(range.offset(), range.length())) {
      return CompletableFuture.failedFuture(outsideRefusal(range.offset(), range.length()));
    }
    List<MappedExtent> found = new ArrayList<>();
    return ExtentScan.over(
            range,
            0,
            snapshot,
            map -> {
              for (int i = 0; i < map.size(); i++) {
                add(found, map, i);
              }
              return true;
            })
        .thenApply(done -> found);
  }

  @Override
  public CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax) {
    if (outside(within.offset(), within.length())) {
      return CompletableFuture.failedFuture(outsideRefusal(within.offset(), within.length()));
    }
    if (rangesMax < 1) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.INVALID, rangesMax + " ranges cannot be told: ask for 1 or more"));
    }
    List<ByteRange> found = new ArrayList<>();
    return ExtentScan.over(
            within,
            seq.value(),
            snapshot,
            map -> {
              for (int i = 0; i < map.size() && found.size() <= rangesMax; i++) {
                join(found, map.offset(i), map.end(i));
              }
              return found.size() <= rangesMax;
            })
        .thenApply(
            done -> {
              // The one too many is where the next part begins.
              return found.size() <= rangesMax
                  ? new Changes(found, within.end())
                  : new Changes(found.subList(0, rangesMax), found.get(rangesMax).offset());
            });
  }

  private static void join(List<ByteRange> ranges, long from, long to) {
    int last = ranges.size() - 1;
    if (last >= 0 && ranges.get(last).end() == from) {
      ranges.set(last, new ByteRange(ranges.get(last).offset(), to - ranges.get(last).offset()));
    } else {
      ranges.add(new ByteRange(from, to - from));
    }
  }

  /** Adds an extent, joined with the last one when both are the same write's. */
  private static void add(List<MappedExtent> found, ExtentMap map, int i) {
    MappedExtent next =
        new MappedExtent(
            map.offset(i), map.end(i) - map.offset(i), map.seq(i), map.segment(i), map.position(i));
    MappedExtent last = found.isEmpty() ? null : found.get(found.size() - 1);
    if (last != null
        && last.end() == next.offset()
        && last.seq() == next.seq()
        && last.segmentNumber() == next.segmentNumber()
        && (next.zero() || last.dataPosition() + last.length() == next.dataPosition())) {
      found.set(
          found.size() - 1,
          new MappedExtent(
              last.offset(),
              last.length() + next.length(),
              last.seq(),
              last.segmentNumber(),
              last.dataPosition()));
    } else {
      found.add(next);
    }
  }

  private boolean outside(long offset, long length) {
    return offset < 0 || length < 0 || offset > sizeBytes || length > sizeBytes - offset;
  }

  private Refusal outsideRefusal(long offset, long length) {
    return new Refusal(
        ErrorCode.INVALID,
        "%d bytes at offset %d lie outside the volume of %d bytes"
            .formatted(length, offset, sizeBytes));
  }
}
