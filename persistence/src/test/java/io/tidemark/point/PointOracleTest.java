package io.tidemark.point;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.IndexCheck;
import io.tidemark.index.MappedExtent;
import io.tidemark.index.TestSeed;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** Every position of random histories against a plain model of the disk (X2, J1). */
class PointOracleTest {
  private static final ExecutorService STORE_THREADS = Executors.newFixedThreadPool(3);

  @AfterAll
  static void stop() {
    STORE_THREADS.shutdownNow();
  }

  /** A tiny volume: everything overlaps, every level of the tree comes up. */
  @Test
  void shouldReadEveryPositionOfTinyVolumes() {
    long seed = TestSeed.next("tiny volumes");
    for (int round = 0; round < 6; round++) {
      Random random = new Random(seed + round);
      TestDisk disk = new TestDisk(16 << 10, random, Runnable::run, 1 << 20);
      grow(disk, 900, 8, 512, 12);
      checkEveryPosition(disk);
    }
  }

  /** Nothing is cached, and answers come from other threads. */
  @Test
  void shouldReadEveryPositionWithoutCache() {
    long seed = TestSeed.next("no cache");
    TestDisk disk = new TestDisk(64 << 10, new Random(seed), STORE_THREADS, 0);
    grow(disk, 250, 6, 512, 40);
    checkEveryPosition(disk);
  }

  /** Writes from 512 bytes to 4 MiB. */
  @Test
  void shouldReadEveryPositionWithLargeWrites() {
    long seed = TestSeed.next("large writes");
    TestDisk disk = new TestDisk(6 << 20, new Random(seed), STORE_THREADS, 64 << 20);
    for (int i = 0; i < 40; i++) {
      disk.segment(1, 512, 8192);
      disk.segment(3, 4096, 16);
      indexSome(disk);
    }
    checkEveryPosition(disk);
  }

  /** A reader opened on an older moment of the history stays right while the head advances. */
  @Test
  void shouldKeepOldViewsRight() {
    long seed = TestSeed.next("old views");
    Random random = new Random(seed);
    TestDisk disk = new TestDisk(32 << 10, random, STORE_THREADS, 1 << 20);
    List<HistoryView> views = new ArrayList<>();
    List<PointReader> readers = new ArrayList<>();
    while (disk.history.headSeq < 800) {
      disk.segment(1 + random.nextInt(8), 512, 20);
      indexSome(disk);
      HistoryView view = disk.view();
      views.add(view);
      readers.add(open(disk, view, 1 + random.nextInt((int) view.headSeq())));
    }
    for (HistoryView view : views) {
      readers.add(open(disk, view, 1 + random.nextInt((int) view.headSeq())));
    }
    for (PointReader reader : readers) {
      byte[] model = model(disk, reader.point().seq().value());
      assertArrayEquals(model, bytes(reader.read(0, disk.sizeBytes)));
    }
  }

  /** One reader, many threads, caches that hold almost nothing. */
  @Test
  void shouldServeManyThreadsAtOnce() throws Exception {
    long seed = TestSeed.next("many threads");
    TestDisk disk = new TestDisk(1 << 20, new Random(seed), STORE_THREADS, 64 << 10);
    grow(disk, 1500, 10, 512, 60);
    assertTrue(disk.history.frontier.get(0).level() > 2);
    PointReader reader = open(disk, disk.view(), 1400);
    byte[] model = model(disk, 1400);
    ExecutorService clients = Executors.newFixedThreadPool(4);
    List<Future<?>> done = new ArrayList<>();
    for (int client = 0; client < 4; client++) {
      Random random = new Random(seed + client);
      done.add(clients.submit(() -> readRandomly(reader, model, random)));
    }
    for (Future<?> one : done) {
      one.get();
    }
    clients.shutdown();
    assertTrue(disk.segments.atOnceMost.get() <= 16, "limit: " + disk.segments.atOnceMost);
  }

  private static void readRandomly(PointReader reader, byte[] model, Random random) {
    for (int i = 0; i < 300; i++) {
      int offset = random.nextInt(model.length);
      int length = random.nextInt(1 + Math.min(200_000, model.length - offset));
      assertArrayEquals(
          Arrays.copyOfRange(model, offset, offset + length), bytes(reader.read(offset, length)));
    }
  }

  private static void grow(
      TestDisk disk, int writes, int segmentWrites, int blockBytes, int lengthBlocks) {
    while (disk.history.headSeq < writes) {
      disk.segment(1 + disk.random.nextInt(segmentWrites), blockBytes, lengthBlocks);
      indexSome(disk);
    }
  }

  private static void indexSome(TestDisk disk) {
    if (disk.history.unindexed.size() > disk.random.nextInt(6)) {
      disk.history.leaf(1 + disk.random.nextInt(disk.history.unindexed.size()));
      disk.history.merge();
    }
  }

  private static void checkEveryPosition(TestDisk disk) {
    HistoryView view = disk.view();
    byte[] model = new byte[disk.sizeBytes];
    byte[] before = model.clone();
    check(disk, view, 0, TestDisk.CREATED, model);
    PointReader previous = open(disk, view, 0);
    for (TestDisk.Write write : disk.writes) {
      write.apply(model);
      check(disk, view, write.seq(), write.time(), model);
      PointReader reader = open(disk, view, write.seq());
      if (write.seq() % 17 == 0) {
        checkDiff(disk, previous, reader, before, model);
        before = model.clone();
        previous = reader;
      }
    }
    IndexCheck.Report report =
        new IndexCheck(disk.indexStore).check(disk.history.indexed(), disk.sizeBytes, nr -> {});
    assertTrue(report.right(), () -> report.problems().toString());
    assertEquals(disk.writes.size(), report.writes());
  }

  private static void check(TestDisk disk, HistoryView view, long seq, long time, byte[] model) {
    RecoveryPoint bySeq = join(disk, view, new At.Seq(new WriteSeq(seq)));
    assertEquals(seq, bySeq.seq().value());
    assertEquals(time, bySeq.time().micros());
    RecoveryPoint byTime = join(disk, view, new At.Time(new MicroTime(time)));
    assertEquals(bySeq, byTime);
    if (seq > 0 && time > TestDisk.CREATED) {
      RecoveryPoint justBefore = join(disk, view, new At.Time(new MicroTime(time - 1)));
      assertEquals(seq - 1, justBefore.seq().value());
    }
    PointReader reader = open(disk, view, seq);
    byte[] got = bytes(reader.read(0, disk.sizeBytes));
    if (!Arrays.equals(model, got)) {
      throw new AssertionError("seq " + seq + " differs at " + Arrays.mismatch(model, got));
    }
    int offset = disk.random.nextInt(disk.sizeBytes);
    int length = disk.random.nextInt(disk.sizeBytes - offset + 1);
    assertArrayEquals(
        Arrays.copyOfRange(model, offset, offset + length), bytes(reader.read(offset, length)));
    checkExtents(disk, reader, model, seq, offset, length);
  }

  private static void checkExtents(
      TestDisk disk, PointReader reader, byte[] model, long seq, int offset, int length) {
    long end = offset;
    byte[] covered = new byte[length];
    for (MappedExtent extent :
        reader.extents(new ByteRange(offset, length)).toCompletableFuture().join()) {
      assertTrue(extent.offset() >= end && extent.length() > 0, "X1");
      assertTrue(extent.end() <= offset + length, "clipped");
      TestDisk.Write write = disk.writes.get((int) extent.seq() - 1);
      assertTrue(extent.seq() <= seq);
      assertTrue(write.offset() <= extent.offset());
      assertTrue(extent.end() <= write.offset() + write.length());
      assertEquals(write.data() == null, extent.zero());
      for (long at = extent.offset(); !extent.zero() && at < extent.end(); at++) {
        covered[(int) at - offset] = write.data()[(int) at - write.offset()];
      }
      end = extent.end();
    }
    assertArrayEquals(Arrays.copyOfRange(model, offset, offset + length), covered);
  }

  /** What changed is what was written in between, to the byte, whole or in pages of any size. */
  private static void checkDiff(
      TestDisk disk, PointReader a, PointReader b, byte[] before, byte[] after) {
    WriteSeq seq = a.point().seq();
    byte[] written = new byte[disk.sizeBytes];
    for (long i = seq.value(); i < b.point().seq().value(); i++) {
      TestDisk.Write write = disk.writes.get((int) i);
      Arrays.fill(written, write.offset(), write.offset() + write.length(), (byte) 1);
    }
    ByteRange all = new ByteRange(0, disk.sizeBytes);
    Changes whole = changes(b, seq, all, disk.sizeBytes);
    assertEquals(disk.sizeBytes, whole.end());
    byte[] patched = before.clone();
    byte[] told = new byte[disk.sizeBytes];
    long end = -1;
    for (ByteRange range : whole.ranges()) {
      assertTrue(range.offset() > end, "disjoint, in order, neighbours joined");
      end = range.end();
      Arrays.fill(told, (int) range.offset(), (int) range.end(), (byte) 1);
      System.arraycopy(
          after, (int) range.offset(), patched, (int) range.offset(), (int) range.length());
    }
    assertArrayEquals(after, patched);
    assertArrayEquals(written, told);
    List<ByteRange> paged = new ArrayList<>();
    int page = 1 + disk.random.nextInt(4);
    for (long from = 0; from < disk.sizeBytes; ) {
      Changes part = changes(b, seq, new ByteRange(from, disk.sizeBytes - from), page);
      assertTrue(part.ranges().size() <= page && part.end() > from);
      paged.addAll(part.ranges());
      from = part.end();
    }
    assertEquals(whole.ranges(), paged);
  }

  private static Changes changes(PointReader newer, WriteSeq seq, ByteRange within, int max) {
    return newer.changedAfter(seq, within, max).toCompletableFuture().join();
  }

  private static byte[] model(TestDisk disk, long seq) {
    byte[] model = new byte[disk.sizeBytes];
    disk.writes.subList(0, (int) seq).forEach(write -> write.apply(model));
    return model;
  }

  private static RecoveryPoint join(TestDisk disk, HistoryView view, At at) {
    return disk.points.resolve(view, disk.history.events, at).toCompletableFuture().join();
  }

  private static PointReader open(TestDisk disk, HistoryView view, long seq) {
    RecoveryPoint point = join(disk, view, new At.Seq(new WriteSeq(seq)));
    return disk.points.open(view, disk.history.events, point).toCompletableFuture().join();
  }

  private static byte[] bytes(java.util.concurrent.CompletionStage<ByteBuffer> read) {
    ByteBuffer buffer = read.toCompletableFuture().join();
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }
}
