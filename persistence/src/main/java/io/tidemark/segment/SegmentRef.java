package io.tidemark.segment;

import io.tidemark.position.VolumeId;

/**
 * Where a segment's data is stored.
 *
 * @param number {@code session << 32 | ordinal}: the volume's tap session and the segment's ordinal
 *     in it, so that a number is never used twice (S2) and what a broken session left behind is
 *     known by its number
 */
public record SegmentRef(VolumeId volume, long number) {
  /** Consecutive segments of a session that are stored, and deleted, together. */
  public static final int RUN_SEGMENTS = 16;

  /** Sessions from here on (unsigned) are those of compactions, not of taps. */
  public static final int COMPACTION_SESSIONS = Integer.MIN_VALUE;

  public static long number(int session, int ordinal) {
    return (long) session << 32 | (ordinal & 0xffff_ffffL);
  }

  public int session() {
    return (int) (number >>> 32);
  }

  public int ordinal() {
    return (int) number;
  }

  /** The run that the segment belongs to. */
  public int run() {
    return Integer.divideUnsigned(ordinal(), RUN_SEGMENTS);
  }
}
