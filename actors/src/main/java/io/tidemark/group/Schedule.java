package io.tidemark.group;

import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;

/**
 * Tags that a group takes by itself.
 *
 * @param name unique in its group
 * @param everySeconds 1 to 86 400
 * @param keepSeconds how long a tag is kept, 0 for ever
 * @param pattern name of each tag; {@code {time}} stands for when it is asked for
 * @param application whether applications are quiesced
 * @param applications which, empty for all
 */
public record Schedule(
    String name,
    int everySeconds,
    long keepSeconds,
    String pattern,
    boolean application,
    List<String> applications) {
  public static final int EVERY_SECONDS_MAX = 86_400;

  private static final String TIME = "{time}";

  public Schedule {
    applications = List.copyOf(applications);
  }

  /** Refuses by {@code INVALID} what cannot be carried out. */
  Schedule checked() {
    Names.check("schedule", name);
    if (everySeconds < 1 || everySeconds > EVERY_SECONDS_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a schedule takes a tag every 1 to %d seconds, not every %d"
              .formatted(EVERY_SECONDS_MAX, everySeconds));
    }
    if (keepSeconds < 0 || (keepSeconds > 0 && keepSeconds < everySeconds)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a tag is kept for at least the %d seconds until the next, or for ever (0); not %d"
              .formatted(everySeconds, keepSeconds));
    }
    if (!pattern.contains(TIME)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "the pattern '%s' gives all tags one name; put {time} into it"
              .formatted(Refusal.printable(pattern)));
    }
    Names.check("tag", tagName(0));
    return this;
  }

  /** Name of the tag asked for at that time. */
  String tagName(long micros) {
    String time = new MicroTime(micros).toString().replace("-", "").replace(":", "");
    return pattern.replace(TIME, time);
  }
}
