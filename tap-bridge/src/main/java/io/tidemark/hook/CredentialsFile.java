package io.tidemark.hook;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * A file with a password: PostgreSQL's {@code .pgpass} or an option file of MariaDB and MySQL. The
 * client reads it; here it is read only to keep what is secret out of outputs (H5).
 */
record CredentialsFile(Path path) {
  static final long BYTES_MAX = 64 << 10;
  private static final Set<PosixFilePermission> OWNERS =
      EnumSet.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);
  private static final int PGPASS_FIELDS = 5;

  /**
   * Refuses with INVALID a file that is none, is too long, or that others than its owner may use.
   */
  CredentialsFile {
    try {
      if (!Files.isRegularFile(path) || Files.size(path) > BYTES_MAX) {
        throw new Refusal(
            ErrorCode.INVALID,
            path + " is no file of at most " + BYTES_MAX + " bytes: name one with the credentials");
      }
      if (!OWNERS.containsAll(Files.getPosixFilePermissions(path))) {
        throw new Refusal(
            ErrorCode.INVALID,
            path + " holds a password and others may read it: chmod 0600 " + path);
      }
    } catch (IOException e) {
      throw new Refusal(ErrorCode.INVALID, path + " cannot be looked at: " + e.getMessage(), e);
    }
  }

  /** Every password in it, longest first. */
  List<String> secrets() throws IOException {
    List<String> secrets = new ArrayList<>();
    for (String line : Files.readString(path, StandardCharsets.ISO_8859_1).split("\n")) {
      String text = line.strip();
      if (text.isEmpty() || text.startsWith("#") || text.startsWith(";")) {
        continue;
      }
      int equals = text.indexOf('=');
      String key = equals < 0 ? "" : text.substring(0, equals).strip().toLowerCase(Locale.ROOT);
      if (key.startsWith("pass")) {
        add(secrets, unquoted(text.substring(equals + 1).strip()));
      }
      List<String> fields = pgpassFields(text);
      if (fields.size() == PGPASS_FIELDS) {
        add(secrets, fields.get(PGPASS_FIELDS - 1));
      }
    }
    secrets.sort(Comparator.comparing(String::length).reversed());
    return secrets;
  }

  private static void add(List<String> secrets, String secret) {
    if (!secret.isEmpty()) {
      secrets.add(new String(secret.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8));
    }
  }

  private static String unquoted(String value) {
    boolean quoted =
        value.length() >= 2
            && (value.startsWith("'") || value.startsWith("\""))
            && value.charAt(0) == value.charAt(value.length() - 1);
    return quoted ? value.substring(1, value.length() - 1) : value;
  }

  /** Host, port, data base, user, password; a backslash takes the meaning of what follows. */
  private static List<String> pgpassFields(String line) {
    List<String> fields = new ArrayList<>();
    StringBuilder field = new StringBuilder();
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '\\' && i + 1 < line.length()) {
        field.append(line.charAt(++i));
      } else if (c == ':' && fields.size() < PGPASS_FIELDS - 1) {
        fields.add(field.toString());
        field.setLength(0);
      } else {
        field.append(c);
      }
    }
    fields.add(field.toString());
    return fields;
  }
}
