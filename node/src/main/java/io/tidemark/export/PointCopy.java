package io.tidemark.export;

import io.tidemark.index.MappedExtent;
import io.tidemark.job.JobControl;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Copies the content of a point into a writer: region after region, in each only what was written,
 * with a few reads in flight so that neither memory nor the journal's readers are taken over (J9).
 */
final class PointCopy {
  /** Looked up at once; divides what one table of any writer maps. */
  static final long REGION_BYTES = 64L << 20;

  static final int READ_BYTES_MAX = 1 << 20;
  static final int READS_IN_FLIGHT_MAX = 4;

  private final PointReader reader;
  private final DiskFileWriter writer;
  private final JobControl control;
  private final Executor disk;

  PointCopy(PointReader reader, DiskFileWriter writer, JobControl control, Executor disk) {
    this.reader = reader;
    this.writer = writer;
    this.control = control;
    this.disk = disk;
  }

  /** Completes when everything was put and nothing is under way any more, also on failure. */
  CompletionStage<Void> run() {
    control.total(reader.sizeBytes());
    return copyFrom(0);
  }

  private CompletionStage<Void> copyFrom(long offset) {
    if (control.cancelled()) {
      return CompletableFuture.failedStage(new CancellationException());
    }
    if (offset >= reader.sizeBytes()) {
      return CompletableFuture.completedStage(null);
    }
    ByteRange region = new ByteRange(offset, Math.min(REGION_BYTES, reader.sizeBytes() - offset));
    return reader
        .extents(region)
        .thenCompose(extents -> copyRegion(region, reads(region, extents)))
        .thenComposeAsync(
            done -> {
              try {
                writer.passed(region.end());
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
              return copyFrom(region.end());
            },
            disk);
  }

  private CompletionStage<Void> copyRegion(ByteRange region, List<ByteRange> reads) {
    long holes = region.length() - reads.stream().mapToLong(ByteRange::length).sum();
    control.advance(holes);
    AtomicInteger next = new AtomicInteger();
    List<CompletableFuture<Void>> lanes = new ArrayList<>();
    for (int i = 0; i < Math.min(READS_IN_FLIGHT_MAX, reads.size()); i++) {
      lanes.add(lane(reads, next).toCompletableFuture());
    }
    return CompletableFuture.allOf(lanes.toArray(CompletableFuture[]::new));
  }

  private CompletionStage<Void> lane(List<ByteRange> reads, AtomicInteger next) {
    int index = next.getAndIncrement();
    if (control.cancelled()) {
      return CompletableFuture.failedStage(new CancellationException());
    }
    if (index >= reads.size()) {
      return CompletableFuture.completedStage(null);
    }
    ByteRange range = reads.get(index);
    return reader
        .read(range.offset(), (int) range.length())
        .thenAcceptAsync(data -> put(range, data), disk)
        .thenComposeAsync(done -> lane(reads, next), disk)
        .whenComplete(
            (done, failure) -> {
              if (failure != null) {
                next.set(reads.size()); // the other lanes need not go on
              }
            });
  }

  private void put(ByteRange range, ByteBuffer data) {
    try {
      writer.put(range.offset(), data);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    control.advance(range.length());
  }

  /** The grains that hold data, joined to reads of a bounded length. */
  static List<ByteRange> reads(ByteRange region, List<MappedExtent> extents) {
    List<ByteRange> reads = new ArrayList<>();
    long from = region.offset();
    long to = region.offset();
    for (MappedExtent extent : extents) {
      if (extent.zero()) {
        continue;
      }
      long first = extent.offset() / DiskFileWriter.GRAIN_BYTES * DiskFileWriter.GRAIN_BYTES;
      long last = (extent.end() - 1) / DiskFileWriter.GRAIN_BYTES;
      long end = Math.min(region.end(), (last + 1) * DiskFileWriter.GRAIN_BYTES);
      if (first > to) {
        cut(from, to, reads);
        from = first;
      }
      to = Math.max(to, end);
    }
    cut(from, to, reads);
    return reads;
  }

  private static void cut(long from, long to, List<ByteRange> into) {
    for (long at = from; at < to; at += READ_BYTES_MAX) {
      into.add(new ByteRange(at, Math.min(READ_BYTES_MAX, to - at)));
    }
  }
}
