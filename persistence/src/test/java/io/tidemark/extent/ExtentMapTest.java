package io.tidemark.extent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.TestHistory;
import io.tidemark.index.TestSeed;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ExtentMapTest {
  private static final int CHUNK = 4096;

  /** The overlay of random writes has, at every byte, the newest write and its position (M2). */
  @Test
  void shouldOverlayWritesNewestFirst() {
    Random random = new Random(TestSeed.next("overlay"));
    for (int round = 0; round < 200; round++) {
      int size = 1 + random.nextInt(300);
      int count = 1 + random.nextInt(200);
      SegmentMeta meta = randomSegment(random, size, count, 1 + random.nextInt(size));
      long upTo = 1 + random.nextInt(count);
      ExtentMap map = new WriteOverlay().add(meta, 77, upTo).map();
      int[] winners = new int[size];
      for (int i = 0; i < upTo; i++) {
        int offset = (int) meta.offset(i);
        Arrays.fill(winners, offset, offset + (int) meta.length(i), i + 1);
      }
      checkAgainst(map, winners, meta);
    }
  }

  private static SegmentMeta randomSegment(Random random, int size, int count, int lengthMax) {
    SegmentMeta.Builder builder = new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(1), CHUNK);
    for (int i = 0; i < count; i++) {
      int length = random.nextInt(Math.min(size, lengthMax) + 1);
      builder.add(i, random.nextInt(size - length + 1), length, random.nextInt(4) == 0);
    }
    return TestHistory.build(builder, CHUNK);
  }

  private static void checkAgainst(ExtentMap map, int[] winners, SegmentMeta meta) {
    int at = 0;
    for (int i = 0; i < map.size(); i++) {
      assertTrue(map.offset(i) >= at && map.end(i) > map.offset(i), "M1");
      for (; at < map.offset(i); at++) {
        assertEquals(0, winners[at]);
      }
      int write = (int) map.seq(i) - 1;
      assertEquals(meta.zero(write), map.zero(i));
      for (; at < map.end(i); at++) {
        assertEquals(map.seq(i), winners[at]);
      }
      if (!map.zero(i)) {
        assertEquals(77, map.segment(i));
        assertEquals(
            meta.dataPosition(write) + map.offset(i) - meta.offset(write), map.position(i));
        assertEquals(CHUNK, map.chunkBytes(i));
      }
      boolean joined = i > 0 && map.offset(i) == map.end(i - 1) && map.seq(i) == map.seq(i - 1);
      assertFalse(joined, "neighbours of one write are one extent");
    }
    for (; at < winners.length; at++) {
      assertEquals(0, winners[at]);
    }
  }

  /** A block gives back every extent, from any offset on, and clips as the map does. */
  @Test
  void shouldEncodeBlocks() {
    Random random = new Random(TestSeed.next("blocks"));
    for (int round = 0; round < 60; round++) {
      int count = round < 5 ? MapBlock.EXTENTS_MAX : 1 + random.nextInt(200);
      ExtentMap map = randomMap(random, count, random.nextInt(3));
      byte[] bytes = MapBlock.encode(map);
      MapBlock block = new MapBlock(bytes);
      assertEquals(map.size(), block.count());
      assertEquals(map, ExtentMap.of(block.cursor()));
      long end = map.end(map.size() - 1);
      for (int i = 0; i < 50; i++) {
        long from = (long) (random.nextDouble() * end);
        long to = from + (long) (random.nextDouble() * (end - from)) + random.nextInt(2);
        assertEquals(ExtentMap.of(map.cursor(from, to)), ExtentMap.of(block.cursor(from, to)));
      }
      for (int i = 0; i < map.size(); i += 1 + random.nextInt(20)) {
        long from = map.offset(i);
        assertEquals(
            ExtentMap.of(map.cursor(from, from + 1)), ExtentMap.of(block.cursor(from, from + 1)));
      }
    }
  }

  private static ExtentMap randomMap(Random random, int count, int spread) {
    ExtentMap.Builder builder = new ExtentMap.Builder(count);
    long offset = 0;
    for (int i = 0; i < count; i++) {
      long far = spread == 2 ? 1L << 45 : 1 << 20;
      offset += random.nextInt(3) == 0 ? 0 : random.nextLong(far);
      long end = offset + 1 + random.nextLong(spread == 1 ? 1L << 40 : 1 << 16);
      boolean zero = random.nextInt(4) == 0;
      long segment = (long) random.nextInt(1 << 30) << 32 | random.nextInt(1 << 20);
      builder.append(
          offset,
          end,
          1 + i + random.nextLong(1L << 40) * 8192,
          zero ? ExtentCursor.ZERO_SEGMENT : segment,
          zero ? 0 : random.nextInt(64 << 20),
          zero ? 0 : 4096 << random.nextInt(spread + 1));
      offset = end;
    }
    return builder.build();
  }

  @Test
  void shouldStayBelowTheBlockLimitWithTheWorstExtents() {
    ExtentMap.Builder builder = new ExtentMap.Builder(MapBlock.EXTENTS_MAX);
    for (int i = 0; i < MapBlock.EXTENTS_MAX; i++) {
      long offset = (1L << 50) * (i + 1);
      boolean odd = (i & 1) != 0;
      builder.append(
          offset,
          offset + (1L << 49),
          odd ? 1 : Long.MAX_VALUE / 4,
          odd ? 0 : Long.MAX_VALUE / 4,
          odd ? 0 : 64 << 20,
          1 + i);
    }
    assertTrue(MapBlock.encode(builder.build()).length < MapBlock.BYTES_MAX);
  }

  @Test
  void shouldRefuseMalformedBlocks() {
    assertThrows(IllegalArgumentException.class, () -> new MapBlock(new byte[] {0, 0, 0}));
    assertThrows(
        IllegalArgumentException.class, () -> new MapBlock(new byte[] {-1, -1, -1, 1, 0, 0}));
    assertThrows(IndexOutOfBoundsException.class, () -> new MapBlock(new byte[] {5}));
  }

  /** A coverage bitmap never hides content, and hides most of what is empty. */
  @Test
  void shouldNeverHideContent() {
    Random random = new Random(TestSeed.next("coverage"));
    int hidden = 0;
    for (int round = 0; round < 50; round++) {
      FencePage.Builder builder = new FencePage.Builder(0);
      ExtentMap map = randomMap(random, 1 + random.nextInt(30), random.nextInt(3));
      builder.add(map, 7);
      Varints.Out out = new Varints.Out(16);
      builder.build().encode(out);
      FencePage page = FencePage.decode(new Varints.In(out.toBytes(), 0));
      assertEquals(7, page.block(0));
      for (int i = 0; i < 200; i++) {
        long from = random.nextLong(map.end(map.size() - 1) + 10);
        long to = from + 1 + random.nextInt(10_000);
        boolean content = map.cursor(from, to).next();
        boolean mayCover = page.mayCover(0, from, to);
        assertTrue(mayCover || !content);
        hidden += mayCover ? 0 : 1;
      }
    }
    assertTrue(hidden > 500, "hidden: " + hidden);
  }
}
