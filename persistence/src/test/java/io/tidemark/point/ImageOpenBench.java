package io.tidemark.point;

import io.tidemark.index.InMemoryIndexStore;
import io.tidemark.index.IndexCheck;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.index.SyntheticHistory;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Opens random points of histories of 10^4 to 10^7 random 4 KiB writes and reads 4 KiB from each,
 * with cold caches and stores in memory: what is left is the index's own work and its number of
 * reads. Arguments: the largest power of ten, blocks of the volume, writes a segment.
 */
public final class ImageOpenBench {
  private static final int OPENS = 100;
  private static final int LEAF_SEGMENTS = 16;
  private static final int LEAF_WRITES = 16_384;

  private ImageOpenBench() {}

  public static void main(String[] args) {
    int powers = args.length > 0 ? Integer.parseInt(args[0]) : 7;
    long blocks = args.length > 1 ? Long.parseLong(args[1]) : 10L << 18;
    int segmentWrites = args.length > 2 ? Integer.parseInt(args[2]) : 1000;
    System.out.printf("%d MiB volume, %d writes a segment%n", blocks / 256, segmentWrites);
    ExecutorService executor = Executors.newFixedThreadPool(2);
    for (int power = 4; power <= powers; power++) {
      measure((long) Math.pow(10, power), blocks, segmentWrites, executor);
    }
    executor.shutdownNow();
  }

  private static void measure(
      long writes, long blocks, int segmentWrites, ExecutorService executor) {
    SyntheticHistory history = new SyntheticHistory(7, segmentWrites, blocks);
    InMemoryIndexStore store = new InMemoryIndexStore();
    long segments = writes / segmentWrites;
    long[] nodes = {0};
    long began = System.nanoTime();
    List<NodeHeader> frontier =
        IndexCheck.rebuild(
            history.volume,
            history,
            segments,
            new StoredIndexWriter(store, executor),
            () -> ++nodes[0],
            LEAF_SEGMENTS,
            LEAF_WRITES);
    double buildSeconds = (System.nanoTime() - began) / 1e9;
    HistoryView view = view(history, blocks, writes, segments, frontier);
    System.out.printf(
        "%,d writes: built in %.1f s (%.2f us a write), %d nodes, %,d bytes kept (%.1f a write),"
            + " frontier %d%n",
        writes,
        buildSeconds,
        buildSeconds * 1e6 / writes,
        nodes[0],
        store.bytes(),
        store.bytes() / (double) writes,
        frontier.size());
    for (int warm = 0; warm < 2; warm++) {
      opens(view, history, store, warm == 1);
    }
    randomReads(view, history, store);
  }

  private static HistoryView view(
      SyntheticHistory history,
      long blocks,
      long writes,
      long segments,
      List<NodeHeader> frontier) {
    long indexed = frontier.isEmpty() ? 0 : frontier.get(frontier.size() - 1).lastEventNr();
    return new HistoryView(
        history.volume,
        "bench",
        blocks * SyntheticHistory.BLOCK_BYTES,
        1,
        writes,
        1000 * writes,
        0,
        0,
        List.of(),
        frontier,
        indexed + 1,
        segments);
  }

  private static void opens(
      HistoryView view, SyntheticHistory history, InMemoryIndexStore store, boolean report) {
    Random random = new Random(1);
    double[] millis = new double[OPENS];
    long[] blockReads = new long[OPENS];
    long bytes = store.readBytes.get();
    long events = history.segmentsRead.get();
    for (int i = 0; i < OPENS; i++) {
      long reads = store.reads.get();
      StoredPoints points =
          new StoredPoints(
              new StoredIndexReader(store, Runnable::run, 64 << 20),
              new ConstantSegments(),
              () -> view.headTimeMicros(),
              64,
              0);
      At at = new At.Time(new MicroTime(random.nextLong(view.headTimeMicros())));
      long offset = random.nextLong(view.sizeBytes() / 4096) * 4096;
      long began = System.nanoTime();
      points
          .resolve(view, history, at)
          .thenCompose(point -> points.open(view, history, point))
          .thenCompose(reader -> reader.read(offset, 4096))
          .toCompletableFuture()
          .join();
      millis[i] = (System.nanoTime() - began) / 1e6;
      blockReads[i] = store.reads.get() - reads;
    }
    if (report) {
      Arrays.sort(millis);
      Arrays.sort(blockReads);
      System.out.printf(
          "  cold open by time + first 4 KiB: %.2f / %.2f ms (median / max), block reads %d / %d,"
              + " %,d bytes, %.1f segments read%n",
          millis[OPENS / 2],
          millis[OPENS - 1],
          blockReads[OPENS / 2],
          blockReads[OPENS - 1],
          (store.readBytes.get() - bytes) / OPENS,
          (history.segmentsRead.get() - events) / (double) OPENS);
    }
  }

  private static void randomReads(
      HistoryView view, SyntheticHistory history, InMemoryIndexStore store) {
    StoredPoints points =
        new StoredPoints(
            new StoredIndexReader(store, Runnable::run, 128 << 20),
            new ConstantSegments(),
            () -> view.headTimeMicros(),
            64,
            0);
    PointReader reader =
        points
            .resolve(view, history, new At.Latest())
            .thenCompose(point -> points.open(view, history, point))
            .toCompletableFuture()
            .join();
    Random random = new Random(2);
    int reads = 100_000;
    for (int round = 0; round < 2; round++) {
      long blockReads = store.reads.get();
      long began = System.nanoTime();
      for (int i = 0; i < reads; i++) {
        reader
            .read(random.nextLong(view.sizeBytes() / 4096) * 4096, 4096)
            .toCompletableFuture()
            .join();
      }
      System.out.printf(
          "  %,d random 4 KiB reads: %.1f us each, %.3f block reads each%n",
          reads,
          (System.nanoTime() - began) / 1e3 / reads,
          (store.reads.get() - blockReads) / (double) reads);
    }
  }

  /** Every chunk there is, all the same. */
  private static final class ConstantSegments implements SegmentStore {
    private static final ByteBuffer CHUNK =
        ByteBuffer.allocate(SyntheticHistory.CHUNK_BYTES).asReadOnlyBuffer();

    @Override
    public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
      return CompletableFuture.completedFuture(0L);
    }

    @Override
    public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
      return CompletableFuture.completedFuture(CHUNK);
    }

    @Override
    public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletionStage<Void> deleteRuns(
        io.tidemark.position.VolumeId volume, int session, int firstRun, int lastRun) {
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletionStage<Void> deleteVolume(
        io.tidemark.position.VolumeId volume, int lastSession) {
      return CompletableFuture.completedFuture(null);
    }
  }
}
