package io.tidemark.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.compare.Comparisons.Page;
import io.tidemark.compare.Comparisons.Request;
import io.tidemark.image.HeldPoints;
import io.tidemark.imageserver.MemoryPoints;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Comparisons against plain arrays of bytes (C1, C2, C3). */
class PointComparisonsTest {
  private static final int SIZE = 5 * 1024 * 1024 + 512;
  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final ExecutorService io = Executors.newFixedThreadPool(3);
  private final MemoryPoints points = new MemoryPoints(SIZE, io);
  private final PointComparisons comparisons = new PointComparisons(points, new HeldPoints(points));

  PointComparisonsTest() {
    System.out.println("PointComparisonsTest -Dtidemark.seed=" + seed);
  }

  @AfterEach
  void stop() {
    points.gate.complete(null);
    comparisons.close();
    io.shutdown();
  }

  private static At seq(long seq) {
    return new At.Seq(new WriteSeq(seq));
  }

  private Page compare(At from, At to, boolean content, long offset, int rangesMax) {
    return comparisons
        .compare(new Request(MemoryPoints.NAME, from, to, content, offset, rangesMax))
        .toCompletableFuture()
        .orTimeout(30, TimeUnit.SECONDS)
        .join();
  }

  private ErrorCode refused(At from, At to, long offset, int rangesMax) {
    CompletionException e =
        assertThrows(CompletionException.class, () -> compare(from, to, false, offset, rangesMax));
    return ((Refusal) e.getCause()).code();
  }

  private List<ByteRange> all(long from, long to, boolean content, int rangesMax) {
    List<ByteRange> ranges = new ArrayList<>();
    long offset = 0;
    while (true) {
      Page page = compare(seq(from), seq(to), content, offset, rangesMax);
      assertTrue(page.ranges().size() <= rangesMax);
      assertEquals(page.bytes(), page.ranges().stream().mapToLong(ByteRange::length).sum());
      ranges.addAll(page.ranges());
      if (page.next().isEmpty()) {
        return ranges;
      }
      assertTrue(page.next().getAsLong() > offset);
      offset = page.next().getAsLong();
    }
  }

  /** Random writes, some of the content that was there before: exactly what differs is told. */
  @Test
  void shouldTellExactlyWhatDiffers() {
    for (int i = 0; i < 60; i++) {
      int length = 1 + random.nextInt(random.nextInt(10) == 0 ? 3_000_000 : 20_000);
      int offset = random.nextInt(SIZE - length + 1);
      byte[] data = new byte[length];
      if (random.nextInt(3) == 0) {
        System.arraycopy(points.content(i), offset, data, 0, length);
        data[random.nextInt(length)]++;
      } else {
        random.nextBytes(data);
      }
      points.write(offset, length, random.nextInt(6) == 0 ? null : data);
    }
    for (int round = 0; round < 12; round++) {
      long from = random.nextInt(61);
      long to = random.nextInt(61);
      byte[] before = points.content(from);
      byte[] after = points.content(to);
      for (boolean content : new boolean[] {false, true}) {
        byte[] patched = before.clone();
        long end = 0;
        for (ByteRange range : all(from, to, content, 1 + random.nextInt(50))) {
          assertTrue(range.offset() >= end && range.length() > 0);
          end = range.end();
          System.arraycopy(
              after, (int) range.offset(), patched, (int) range.offset(), (int) range.length());
          if (content) {
            int sector = (int) (range.offset() / 512 * 512);
            int last = (int) Math.min(SIZE, (range.end() + 511) / 512 * 512);
            assertTrue(differs(before, after, sector, sector + 512), "C2, seed " + seed);
            assertTrue(differs(before, after, last - 512, last), "C2, seed " + seed);
          }
        }
        assertTrue(Arrays.equals(after, patched), "C1 from " + from + " to " + to + ", " + seed);
      }
    }
  }

  private static boolean differs(byte[] a, byte[] b, int from, int to) {
    return !Arrays.equals(a, from, Math.min(SIZE, to), b, from, Math.min(SIZE, to));
  }

  /** The same bytes again, and a change that was taken back, are written and no difference. */
  @Test
  void shouldTellRewritingFromChanging() {
    byte[] data = new byte[8192];
    random.nextBytes(data);
    points.write(4096, 8192, data);
    points.write(4096, 8192, null);
    points.write(4096, 8192, data);
    assertEquals(List.of(new ByteRange(4096, 8192)), all(1, 3, false, 10));
    assertEquals(List.of(), all(1, 3, true, 10));
    assertEquals(List.of(new ByteRange(4096, 8192)), all(1, 2, true, 10));
    assertEquals(List.of(new ByteRange(4096, 8192)), all(2, 1, true, 10));
    assertEquals(List.of(), all(2, 2, false, 10));
  }

  @Test
  void shouldRefuse() {
    At latest = new At.Latest();
    assertEquals(ErrorCode.INVALID, refused(latest, latest, SIZE, 1));
    assertEquals(ErrorCode.INVALID, refused(latest, latest, -1, 1));
    assertEquals(ErrorCode.INVALID, refused(latest, latest, 0, 0));
    assertEquals(ErrorCode.INVALID, refused(latest, latest, 0, Comparisons.RANGES_MAX + 1));
    assertEquals(ErrorCode.BEYOND_HEAD, refused(latest, seq(99), 0, 1));
    CompletionException unknown =
        assertThrows(
            CompletionException.class,
            () ->
                comparisons
                    .compare(new Request(new VolumeName("none"), latest, latest, false, 0, 1))
                    .toCompletableFuture()
                    .join());
    assertEquals(ErrorCode.NOT_FOUND, ((Refusal) unknown.getCause()).code());
  }

  /** More comparisons of content than may run are refused; those of the index alone are not. */
  @Test
  void shouldBoundWhatReadsAtOnce() {
    points.write(0, 512, new byte[512]);
    points.gate = new CompletableFuture<>();
    List<CompletableFuture<Page>> running = new ArrayList<>();
    for (int i = 0; i < PointComparisons.CONTENT_MAX; i++) {
      running.add(
          comparisons
              .compare(new Request(MemoryPoints.NAME, seq(0), seq(1), true, 0, 10))
              .toCompletableFuture());
    }
    CompletionException busy =
        assertThrows(CompletionException.class, () -> compare(seq(0), seq(1), true, 0, 10));
    assertEquals(ErrorCode.BUSY, ((Refusal) busy.getCause()).code());
    assertEquals(1, compare(seq(0), seq(1), false, 0, 10).ranges().size());
    points.gate.complete(null);
    running.forEach(one -> assertEquals(0, one.orTimeout(30, TimeUnit.SECONDS).join().bytes()));
    assertEquals(0, compare(seq(0), seq(1), true, 0, 10).bytes());
  }
}
