package io.tidemark.point;

import io.tidemark.extent.ExtentMap;
import io.tidemark.index.IndexSnapshot;
import io.tidemark.index.MappedExtent;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Reads a volume as of a recovery point: regions are resolved in the index once and remembered,
 * their chunks are fetched in parallel through the shared cache, and what follows a sequential
 * reader is fetched ahead of it.
 */
final class StoredPointReader implements PointReader {
  private final RecoveryPoint point;
  private final long sizeBytes;
  private final ChunkReader chunks;
  private final SequentialReads sequential;
  private final Supplier<CompletionStage<IndexSnapshot>> renewal;

  /** Where the content is; another one once the history was cut (P5). */
  private volatile Places places;

  /** The renewal that runs, if any; guarded by the monitor. */
  private CompletableFuture<Places> renewing;

  private record Places(IndexSnapshot snapshot, RegionCache regions) {}

  /** A point that is read for a short while only. */
  static final Supplier<CompletionStage<IndexSnapshot>> FIXED =
      () ->
          CompletableFuture.failedFuture(
              new Refusal(ErrorCode.FAILED, "the history of the point is not asked for again"));

  /**
   * @param renewal finds the point again after a cut
   */
  StoredPointReader(
      RecoveryPoint point,
      long sizeBytes,
      IndexSnapshot snapshot,
      ChunkReader chunks,
      Supplier<CompletionStage<IndexSnapshot>> renewal) {
    this.point = point;
    this.sizeBytes = sizeBytes;
    this.chunks = chunks;
    this.sequential = new SequentialReads(chunks.aheadBytesMax());
    this.renewal = renewal;
    this.places = new Places(snapshot, new RegionCache(snapshot, sizeBytes));
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
    return places.snapshot();
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
    Places now = places;
    CompletionStage<ByteBuffer> result =
        again(now, read(now, offset, length), then -> read(then, offset, length));
    readAhead(now, range);
    return result;
  }

  private CompletableFuture<ByteBuffer> read(Places now, long offset, int length) {
    return now.regions()
        .extents(offset, offset + length)
        .thenCompose(maps -> new ChunkCopy(this, offset, length).fill(maps));
  }

  /**
   * What is missing may have been moved by a cut since the point was opened (P5): then it is looked
   * for once more. Whatever is wrong with the renewed point, its refusal is the answer; a failure
   * of asking leaves the first answer.
   */
  private <T> CompletionStage<T> again(
      Places then, CompletionStage<T> first, Function<Places, CompletionStage<T>> retry) {
    return first.exceptionallyCompose(
        failure -> {
          if (!(Failures.cause(failure) instanceof Refusal missing)
              || missing.code() != ErrorCode.CORRUPT
              || renewal == FIXED) {
            return CompletableFuture.failedFuture(failure);
          }
          return renewed(then)
              .exceptionallyCompose(
                  refused ->
                      CompletableFuture.failedFuture(
                          Failures.cause(refused) instanceof Refusal r
                                  && (r.code() == ErrorCode.BEYOND_HORIZON
                                      || r.code() == ErrorCode.NOT_FOUND)
                              ? r
                              : failure))
              .thenCompose(retry::apply);
        });
  }

  /** Places newer than {@code then}; many reads that miss share one renewal. */
  private synchronized CompletableFuture<Places> renewed(Places then) {
    if (places != then) {
      return CompletableFuture.completedFuture(places);
    }
    if (renewing == null) {
      CompletableFuture<Places> result =
          renewal
              .get()
              .thenApply(found -> new Places(found, new RegionCache(found, sizeBytes)))
              .toCompletableFuture();
      renewing = result;
      result.whenComplete(this::settle);
      return result;
    }
    return renewing;
  }

  private synchronized void settle(Places found, Throwable failure) {
    renewing = null;
    if (failure == null) {
      places = found;
    }
  }

  CompletableFuture<ByteBuffer> chunk(long segment, int chunk) {
    return chunks.chunk(places.snapshot().volume(), segment, chunk);
  }

  /** Fetches what is likely to be read next; when that fails, the read itself will say so. */
  private void readAhead(Places now, ByteRange range) {
    ByteRange ahead = sequential.after(range, sizeBytes);
    if (ahead.length() == 0 || chunks.busy()) {
      return;
    }
    now.regions()
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
          chunks.ahead(places.snapshot().volume(), map.segment(i), c);
        }
      }
    }
  }

  @Override
  public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
    if (outside(range.offset(), range.length())) {
      return CompletableFuture.failedFuture(outsideRefusal(range.offset(), range.length()));
    }
    Places now = places;
    return again(now, extents(now, range), then -> extents(then, range));
  }

  private static CompletionStage<List<MappedExtent>> extents(Places now, ByteRange range) {
    List<MappedExtent> found = new ArrayList<>();
    return ExtentScan.over(
            range,
            0,
            now.snapshot(),
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
    Places now = places;
    return again(
        now,
        changedAfter(now, seq, within, rangesMax),
        then -> changedAfter(then, seq, within, rangesMax));
  }

  private static CompletionStage<Changes> changedAfter(
      Places now, WriteSeq seq, ByteRange within, int rangesMax) {
    List<ByteRange> found = new ArrayList<>();
    return ExtentScan.over(
            within,
            seq.value(),
            now.snapshot(),
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
