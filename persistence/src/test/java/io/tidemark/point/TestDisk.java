package io.tidemark.point;

import io.tidemark.index.InMemoryIndexStore;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.index.TestHistory;
import io.tidemark.segment.ChunkCache;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executor;

/**
 * A plain model of a disk and, beside it, the history that the same writes leave: the oracle of
 * every point.
 */
final class TestDisk {
  /** One write as the oracle remembers it; without data it reads back as zeroes. */
  record Write(long seq, long time, int offset, int length, byte[] data) {
    void apply(byte[] disk) {
      if (data == null) {
        java.util.Arrays.fill(disk, offset, offset + length, (byte) 0);
      } else {
        System.arraycopy(data, 0, disk, offset, length);
      }
    }
  }

  static final long CREATED = 1_000_000;

  final int sizeBytes;
  final Random random;
  final InMemoryIndexStore indexStore;
  final InMemorySegments segments;
  final StoredIndexReader index;
  final StoredPoints points;
  final TestHistory history;
  final List<Write> writes = new ArrayList<>();
  final List<DarkInterval> dark = new ArrayList<>();
  long horizonSeq;
  long horizonTime = CREATED;
  List<io.tidemark.index.NodeHeader> layers = List.of();
  List<Long> keptSeqs = List.of();
  long now = CREATED;

  TestDisk(int sizeBytes, Random random, Executor storeThreads, long cacheBytes) {
    this.sizeBytes = sizeBytes;
    this.random = random;
    this.indexStore = new InMemoryIndexStore(storeThreads);
    this.segments = new InMemorySegments(storeThreads);
    this.index = new StoredIndexReader(indexStore, storeThreads, cacheBytes);
    this.points =
        new StoredPoints(
            index, new ChunkCache(segments, cacheBytes), () -> now, 16, cacheBytes / 8);
    this.history = new TestHistory(new StoredIndexWriter(indexStore, Runnable::run));
  }

  /** Journals a segment of random writes, multiples of {@code blockBytes} long. */
  void segment(int count, int blockBytes, int lengthBlocksMax) {
    int chunkBytes = 1 << (12 + random.nextInt(3));
    SegmentMeta.Builder builder = history.next(chunkBytes);
    List<ByteBuffer> data = new ArrayList<>();
    long seq = history.headSeq;
    int blocks = sizeBytes / blockBytes;
    for (int i = 0; i < count; i++) {
      now += random.nextInt(3) == 0 ? 1 : 1 + random.nextInt(1000);
      int length = 1 + random.nextInt(Math.min(blocks, lengthBlocksMax));
      int offset = random.nextInt(blocks - length + 1);
      byte[] bytes = null;
      if (random.nextInt(5) > 0) {
        bytes = new byte[length * blockBytes];
        random.nextBytes(bytes);
        data.add(ByteBuffer.wrap(bytes));
      }
      writes.add(new Write(++seq, now, offset * blockBytes, length * blockBytes, bytes));
      builder.add(now, (long) offset * blockBytes, (long) length * blockBytes, bytes == null);
    }
    SegmentMeta meta = TestHistory.build(builder, chunkBytes);
    segments.store(new SegmentRef(history.volume, history.segmentNumber()), meta, data);
    history.journal(meta);
    if (random.nextInt(4) == 0) {
      history.otherEvents(1 + random.nextInt(3));
    }
  }

  HistoryView view() {
    return new HistoryView(
        history.volume,
        "volume|" + history.volume,
        sizeBytes,
        1,
        history.headSeq,
        history.headSeq == 0 ? CREATED : history.headTime,
        horizonSeq,
        horizonTime,
        List.copyOf(dark),
        history.frontier,
        history.tailFromEventNr(),
        history.newestEventNr(),
        layers,
        keptSeqs,
        CREATED);
  }
}
