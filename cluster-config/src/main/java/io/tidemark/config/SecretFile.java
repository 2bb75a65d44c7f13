package io.tidemark.config;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;

/**
 * A password or token in a file of its own: never on a command line or in a settings file, where
 * others could read it (C2).
 */
public final class SecretFile {
  private static final int BYTES_MAX = 4096;
  private static final Set<PosixFilePermission> OWNERS =
      EnumSet.of(
          PosixFilePermission.OWNER_READ,
          PosixFilePermission.OWNER_WRITE,
          PosixFilePermission.OWNER_EXECUTE);

  private SecretFile() {}

  /**
   * Reads the first line.
   *
   * @param setting names the file in messages
   * @throws Refusal {@code INVALID} for a file that cannot be read, is empty or longer than 4096
   *     bytes; {@code FORBIDDEN} for one that others can read. A file of root may be readable for
   *     its group, as service managers and PostgreSQL have it.
   */
  public static String firstLine(Path path, String setting) {
    try {
      PosixFileAttributes attributes = Files.readAttributes(path, PosixFileAttributes.class);
      requireOwn(path, setting, attributes);
      if (!attributes.isRegularFile() || attributes.size() > BYTES_MAX) {
        throw new Refusal(
            ErrorCode.INVALID,
            "%s: '%s' is no file of at most %d bytes: put the secret into its first line"
                .formatted(setting, Refusal.printable(path.toString()), BYTES_MAX));
      }
      String line = Files.readString(path).lines().findFirst().orElse("");
      if (line.isEmpty()) {
        throw new Refusal(
            ErrorCode.INVALID,
            "%s: '%s' is empty: put the secret into its first line"
                .formatted(setting, Refusal.printable(path.toString())));
      }
      return line;
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s: '%s' cannot be read: name a file with the secret in its first line"
              .formatted(setting, Refusal.printable(path.toString())),
          e);
    }
  }

  private static void requireOwn(Path path, String setting, PosixFileAttributes attributes) {
    Set<PosixFilePermission> others = EnumSet.copyOf(attributes.permissions());
    others.removeAll(OWNERS);
    if (attributes.owner().getName().equals("root")) {
      others.remove(PosixFilePermission.GROUP_READ);
    }
    if (!others.isEmpty()) {
      throw new Refusal(
          ErrorCode.FORBIDDEN,
          "%s: '%s' is open to others (%s), and a secret is nobody else's: chmod 600 %s"
              .formatted(
                  setting,
                  Refusal.printable(path.toString()),
                  PosixFilePermissions.toString(attributes.permissions()),
                  Refusal.printable(path.toString())));
    }
  }
}
