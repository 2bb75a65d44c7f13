package io.tidemark.files;

import io.tidemark.image.VolumePoints;
import io.tidemark.index.MappedExtent;
import io.tidemark.localfile.LocalFiles;
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
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;

/** Volumes whose points are image files: seq N is the N-th file, and what differs was written. */
final class ImageFilePoints implements VolumePoints {
  private static final int BLOCK_BYTES = 64 * 1024;
  private final Map<VolumeName, TreeMap<Long, Path>> volumes = new ConcurrentHashMap<>();
  private final Map<VolumeName, VolumeId> ids = new ConcurrentHashMap<>();

  /** Adds the next point; returns its seq. */
  long add(String volume, Path image) {
    VolumeName name = new VolumeName(volume);
    ids.putIfAbsent(name, VolumeId.random());
    TreeMap<Long, Path> points = volumes.computeIfAbsent(name, n -> new TreeMap<>());
    long seq = points.isEmpty() ? 1 : points.lastKey() + 1;
    points.put(seq, image);
    return seq;
  }

  @Override
  public CompletionStage<Located> locate(VolumeName volume, At at) {
    TreeMap<Long, Path> points = volumes.get(volume);
    if (points == null) {
      return CompletableFuture.failedStage(new Refusal(ErrorCode.NOT_FOUND, "no such volume"));
    }
    long seq = at instanceof At.Seq named ? named.seq().value() : points.lastKey();
    if (!points.containsKey(seq)) {
      return CompletableFuture.failedStage(new Refusal(ErrorCode.BEYOND_HEAD, "no such point"));
    }
    try {
      return CompletableFuture.completedStage(
          new Located(
              volume,
              ids.get(volume),
              Files.size(points.get(seq)),
              new RecoveryPoint(
                  new WriteSeq(seq), new MicroTime(1_000_000 * seq), RecoveryPoint.MAIN_BRANCH)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public CompletionStage<PointReader> open(Located located) {
    return CompletableFuture.completedStage(new Reader(located, volumes.get(located.name())));
  }

  private record Reader(Located located, TreeMap<Long, Path> points) implements PointReader {
    @Override
    public RecoveryPoint point() {
      return located.point();
    }

    @Override
    public long sizeBytes() {
      return located.sizeBytes();
    }

    @Override
    public CompletionStage<ByteBuffer> read(long offset, int length) {
      return CompletableFuture.supplyAsync(
          () -> bytes(located.point().seq().value(), offset, length).asReadOnlyBuffer());
    }

    private ByteBuffer bytes(long seq, long offset, int length) {
      ByteBuffer into = ByteBuffer.allocate(length);
      try (FileChannel file = FileChannel.open(points.get(seq), StandardOpenOption.READ)) {
        if (!LocalFiles.readFully(file, into, offset)) {
          throw new IOException("past the end");
        }
        return into.flip();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
      List<MappedExtent> extents = new ArrayList<>();
      for (long at = range.offset(); at < range.end(); at += BLOCK_BYTES) {
        int length = (int) Math.min(BLOCK_BYTES, range.end() - at);
        long seq = located.point().seq().value();
        byte[] now = bytes(seq, at, length).array();
        while (points.lowerKey(seq) != null
            && Arrays.equals(now, bytes(points.lowerKey(seq), at, length).array())) {
          seq = points.lowerKey(seq);
        }
        extents.add(new MappedExtent(at, length, seq, seq, at));
      }
      return CompletableFuture.completedStage(extents);
    }

    @Override
    public CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax) {
      return CompletableFuture.completedStage(new Changes(List.of(within), within.end()));
    }
  }
}
