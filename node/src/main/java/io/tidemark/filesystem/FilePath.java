package io.tidemark.filesystem;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Where a file is in its file system: absolute, components between slashes.
 *
 * @param raw its bytes, one character each
 */
public record FilePath(String raw) {
  public static final int BYTES_MAX = 4_096;
  public static final FilePath ROOT = new FilePath("/");
  private static final String UNRESERVED = "-._~/";
  private static final String HEX = "0123456789ABCDEF";

  /**
   * @throws Refusal {@code INVALID} for a path that is not absolute or holds a zero byte, {@code
   *     LIMIT} for one that is too long
   */
  public FilePath {
    if (raw.length() > BYTES_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT, "the path is longer than the limit of " + BYTES_MAX + " bytes");
    }
    if (!raw.startsWith("/") || raw.indexOf('\0') >= 0) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'"
              + Refusal.printable(shown(raw))
              + "' is no path of a file: give one from the file system's root on, such as /etc/fstab");
    }
  }

  /** The names on the way; empty ones are left out. */
  List<String> components() {
    return components(raw);
  }

  static List<String> components(String raw) {
    return List.of(raw.split("/")).stream().filter(part -> !part.isEmpty()).toList();
  }

  /** The path of a name in this directory. */
  public FilePath resolve(String rawName) {
    return new FilePath(raw.endsWith("/") ? raw + rawName : raw + "/" + rawName);
  }

  /** Percent-encoded: every byte survives, whatever the encoding. */
  public String encoded() {
    return encoded(raw);
  }

  /** Percent-encodes raw bytes; slashes stay. */
  public static String encoded(String raw) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < raw.length(); i++) {
      char c = raw.charAt(i);
      boolean plain =
          (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || UNRESERVED.indexOf(c) >= 0;
      if (plain) {
        text.append(c);
      } else {
        text.append('%').append(HEX.charAt((c >> 4) & 15)).append(HEX.charAt(c & 15));
      }
    }
    return text.toString();
  }

  /** Raw bytes as text to look at: UTF-8, with U+FFFD for what is none. */
  public static String shown(String raw) {
    return new String(raw.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
  }

  /** As {@link #shown(String)}. */
  public String shown() {
    return shown(raw);
  }
}
