package io.tidemark.position;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/**
 * A hybrid logical timestamp: wall-clock time that never repeats or goes back within one volume.
 *
 * @param micros microseconds since 1970-01-01T00:00:00Z
 */
public record MicroTime(long micros) implements Comparable<MicroTime> {
  public static final MicroTime ZERO = new MicroTime(0);

  public static MicroTime of(Instant instant) {
    long seconds = Math.multiplyExact(instant.getEpochSecond(), 1_000_000L);
    return new MicroTime(Math.addExact(seconds, instant.getNano() / 1_000));
  }

  /**
   * Reads an ISO-8601 instant of up to microseconds, such as {@code 2026-01-31T12:00:00.000001Z}.
   *
   * @throws DateTimeException when the text is no ISO-8601 instant or lies outside the range
   */
  public static MicroTime parse(String iso) {
    try {
      return of(java.time.OffsetDateTime.parse(iso).toInstant());
    } catch (ArithmeticException e) {
      throw new DateTimeException("out of range: " + iso, e);
    }
  }

  public Instant toInstant() {
    return Instant.EPOCH.plus(micros, ChronoUnit.MICROS);
  }

  @Override
  public int compareTo(MicroTime other) {
    return Long.compare(micros, other.micros);
  }

  /** ISO-8601 in UTC, to the microsecond. */
  @Override
  public String toString() {
    return toInstant().toString();
  }
}
