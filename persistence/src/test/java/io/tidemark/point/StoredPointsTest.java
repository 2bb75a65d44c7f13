package io.tidemark.point;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.TestHistory;
import io.tidemark.index.TestSeed;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.Test;

class StoredPointsTest {
  private static final int CHUNK = 4096;

  private final TestDisk disk = new TestDisk(1 << 20, new Random(1), Runnable::run, 16 << 20);

  /** Journals one write of 4 KiB at block {@code block}, at time {@code micros}. */
  private void write(long micros, int block) {
    SegmentMeta.Builder builder = disk.history.next(CHUNK);
    byte[] data = new byte[4096];
    java.util.Arrays.fill(data, (byte) (disk.history.headSeq + 1));
    builder.add(micros, 4096L * block, 4096, false);
    SegmentMeta meta = TestHistory.build(builder, CHUNK);
    disk.segments.store(
        new SegmentRef(disk.history.volume, disk.history.segmentNumber()),
        meta,
        List.of(ByteBuffer.wrap(data)));
    disk.history.journal(meta);
    disk.now = micros;
  }

  private HistoryView view(long horizonSeq, long horizonTime, DarkInterval... dark) {
    HistoryView v = disk.view();
    return new HistoryView(
        v.volume(),
        v.persistenceId(),
        v.sizeBytes(),
        1,
        v.headSeq(),
        v.headTimeMicros(),
        horizonSeq,
        horizonTime,
        List.of(dark),
        v.frontier(),
        v.tailFromEventNr(),
        v.tailToEventNr());
  }

  private RecoveryPoint resolve(HistoryView view, At at) {
    return disk.points.resolve(view, disk.history.events, at).toCompletableFuture().join();
  }

  private long resolveTime(HistoryView view, long micros) {
    return resolve(view, time(micros)).seq().value();
  }

  private static At seq(long seq) {
    return new At.Seq(new WriteSeq(seq));
  }

  private static At time(long micros) {
    return new At.Time(new MicroTime(micros));
  }

  private Refusal refused(HistoryView view, At at) {
    return refused(disk.points.resolve(view, disk.history.events, at));
  }

  private static Refusal refused(CompletionStage<?> stage) {
    CompletionException failure =
        assertThrows(CompletionException.class, () -> stage.toCompletableFuture().join());
    return (Refusal) failure.getCause();
  }

  private void tenWrites() {
    for (int i = 1; i <= 10; i++) {
      write(TestDisk.CREATED + 1000 * i, i % 4);
    }
  }

  @Test
  void shouldResolveAnEmptyVolume() {
    HistoryView view = disk.view();
    RecoveryPoint base = resolve(view, new At.Latest());
    assertEquals(0, base.seq().value());
    assertEquals(TestDisk.CREATED, base.time().micros());
    assertEquals(base, resolve(view, seq(0)));
    disk.now = TestDisk.CREATED + 5;
    assertEquals(base, resolve(view, time(TestDisk.CREATED + 5)));
    PointReader reader =
        disk.points.open(view, disk.history.events, base).toCompletableFuture().join();
    assertArrayEquals(new byte[8192], bytes(reader.read(4096, 8192)));
    assertEquals(0, reader.read(1 << 20, 0).toCompletableFuture().join().remaining());
  }

  private static byte[] bytes(CompletionStage<ByteBuffer> read) {
    ByteBuffer buffer = read.toCompletableFuture().join();
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }

  @Test
  void shouldRefuseBeyondHeadAndHorizon() {
    tenWrites();
    HistoryView view = view(4, TestDisk.CREATED + 4000);
    Refusal head = refused(view, seq(11));
    assertEquals(ErrorCode.BEYOND_HEAD, head.code());
    assertTrue(head.getMessage().contains("seq:10 at 1970-01-01T00:00:01.010Z"), head::getMessage);
    Refusal horizon = refused(view, seq(3));
    assertEquals(ErrorCode.BEYOND_HORIZON, horizon.code());
    assertTrue(horizon.getMessage().contains("seq:4 at"), horizon::getMessage);
    assertEquals(ErrorCode.BEYOND_HORIZON, refused(view, time(TestDisk.CREATED + 3999)).code());
    assertEquals(4, resolveTime(view, TestDisk.CREATED + 4000));
    assertEquals(4, resolve(view, seq(4)).seq().value());
    assertEquals(ErrorCode.NOT_FOUND, refused(view, new At.Tag("x")).code());
  }

  /** While the volume is idle, the time between its head and now is its head. */
  @Test
  void shouldTakeTheHeadForTheIdlePresent() {
    tenWrites();
    HistoryView view = disk.view();
    disk.now = TestDisk.CREATED + 50_000;
    assertEquals(10, resolveTime(view, TestDisk.CREATED + 50_000));
    assertEquals(ErrorCode.BEYOND_HEAD, refused(view, time(TestDisk.CREATED + 50_001)).code());
    disk.now = TestDisk.CREATED;
    assertEquals(10, resolveTime(view, TestDisk.CREATED + 10_000), "the clock stepped back");
  }

  @Test
  void shouldRefuseInsideADarkIntervalAndNameBothSides() {
    tenWrites();
    long t = TestDisk.CREATED;
    HistoryView view = view(0, t, new DarkInterval(4, 6, t + 3000, t + 7000, "disk full"));
    for (long seq = 4; seq <= 6; seq++) {
      Refusal refusal = refused(view, seq(seq));
      assertEquals(ErrorCode.DARK_INTERVAL, refusal.code());
      assertTrue(refusal.getMessage().contains("seq:3 at"), refusal::getMessage);
      assertTrue(refusal.getMessage().contains("seq:7 at"), refusal::getMessage);
      assertTrue(refusal.getMessage().contains("disk full"), refusal::getMessage);
    }
    assertEquals(3, resolve(view, seq(3)).seq().value());
    assertEquals(7, resolve(view, seq(7)).seq().value());
    assertEquals(3, resolveTime(view, t + 3000));
    assertEquals(ErrorCode.DARK_INTERVAL, refused(view, time(t + 3001)).code());
    assertEquals(ErrorCode.DARK_INTERVAL, refused(view, time(t + 6999)).code());
    assertEquals(7, resolveTime(view, t + 7000));
    RecoveryPoint forged =
        new RecoveryPoint(new WriteSeq(5), new MicroTime(t + 5000), RecoveryPoint.MAIN_BRANCH);
    assertEquals(
        ErrorCode.DARK_INTERVAL,
        refused(disk.points.open(view, disk.history.events, forged)).code());
  }

  @Test
  void shouldRefuseTheHeadWhileAResynchronisationRuns() {
    tenWrites();
    long t = TestDisk.CREATED;
    HistoryView view =
        view(0, t, new DarkInterval(8, Long.MAX_VALUE, t + 7000, Long.MAX_VALUE, "tap was killed"));
    Refusal refusal = refused(view, new At.Latest());
    assertEquals(ErrorCode.DARK_INTERVAL, refusal.code());
    assertTrue(refusal.getMessage().contains("until the resynchronisation"), refusal::getMessage);
    assertEquals(7, resolveTime(view, t + 7000));
    assertEquals(ErrorCode.DARK_INTERVAL, refused(view, time(t + 10_000)).code());
  }

  /** What a resynchronisation compares with: the head's content, though it is no point. */
  @Test
  void shouldOpenTheHeadInsideADarkInterval() {
    tenWrites();
    long t = TestDisk.CREATED;
    HistoryView view =
        view(0, t, new DarkInterval(8, Long.MAX_VALUE, t + 7000, Long.MAX_VALUE, "tap was killed"));
    PointReader head =
        disk.points
            .openHead(view, disk.history.events, () -> CompletableFuture.completedFuture(view))
            .toCompletableFuture()
            .join();
    assertEquals(10, bytes(head.read(2 * 4096, 4096))[0]);
    assertEquals(0, bytes(head.read(9 * 4096, 4096))[0]);
  }

  @Test
  void shouldSayThatThereIsNoPointBeforeTheFirstDarkInterval() {
    tenWrites();
    long t = TestDisk.CREATED;
    HistoryView view = view(1, t + 1000, new DarkInterval(1, 3, t, t + 4000, "first attach"));
    assertTrue(refused(view, seq(2)).getMessage().contains("no point before"));
  }

  /** Seqs that were never captured and needed no resynchronisation: the state before them. */
  @Test
  void shouldServeSeqsOfAGapAsTheStateBeforeIt() {
    tenWrites();
    disk.history.leaf(4);
    disk.history.headSeq += 5;
    for (int i = 1; i <= 4; i++) {
      write(TestDisk.CREATED + 20_000 + 1000 * i, 9);
    }
    disk.history.leaf(8);
    HistoryView view = disk.view();
    for (long seq = 11; seq <= 15; seq++) {
      RecoveryPoint point = resolve(view, seq(seq));
      assertEquals(seq, point.seq().value());
      assertEquals(TestDisk.CREATED + 10_000, point.time().micros());
      PointReader reader =
          disk.points.open(view, disk.history.events, point).toCompletableFuture().join();
      assertEquals(10, bytes(reader.read(2 * 4096, 4096))[0]);
      assertEquals(0, bytes(reader.read(9 * 4096, 4096))[0]);
    }
    assertEquals(10, resolveTime(view, TestDisk.CREATED + 20_999));
    assertEquals(16, resolveTime(view, TestDisk.CREATED + 21_000));
  }

  /** A gap after which nothing differed: its last seq is the first point after it, and no write. */
  @Test
  void shouldResolveTheEndOfAGap() {
    tenWrites();
    long t = TestDisk.CREATED;
    disk.history.headSeq += 5;
    write(t + 30_000, 9);
    for (int indexed = 0; indexed < 2; indexed++) {
      HistoryView view = view(0, t, new DarkInterval(11, 14, t + 10_000, t + 20_000, "gap"));
      RecoveryPoint end = resolve(view, seq(15));
      assertEquals(t + 20_000, end.time().micros());
      assertEquals(end, resolve(view, time(t + 20_000)));
      assertEquals(end, resolve(view, time(t + 29_999)));
      assertEquals(16, resolveTime(view, t + 30_000));
      assertEquals(10, resolveTime(view, t + 10_000));
      assertEquals(ErrorCode.DARK_INTERVAL, refused(view, time(t + 19_999)).code());
      assertEquals(ErrorCode.DARK_INTERVAL, refused(view, seq(14)).code());
      if (indexed == 0) {
        disk.history.leaf(11);
      }
    }
  }

  @Test
  void shouldReportALostChunk() {
    tenWrites();
    PointReader reader = openHead();
    disk.segments.lose(new SegmentRef(disk.history.volume, 1L << 32 | 9));
    assertEquals(ErrorCode.CORRUPT, refused(reader.read(0, 1 << 20)).code());
    assertEquals(9, bytes(reader.read(4096, 4096))[0], "what is left is served");
  }

  private PointReader openHead() {
    HistoryView view = disk.view();
    return disk.points
        .open(view, disk.history.events, resolve(view, new At.Latest()))
        .toCompletableFuture()
        .join();
  }

  @Test
  void shouldRefuseToReadOutsideTheVolume() {
    PointReader reader = openHead();
    assertEquals(ErrorCode.INVALID, refused(reader.read(1 << 20, 1)).code());
    assertEquals(ErrorCode.INVALID, refused(reader.read(-1, 1)).code());
    assertEquals(ErrorCode.INVALID, refused(reader.read(0, (1 << 20) + 1)).code());
    assertEquals(ErrorCode.INVALID, refused(reader.read(Long.MAX_VALUE, 4096)).code());
    assertEquals(ErrorCode.INVALID, refused(reader.extents(new ByteRange(1, 1 << 20))).code());
  }

  /** One who reads in order finds the next chunks fetched already; one who jumps does not. */
  @Test
  void shouldReadAheadOfASequentialReader() {
    for (int block = 0; block < 256; block++) {
      write(TestDisk.CREATED + 1 + block, block);
    }
    PointReader reader = openHead();
    bytes(reader.read(0, 4096));
    assertEquals(1, disk.segments.reads.get());
    bytes(reader.read(4096, 4096));
    assertTrue(
        disk.segments.reads.get() >= 32 && disk.segments.reads.get() < 128,
        "reads: " + disk.segments.reads);
    for (int block = 2; block < 256; block++) {
      assertEquals((byte) (block + 1), bytes(reader.read(4096L * block, 4096))[0]);
    }
    assertEquals(256, disk.segments.reads.get(), "each chunk once");
  }

  @Test
  void shouldCountWritesByTime() {
    TestDisk random =
        new TestDisk(1 << 16, new Random(TestSeed.next("timeline")), Runnable::run, 1 << 20);
    for (int i = 0; i < 120; i++) {
      random.segment(1 + random.random.nextInt(20), 512, 8);
      if (random.history.unindexed.size() > 4) {
        random.history.leaf(4);
        random.history.merge();
      }
    }
    long from = random.writes.get(0).time() - 100;
    long to = random.now + 100;
    checkTimeline(random, from, to, 20, 0);
    checkTimeline(random, from + (to - from) / 3, from + (to - from) / 2, 7, 0);
    checkTimeline(random, from, to, 1, 0);
    checkTimeline(random, from, to, 500, 20);
    HistoryView view = random.view();
    assertEquals(
        ErrorCode.INVALID,
        refused(
                random.points.timeline(
                    view, random.history.events, new MicroTime(5), new MicroTime(5), 3))
            .code());
    assertEquals(
        ErrorCode.INVALID,
        refused(
                random.points.timeline(
                    view, random.history.events, new MicroTime(5), new MicroTime(6), 10_001))
            .code());
  }

  private static void checkTimeline(TestDisk disk, long from, long to, int count, int tolerance) {
    List<TimelineBucket> buckets =
        disk.points
            .timeline(
                disk.view(), disk.history.events, new MicroTime(from), new MicroTime(to), count)
            .toCompletableFuture()
            .join();
    assertEquals(count, buckets.size());
    long at = from;
    long total = 0;
    for (TimelineBucket bucket : buckets) {
      assertEquals(at, bucket.fromTimeMicros());
      at = bucket.toTimeMicros();
      long expected =
          disk.writes.stream()
              .filter(w -> w.time() >= bucket.fromTimeMicros() && w.time() < bucket.toTimeMicros())
              .count();
      assertTrue(Math.abs(expected - bucket.writes()) <= tolerance, bucket + " " + expected);
      assertEquals(bucket.writes(), bucket.lastSeq() - bucket.firstSeq() + 1);
      total += bucket.writes();
    }
    assertEquals(to, at);
    long expected = disk.writes.stream().filter(w -> w.time() >= from && w.time() < to).count();
    assertEquals(expected, total);
  }
}
