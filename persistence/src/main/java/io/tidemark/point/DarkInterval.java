package io.tidemark.point;

/**
 * A span without recovery points: capture was lost and resynchronised (J5).
 *
 * @param fromSeq first seq without a recovery point; {@code fromSeq - 1} is the nearest before
 * @param toSeq last seq without one; {@code toSeq + 1} is the nearest after, {@code Long.MAX_VALUE}
 *     while the resynchronisation runs
 * @param fromTimeMicros when the last point before was written
 * @param toTimeMicros when the first point after was written, {@code Long.MAX_VALUE} while open
 * @param reason why capture was lost, in words
 */
public record DarkInterval(
    long fromSeq, long toSeq, long fromTimeMicros, long toTimeMicros, String reason) {
  /** Whether the resynchronisation still runs. */
  public boolean open() {
    return toSeq == Long.MAX_VALUE;
  }
}
