package io.tidemark.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tidemark.index.SegmentEntry;
import io.tidemark.segment.SegmentRef;
import io.tidemark.testsite.TestSite;
import java.util.List;
import org.junit.jupiter.api.Test;

class VolumeHistoriesTest {
  private static SegmentEntry entry(
      int session, int ordinal, long firstSeq, int writes, long event) {
    return new SegmentEntry(
        TestSite.segment(firstSeq, writes, firstSeq * 10),
        SegmentRef.number(session, ordinal),
        event);
  }

  /** Two entities journaled the same writes; the one of the newer session stands. */
  @Test
  void shouldLeaveOutWhatALaterSessionJournaledAnew() {
    SegmentEntry before = entry(1, 0, 1, 5, 10);
    SegmentEntry stale = entry(1, 1, 6, 4, 11);
    SegmentEntry staleToo = entry(1, 2, 10, 4, 12);
    SegmentEntry anew = entry(2, 0, 6, 2, 12);
    SegmentEntry next = entry(2, 1, 8, 9, 13);
    assertEquals(
        List.of(before, anew, next),
        VolumeHistories.withoutSuperseded(List.of(before, stale, staleToo, anew, next)));
    assertEquals(
        List.of(before, anew, next),
        VolumeHistories.withoutSuperseded(List.of(before, stale, anew, staleToo, next)));
  }

  /** The same session went on at another node and sent the same segment again. */
  @Test
  void shouldKeepOneOfARepeatedSegment() {
    SegmentEntry before = entry(1, 0, 1, 5, 10);
    SegmentEntry stale = entry(1, 1, 6, 4, 11);
    SegmentEntry again = entry(1, 1, 6, 4, 11);
    assertEquals(
        List.of(before, again), VolumeHistories.withoutSuperseded(List.of(before, stale, again)));
  }
}
