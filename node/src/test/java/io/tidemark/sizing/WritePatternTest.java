package io.tidemark.sizing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import org.junit.jupiter.api.Test;

/** What a steady pattern of overwrites needs can be computed by hand. */
class WritePatternTest {
  private static final long SECOND = 1_000_000;
  private static final int SEGMENTS = 20_000;
  private static final int WRITE_BYTES = 4096;

  /** A write a second over 1000 blocks in turn, stored at half its size. */
  private static WritePattern steady() {
    WritePattern pattern = new WritePattern(1L << 30);
    for (int i = 0; i < SEGMENTS; i++) {
      SegmentMeta meta =
          new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(i + 1L), WRITE_BYTES)
              .add(i * SECOND, (long) (i % 1_000) * WRITE_BYTES, WRITE_BYTES, false)
              .build(new int[1]);
      pattern.add(meta, WRITE_BYTES / 2);
    }
    return pattern;
  }

  @Test
  void shouldTellWhatASteadyPatternNeeds() {
    WritePattern pattern = steady();
    assertEquals(SEGMENTS, pattern.writes());
    assertEquals(1_000L * WRITE_BYTES, pattern.writtenBytes());
    WritePattern.Need need = pattern.need(5_000 * SECOND);
    assertFalse(need.extrapolated());
    // The window's 5000 writes, and the 1000 blocks that live below it; at most twice those.
    assertNear(6_000L * WRITE_BYTES / 2, need.typicalBytes());
    assertNear(7_000L * WRITE_BYTES / 2, need.peakBytes());
  }

  @Test
  void shouldExtrapolateALongerWindowAndSaySo() {
    WritePattern.Need need = steady().need(10L * SEGMENTS * SECOND);
    assertTrue(need.extrapolated());
    assertNear((10L * SEGMENTS + 1_000) * WRITE_BYTES / 2, need.typicalBytes());
  }

  @Test
  void shouldInvertWhatItTells() {
    WritePattern pattern = steady();
    long bytes = pattern.need(3_000 * SECOND).peakBytes();
    assertNear(3_000 * SECOND, pattern.windowFor(bytes, 1_000_000 * SECOND));
    assertEquals(0, pattern.windowFor(1, 1_000_000 * SECOND));
  }

  /** What the journal held before the recording counts, but never beyond the volume. */
  @Test
  void shouldCountWhatWasThereBefore() {
    WritePattern pattern = steady();
    long before = pattern.need(5_000 * SECOND).typicalBytes();
    pattern.startWith(1 << 20);
    assertNear(before + (1 << 20), pattern.need(5_000 * SECOND).typicalBytes());
  }

  private static void assertNear(long expected, long actual) {
    assertTrue(Math.abs(expected - actual) <= expected / 20, expected + " is not near " + actual);
  }
}
