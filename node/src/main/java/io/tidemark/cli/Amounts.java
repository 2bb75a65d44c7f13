package io.tidemark.cli;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes and durations as people write and read them. */
final class Amounts {
  private static final Pattern SIZE = Pattern.compile("([0-9]{1,18})\\s*([A-Za-z]*)");
  private static final Pattern SPAN = Pattern.compile("([0-9]{1,9})\\s*([smhdw])");
  private static final Map<String, Long> SPAN_SECONDS =
      Map.of("s", 1L, "m", 60L, "h", 3_600L, "d", 86_400L, "w", 604_800L);
  private static final String[] UNITS = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  private static final int UNIT_BITS = 10;
  private static final int SECTOR_BYTES = 512;

  private Amounts() {}

  /**
   * Reads a volume's size such as {@code 1GiB} or {@code 1073741824}.
   *
   * @throws IllegalArgumentException with a sentence when it is none, or no multiple of 512
   */
  static long volumeSize(String text) {
    long bytes = bytes(text);
    if (bytes <= 0 || bytes % SECTOR_BYTES != 0) {
      throw new IllegalArgumentException(
          "'" + text + "' is " + bytes + " bytes: a volume's size is a multiple of 512 above 0");
    }
    return bytes;
  }

  /**
   * Reads a number of bytes with an optional unit: B, KiB, MiB, GiB, TiB (powers of 1024, also K,
   * M, G, T) or kB, MB, GB, TB (powers of 1000).
   */
  static long bytes(String text) {
    Matcher form = SIZE.matcher(text.strip());
    if (!form.matches()) {
      throw new IllegalArgumentException(
          "'" + text + "' is no size: use a whole number with a unit, such as 1GiB or 512MiB");
    }
    long number = Long.parseLong(form.group(1));
    try {
      return Math.multiplyExact(number, unit(form.group(2), text));
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("'" + text + "' is more bytes than there can be", e);
    }
  }

  private static long unit(String unit, String text) {
    return switch (unit.toLowerCase(Locale.ROOT)) {
      case "", "b" -> 1;
      case "k", "kib" -> 1L << 10;
      case "m", "mib" -> 1L << 20;
      case "g", "gib" -> 1L << 30;
      case "t", "tib" -> 1L << 40;
      case "kb" -> 1_000;
      case "mb" -> 1_000_000;
      case "gb" -> 1_000_000_000;
      case "tb" -> 1_000_000_000_000L;
      default ->
          throw new IllegalArgumentException(
              "'" + text + "' has an unknown unit: use B, KiB, MiB, GiB, TiB, kB, MB, GB or TB");
    };
  }

  /** Such as {@code 1.5 GiB}; exact sizes without a fraction. */
  static String size(long bytes) {
    int unit = 0;
    while (unit + 1 < UNITS.length && bytes >> (UNIT_BITS * (unit + 1)) > 0) {
      unit++;
    }
    long scale = 1L << (UNIT_BITS * unit);
    return bytes % scale == 0
        ? bytes / scale + " " + UNITS[unit]
        : String.format(Locale.ROOT, "%.1f %s", (double) bytes / scale, UNITS[unit]);
  }

  /**
   * Reads a span of time such as {@code 90s}, {@code 30m}, {@code 48h}, {@code 14d} or {@code 2w},
   * in seconds.
   *
   * @throws IllegalArgumentException with a sentence when it is none
   */
  static long span(String text) {
    Matcher form = SPAN.matcher(text.strip());
    if (!form.matches()) {
      throw new IllegalArgumentException(
          "'"
              + text
              + "' is no span of time: use a whole number with s, m, h, d or w, such as 48h");
    }
    return Long.parseLong(form.group(1)) * SPAN_SECONDS.get(form.group(2));
  }

  /** The inverse: in the largest unit that divides it. */
  static String span(long seconds) {
    for (String unit : new String[] {"w", "d", "h", "m"}) {
      if (seconds > 0 && seconds % SPAN_SECONDS.get(unit) == 0) {
        return seconds / SPAN_SECONDS.get(unit) + unit;
      }
    }
    return seconds + "s";
  }

  /** Reads a duration such as {@code 30s}, {@code 15m}, {@code 1h} or {@code 7d}, in seconds. */
  static long duration(String text) {
    Matcher form = SIZE.matcher(text.strip());
    if (!form.matches()) {
      throw new IllegalArgumentException(
          "'" + text + "' is no duration: use a whole number with s, m, h or d, such as 15m");
    }
    long unit =
        switch (form.group(2)) {
          case "", "s" -> 1;
          case "m", "min" -> 60;
          case "h" -> 3_600;
          case "d" -> 86_400;
          default ->
              throw new IllegalArgumentException(
                  "'" + text + "' has an unknown unit: use s, m, h or d");
        };
    try {
      return Math.multiplyExact(Long.parseLong(form.group(1)), unit);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("'" + text + "' is longer than there can be", e);
    }
  }

  /** Such as {@code 0.3 s}, {@code 2 min 5 s} or {@code 3 h 20 min}. */
  static String seconds(double seconds) {
    if (seconds < 60) {
      return String.format(Locale.ROOT, "%.1f s", seconds);
    }
    long whole = Math.round(seconds);
    if (whole < 3_600) {
      return whole / 60 + " min " + whole % 60 + " s";
    }
    return whole / 3_600 + " h " + whole % 3_600 / 60 + " min";
  }

  /**
   * Reads a rate such as {@code 20Mbit} or {@code 2MB}, in bytes a second: kbit, Mbit and Gbit are
   * powers of 1000, else as {@link #bytes}; {@code 0} or {@code none} is no limit.
   */
  static long rate(String text) {
    if (text.strip().equalsIgnoreCase("none")) {
      return 0;
    }
    Matcher form = SIZE.matcher(text.strip());
    String unit = form.matches() ? form.group(2).toLowerCase(Locale.ROOT) : "";
    long bits =
        switch (unit) {
          case "bit" -> 1;
          case "kbit" -> 1_000;
          case "mbit" -> 1_000_000;
          case "gbit" -> 1_000_000_000;
          default -> 0;
        };
    try {
      return bits == 0
          ? bytes(text)
          : Math.multiplyExact(Long.parseLong(form.group(1)), bits) / Byte.SIZE;
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("'" + text + "' is faster than there can be", e);
    }
  }

  /** Such as {@code 20.0 Mbit/s}. */
  static String rate(long bytesPerSecond) {
    return bytesPerSecond == 0
        ? "unlimited"
        : String.format(Locale.ROOT, "%.1f Mbit/s", bytesPerSecond * 8 / 1e6);
  }
}
