package io.tidemark.http;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.Throttle.Window;
import java.time.DayOfWeek;
import java.time.format.TextStyle;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Windows of a throttle as text: {@code Mon-Fri 08:00-18:00=625000}, in UTC and bytes a second. */
final class Windows {
  private static final Pattern FORM =
      Pattern.compile(
          "([A-Za-z,-]{3,40}) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})=([0-9]{1,18})");

  private static final int HOUR_MINUTES = 60;

  private Windows() {}

  /**
   * @throws Refusal {@code INVALID} for text of another form
   */
  static Window parse(String text) {
    Matcher form = FORM.matcher(text.strip());
    if (!form.matches()) {
      throw wrong(text);
    }
    return new Window(
        days(form.group(1), text),
        minute(form.group(2), form.group(3)),
        minute(form.group(4), form.group(5)),
        Long.parseLong(form.group(6)));
  }

  private static int minute(String hours, String minutes) {
    return Integer.parseInt(hours) * HOUR_MINUTES + Integer.parseInt(minutes);
  }

  private static List<DayOfWeek> days(String names, String text) {
    List<DayOfWeek> days = new ArrayList<>();
    for (String part : names.split(",", -1)) {
      String[] ends = part.split("-", -1);
      DayOfWeek day = day(ends[0], text);
      DayOfWeek last = ends.length == 1 ? day : day(ends[1], text);
      if (ends.length > 2) {
        throw wrong(text);
      }
      days.add(day);
      while (day != last) {
        day = day.plus(1);
        days.add(day);
      }
    }
    return days.stream().distinct().sorted().toList();
  }

  private static DayOfWeek day(String name, String text) {
    for (DayOfWeek day : DayOfWeek.values()) {
      if (name(day).equalsIgnoreCase(name)) {
        return day;
      }
    }
    throw wrong(text);
  }

  private static String name(DayOfWeek day) {
    return day.getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
  }

  private static Refusal wrong(String text) {
    return new Refusal(
        ErrorCode.INVALID,
        "'%s' is no window: use days, times in UTC and bytes a second, such as 'Mon-Fri 08:00-18:00=625000'"
            .formatted(Refusal.printable(text)));
  }

  static String text(Window window) {
    List<String> days = window.days().stream().map(Windows::name).toList();
    return "%s %02d:%02d-%02d:%02d=%d"
        .formatted(
            String.join(",", days),
            window.fromMinute() / HOUR_MINUTES,
            window.fromMinute() % HOUR_MINUTES,
            window.toMinute() / HOUR_MINUTES,
            window.toMinute() % HOUR_MINUTES,
            window.bytesPerSecond());
  }
}
