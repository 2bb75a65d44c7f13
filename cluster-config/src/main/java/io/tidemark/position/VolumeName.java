package io.tidemark.position;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.regex.Pattern;

/**
 * The name that a person gives to a volume; also its NBD export name.
 *
 * @param value 1 to 64 characters: letters, digits, {@code . _ -}, beginning with a letter or digit
 */
public record VolumeName(String value) implements Comparable<VolumeName> {
  public static final int LENGTH_MAX = 64;
  private static final Pattern FORM = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");

  /** Refuses with {@link ErrorCode#INVALID} when the name is not of the form above. */
  public VolumeName {
    if (!FORM.matcher(value).matches()) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'"
              + Refusal.printable(value)
              + "' is no name: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a"
              + " letter or digit");
    }
  }

  @Override
  public int compareTo(VolumeName other) {
    return value.compareTo(other.value);
  }

  @Override
  public String toString() {
    return value;
  }
}
