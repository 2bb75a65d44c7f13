package io.tidemark.group;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.regex.Pattern;

/** The form of the names of groups, schedules and tags. */
public final class Names {
  private static final Pattern FORM = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}");

  private Names() {}

  /**
   * Gives the name back.
   *
   * @param what of which it is the name, for the refusal
   * @throws Refusal INVALID when it has another form
   */
  public static String check(String what, String name) {
    if (!FORM.matcher(name).matches()) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'%s' is no name for a %s: use 1 to 128 letters, digits, '.', '_', ':', '+', '-', the first a letter or digit"
              .formatted(Refusal.printable(name), what));
    }
    return name;
  }
}
