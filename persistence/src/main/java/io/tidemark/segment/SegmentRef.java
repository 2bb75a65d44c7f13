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
  public static long number(int session, int ordinal) {
    return (long) session << 32 | (ordinal & 0xffff_ffffL);
  }

  public int session() {
    return (int) (number >>> 32);
  }

  public int ordinal() {
    return (int) number;
  }
}
