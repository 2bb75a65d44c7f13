package io.tidemark.imageserver;

import io.tidemark.image.VolumePoints;
import io.tidemark.index.MappedExtent;
import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/** A volume whose every write is a whole copy of its content: the oracle of images. */
public final class MemoryPoints implements VolumePoints {
  public static final VolumeName NAME = new VolumeName("vol");
  private final Executor executor;
  private final int size;
  private final VolumeId id = VolumeId.random();
  private final TreeMap<Long, byte[]> contents = new TreeMap<>();
  private final TreeMap<Long, TreeMap<Long, MappedExtent>> maps = new TreeMap<>();

  /** Ranges of the volume that fail their checksum. */
  public volatile List<ByteRange> corrupt = List.of();

  /** How often no point can be opened, from now on. */
  public final AtomicInteger openFailures = new AtomicInteger();

  /** Reads do not complete before this does. */
  public volatile CompletableFuture<Void> gate = CompletableFuture.completedFuture(null);

  public volatile boolean deleted;

  public MemoryPoints(int size, Executor executor) {
    this.size = size;
    this.executor = executor;
    contents.put(0L, new byte[size]);
    maps.put(0L, new TreeMap<>());
  }

  /** Journals a write; null data for zeroes. Returns its seq. */
  public synchronized long write(int offset, int length, byte[] data) {
    long seq = contents.lastKey() + 1;
    byte[] content = contents.lastEntry().getValue().clone();
    TreeMap<Long, MappedExtent> map = new TreeMap<>(maps.lastEntry().getValue());
    if (data == null) {
      Arrays.fill(content, offset, offset + length, (byte) 0);
    } else {
      System.arraycopy(data, 0, content, offset, length);
    }
    for (MappedExtent extent : List.copyOf(map.values())) {
      if (extent.end() > offset && extent.offset() < offset + length) {
        map.remove(extent.offset());
        put(map, extent, extent.offset(), offset);
        put(map, extent, offset + length, extent.end());
      }
    }
    long segment = data == null ? MappedExtent.ZERO : seq;
    map.put((long) offset, new MappedExtent(offset, length, seq, segment, 0));
    contents.put(seq, content);
    maps.put(seq, map);
    return seq;
  }

  private static void put(Map<Long, MappedExtent> map, MappedExtent of, long from, long to) {
    if (from < to) {
      map.put(from, new MappedExtent(from, to - from, of.seq(), of.segmentNumber(), 0));
    }
  }

  /** The content as of a seq. */
  public synchronized byte[] content(long seq) {
    return contents.get(seq);
  }

  @Override
  public synchronized CompletionStage<Located> locate(VolumeName volume, At at) {
    long seq = at instanceof At.Seq named ? named.seq().value() : contents.lastKey();
    if (!volume.equals(NAME) || !contents.containsKey(seq)) {
      return CompletableFuture.failedStage(
          new Refusal(
              volume.equals(NAME) ? ErrorCode.BEYOND_HEAD : ErrorCode.NOT_FOUND, "no such point"));
    }
    RecoveryPoint point =
        new RecoveryPoint(
            new WriteSeq(seq), new MicroTime(1_000_000 + seq), RecoveryPoint.MAIN_BRANCH);
    return CompletableFuture.completedStage(new Located(NAME, id, size, point));
  }

  @Override
  public synchronized CompletionStage<PointReader> open(Located located) {
    if (deleted) {
      return CompletableFuture.failedStage(new Refusal(ErrorCode.NOT_FOUND, "deleted"));
    }
    if (openFailures.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
      return CompletableFuture.failedStage(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the journal does not answer"));
    }
    long seq = located.point().seq().value();
    return CompletableFuture.completedStage(
        new Reader(located.point(), contents.get(seq), maps.get(seq)));
  }

  private final class Reader implements PointReader {
    private final RecoveryPoint point;
    private final byte[] content;
    private final TreeMap<Long, MappedExtent> map;

    Reader(RecoveryPoint point, byte[] content, TreeMap<Long, MappedExtent> map) {
      this.point = point;
      this.content = content;
      this.map = map;
    }

    @Override
    public RecoveryPoint point() {
      return point;
    }

    @Override
    public long sizeBytes() {
      return size;
    }

    @Override
    public CompletionStage<ByteBuffer> read(long offset, int length) {
      ByteRange range = new ByteRange(offset, length);
      return gate.thenApplyAsync(
          open -> {
            if (corrupt.stream().anyMatch(range::overlaps)) {
              throw new Refusal(ErrorCode.CORRUPT, "a chunk fails its checksum");
            }
            return ByteBuffer.wrap(content, (int) offset, length).slice().asReadOnlyBuffer();
          },
          executor);
    }

    @Override
    public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
      return CompletableFuture.supplyAsync(
          () -> {
            List<MappedExtent> found = new ArrayList<>();
            for (MappedExtent extent : map.values()) {
              long from = Math.max(extent.offset(), range.offset());
              long to = Math.min(extent.end(), range.end());
              if (from < to) {
                found.add(
                    new MappedExtent(from, to - from, extent.seq(), extent.segmentNumber(), 0));
              }
            }
            return found;
          },
          executor);
    }

    @Override
    public CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax) {
      return extents(within)
          .thenApply(
              extents -> {
                List<ByteRange> found = new ArrayList<>();
                for (MappedExtent extent : extents) {
                  ByteRange last = found.isEmpty() ? null : found.get(found.size() - 1);
                  if (extent.seq() <= seq.value()) {
                    continue;
                  }
                  if (last != null && last.end() == extent.offset()) {
                    found.set(
                        found.size() - 1,
                        new ByteRange(last.offset(), last.length() + extent.length()));
                  } else if (found.size() == rangesMax) {
                    return new Changes(found, extent.offset());
                  } else {
                    found.add(new ByteRange(extent.offset(), extent.length()));
                  }
                }
                return new Changes(found, within.end());
              });
    }
  }
}
