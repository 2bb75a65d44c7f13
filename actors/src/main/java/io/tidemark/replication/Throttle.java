package io.tidemark.replication;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.DayOfWeek;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.List;

/**
 * How fast a link may send: a rate, and other rates in windows of the week, in UTC; the first
 * window that is open counts.
 *
 * @param bytesPerSecond outside all windows; 0 for no limit
 */
public record Throttle(long bytesPerSecond, List<Window> windows) {
  public static final Throttle NONE = new Throttle(0, List.of());

  /** Windows of one link. */
  public static final int WINDOWS_MAX = 32;

  /** The slowest that a link may be made: slower it would not get a segment through. */
  public static final long RATE_MIN = 1_000;

  private static final int DAY_MINUTES = 24 * 60;

  /**
   * A part of each of some days.
   *
   * @param days the days on which it begins
   * @param fromMinute of the day
   * @param toMinute of the day, at or before {@code fromMinute} for one that ends the next day
   * @param bytesPerSecond inside it; 0 for no limit
   */
  public record Window(List<DayOfWeek> days, int fromMinute, int toMinute, long bytesPerSecond) {
    boolean open(ZonedDateTime now) {
      int minute = now.getHour() * 60 + now.getMinute();
      boolean today = days.contains(now.getDayOfWeek());
      if (fromMinute < toMinute) {
        return today && minute >= fromMinute && minute < toMinute;
      }
      boolean yesterday = days.contains(now.getDayOfWeek().minus(1));
      return today && minute >= fromMinute || yesterday && minute < toMinute;
    }
  }

  public Throttle {
    windows = List.copyOf(windows);
  }

  /**
   * @throws Refusal {@code INVALID} for what cannot be
   */
  public Throttle checked() {
    check(bytesPerSecond == 0 || bytesPerSecond >= RATE_MIN, "a rate is 0 or at least 8 kbit/s");
    check(windows.size() <= WINDOWS_MAX, "a link has at most " + WINDOWS_MAX + " windows");
    for (Window window : windows) {
      check(!window.days().isEmpty(), "a window has at least one day");
      check(
          window.fromMinute() >= 0
              && window.fromMinute() < DAY_MINUTES
              && window.toMinute() >= 0
              && window.toMinute() <= DAY_MINUTES,
          "a window is between 00:00 and 24:00");
      check(
          window.bytesPerSecond() == 0 || window.bytesPerSecond() >= RATE_MIN,
          "a rate is 0 or at least 8 kbit/s");
    }
    return this;
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new Refusal(ErrorCode.INVALID, otherwise);
    }
  }

  /** Bytes a second at that time, 0 for no limit. */
  public long rateAt(long micros) {
    ZonedDateTime now = Instant.ofEpochSecond(micros / 1_000_000).atZone(ZoneOffset.UTC);
    return windows.stream()
        .filter(window -> window.open(now))
        .findFirst()
        .map(Window::bytesPerSecond)
        .orElse(bytesPerSecond);
  }
}
