package io.tidemark.retention;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.index.RunTable.Run;
import io.tidemark.index.RunTable.Size;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.Compaction.RunRange;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.zip.CRC32C;

/**
 * Copies extents into segments of a compaction, in the order in which their data lies in the old
 * ones: every chunk is read once. Blocks the calling thread. Used once, by one thread.
 */
final class RunCopy {
  static final int CHUNK_BYTES = 64 << 10;

  /** Data of one segment, at most, unless one extent is larger. */
  static final int SEGMENT_BYTES = 4 << 20;

  /** What one compaction copies, at most: it has to fit into its runs. */
  static final long BYTES_MAX =
      (long) Compaction.RUNS_MAX * SegmentRef.RUN_SEGMENTS * SEGMENT_BYTES / 4;

  private static final int READS_AHEAD = 8;
  private static final int STORES_IN_FLIGHT = 2;

  private record Extent(long segment, long position, int length, int chunkBytes) {}

  private record Fetch(long segment, int chunk, CompletionStage<ByteBuffer> data) {}

  private final SegmentStore store;
  private final VolumeId volume;
  private final RunRange target;
  private final List<Extent> extents = new ArrayList<>();
  private final Map<Run, Size> runs = new HashMap<>();
  private final Deque<Stored> stores = new ArrayDeque<>();
  private final Deque<Fetch> fetched = new ArrayDeque<>();
  private long[] segments = new long[0];
  private long[] positions = new long[0];
  private int planned;
  private long plannedChunk;
  private int ordinal;
  private long copiedBytes;
  private byte[] buffer = new byte[SEGMENT_BYTES];
  private int filled;

  private record Stored(SegmentRef ref, long rawBytes, CompletionStage<Long> stored) {}

  private final Runnable wanted;

  /**
   * @param target where the copies go; null when nothing is copied
   * @param wanted throws once the copies are not wanted any more
   */
  RunCopy(SegmentStore store, VolumeId volume, RunRange target, Runnable wanted) {
    this.wanted = wanted;
    this.store = store;
    this.volume = volume;
    this.target = target;
  }

  void add(ExtentCursor map) {
    long length = map.end() - map.offset();
    if (length > SegmentMeta.DATA_BYTES_MAX) {
      throw new Refusal(
          ErrorCode.CORRUPT, "an extent of %d bytes is larger than any segment".formatted(length));
    }
    extents.add(new Extent(map.segment(), map.position(), (int) length, map.chunkBytes()));
  }

  /** Copies all; returns once everything is durable. */
  void run() {
    extents.sort(Comparator.comparingLong(Extent::segment).thenComparingLong(Extent::position));
    segments = new long[extents.size()];
    positions = new long[extents.size()];
    for (int i = 0; i < segments.length; i++) {
      Extent extent = extents.get(i);
      if (filled > 0 && filled + extent.length() > SEGMENT_BYTES) {
        flush();
      }
      if (extent.length() > buffer.length) {
        buffer = new byte[extent.length()];
      }
      segments[i] = SegmentRef.number(target.session(), ordinal());
      positions[i] = filled;
      copy(i, extent);
    }
    if (filled > 0) {
      flush();
    }
    while (!stores.isEmpty()) {
      settle(stores.remove());
    }
  }

  private int ordinal() {
    return target.firstRun() * SegmentRef.RUN_SEGMENTS + ordinal;
  }

  private void copy(int index, Extent extent) {
    long position = extent.position();
    int rest = extent.length();
    while (rest > 0) {
      int chunk = (int) (position / extent.chunkBytes());
      int from = (int) (position % extent.chunkBytes());
      int length = Math.min(rest, extent.chunkBytes() - from);
      ByteBuffer data = chunk(index, extent.segment(), chunk);
      if (from + length > data.remaining()) {
        throw new Refusal(
            ErrorCode.CORRUPT,
            "chunk %d of segment %d has %d bytes, the index refers to more"
                .formatted(chunk, extent.segment(), data.remaining()));
      }
      data.get(data.position() + from, buffer, filled, length);
      filled += length;
      position += length;
      rest -= length;
    }
  }

  /** Chunks are asked for in order, each once, a few ahead of the one that is copied. */
  private ByteBuffer chunk(int index, long segment, int chunk) {
    while (!fetched.isEmpty()
        && (fetched.peek().segment() != segment || fetched.peek().chunk() != chunk)) {
      fetched.remove();
    }
    planned = Math.max(planned, index);
    while (fetched.size() < READS_AHEAD && planned < extents.size()) {
      planNext();
    }
    return await(fetched.element().data());
  }

  private void planNext() {
    Extent extent = extents.get(planned);
    long first = extent.position() / extent.chunkBytes();
    long last = (extent.position() + extent.length() - 1) / extent.chunkBytes();
    long next = first + plannedChunk;
    Fetch newest = fetched.peekLast();
    if (newest == null || newest.segment() != extent.segment() || newest.chunk() != next) {
      fetched.add(
          new Fetch(
              extent.segment(),
              (int) next,
              store.readChunk(new SegmentRef(volume, extent.segment()), (int) next)));
    }
    if (next == last) {
      planned++;
      plannedChunk = 0;
    } else {
      plannedChunk++;
    }
  }

  void checkWanted() {
    wanted.run();
  }

  private void flush() {
    checkWanted();
    if (ordinal() / SegmentRef.RUN_SEGMENTS > target.lastRun()) {
      throw new Refusal(ErrorCode.LIMIT, "a compaction has more data than its runs can hold");
    }
    int chunks = (filled + CHUNK_BYTES - 1) / CHUNK_BYTES;
    int[] crcs = new int[chunks];
    for (int i = 0; i < chunks; i++) {
      CRC32C crc = new CRC32C();
      crc.update(buffer, i * CHUNK_BYTES, Math.min(CHUNK_BYTES, filled - i * CHUNK_BYTES));
      crcs[i] = (int) crc.getValue();
    }
    SegmentMeta meta =
        new SegmentMeta.Builder(SegmentKind.SYNC, new WriteSeq(1), CHUNK_BYTES)
            .add(0, 0, filled, false)
            .build(crcs);
    SegmentRef ref = new SegmentRef(volume, SegmentRef.number(target.session(), ordinal()));
    List<ByteBuffer> data = List.of(ByteBuffer.wrap(buffer, 0, filled));
    stores.add(new Stored(ref, filled, store.store(ref, meta, data)));
    copiedBytes += filled;
    ordinal++;
    filled = 0;
    buffer = new byte[SEGMENT_BYTES];
    while (stores.size() >= STORES_IN_FLIGHT) {
      settle(stores.remove());
    }
  }

  private void settle(Stored one) {
    long bytes = await(one.stored());
    runs.merge(
        new Run(one.ref().session(), one.ref().run()), new Size(one.rawBytes(), bytes), Size::plus);
  }

  private static <T> T await(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted while the segment store was at work", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException failure) {
        throw failure;
      }
      throw new Refusal(ErrorCode.FAILED, "the segment store failed: " + e.getCause(), e);
    }
  }

  /** The runs that were written. */
  Map<Run, Size> runs() {
    return runs;
  }

  Size size() {
    return runs.values().stream().reduce(Size.NONE, Size::plus);
  }

  /** Index of the copy of what lies at a position of a segment; -1 when it was not copied. */
  long placeOf(long segment, long position) {
    int low = 0;
    int high = segments.length - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      Extent extent = extents.get(middle);
      int order = Long.compare(extent.segment(), segment);
      order = order != 0 ? order : Long.compare(extent.position(), position);
      if (order == 0) {
        return middle;
      }
      if (order < 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return -1;
  }

  long segmentAt(long place) {
    return segments[(int) place];
  }

  long positionAt(long place) {
    return positions[(int) place];
  }
}
