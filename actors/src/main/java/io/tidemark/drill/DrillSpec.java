package io.tidemark.drill;

import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What a drill does.
 *
 * @param at the point to open each time, such as {@code latest}
 * @param check {@code fsck}, {@code postgresql} or {@code command}
 * @param arguments of the check, as it says
 * @param everySeconds from one beginning to the next; 0 for by hand only
 * @param limitSeconds a check that takes longer is ended and has failed
 */
public record DrillSpec(
    String name,
    VolumeName volume,
    String at,
    String check,
    List<String> arguments,
    long everySeconds,
    long limitSeconds) {
  public static final List<String> CHECKS = List.of("fsck", "postgresql", "command");
  public static final int ARGUMENTS_MAX = 16;
  public static final int ARGUMENT_CHARS_MAX = 1_000;
  public static final long EVERY_SECONDS_MIN = 5;
  public static final long EVERY_SECONDS_MAX = 366L * 24 * 3600;
  public static final long LIMIT_SECONDS_MAX = 24L * 3600;
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");

  public DrillSpec {
    arguments = List.copyOf(arguments);
  }

  /** Refuses with {@code INVALID} what is wrong in it. */
  public DrillSpec checked() {
    if (!NAME.matcher(name).matches()) {
      throw invalid(
          "'"
              + Refusal.printable(name)
              + "' is no name of a drill: use 1 to 64 letters, digits, '.', '_' or '-'");
    }
    At.parse(at);
    if (!CHECKS.contains(check)) {
      throw invalid(
          "there is no check '" + Refusal.printable(check) + "': use " + String.join(", ", CHECKS));
    }
    if (arguments.size() > ARGUMENTS_MAX
        || arguments.stream().anyMatch(argument -> argument.length() > ARGUMENT_CHARS_MAX)) {
      throw invalid(
          "a check has at most %d arguments of %d characters"
              .formatted(ARGUMENTS_MAX, ARGUMENT_CHARS_MAX));
    }
    if (check.equals("command") && arguments.isEmpty()) {
      throw invalid("the check 'command' needs the name of a program as its first argument");
    }
    if (everySeconds != 0
        && (everySeconds < EVERY_SECONDS_MIN || everySeconds > EVERY_SECONDS_MAX)) {
      throw invalid(
          "every %d s is no schedule: use %d to %d, or 0 for by hand only"
              .formatted(everySeconds, EVERY_SECONDS_MIN, EVERY_SECONDS_MAX));
    }
    if (limitSeconds < 1 || limitSeconds > LIMIT_SECONDS_MAX) {
      throw invalid(
          "a check may take 1 to %d s, not %d".formatted(LIMIT_SECONDS_MAX, limitSeconds));
    }
    return this;
  }

  private static Refusal invalid(String sentence) {
    return new Refusal(ErrorCode.INVALID, sentence);
  }
}
