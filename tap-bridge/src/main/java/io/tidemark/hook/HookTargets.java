package io.tidemark.hook;

import io.tidemark.hook.ApplicationSpec.FileSystem;
import io.tidemark.hook.ApplicationSpec.Scripts;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** What a guard works on, looked at before each use. */
final class HookTargets {
  /** In one directory. */
  static final int SCRIPTS_MAX = 64;

  /** What editors and package managers leave behind. */
  private static final Pattern LEFT_OVER =
      Pattern.compile(".*(~|\\.(bak|orig|rej|swp|sample|rpm(new|orig|save)|dpkg-.*|ucf-.*))");

  private static final Path MOUNTS = Path.of("/proc/self/mountinfo");
  private static final int MOUNT_POINT_FIELD = 4;

  private HookTargets() {}

  /**
   * The mount point, if it is one.
   *
   * @param own files of the tap, which must not lie there (H6)
   */
  static List<String> of(FileSystem spec, Set<Path> own) throws HookFailure {
    try {
      Path mountPoint = spec.mountPoint().toRealPath();
      if (!mounted(mountPoint)) {
        throw HookFailure.failed(
            spec.mountPoint() + " is no mount point now: what is below it would be frozen");
      }
      Object device = device(mountPoint);
      for (Path file : own) {
        if (Files.exists(file) && device.equals(device(file))) {
          throw HookFailure.failed(
              spec.mountPoint() + " holds " + file + " of the tap itself and cannot be frozen");
        }
      }
      return List.of(mountPoint.toString());
    } catch (IOException e) {
      throw HookFailure.failed(spec.mountPoint() + " cannot be looked at: " + e);
    }
  }

  private static Object device(Path path) throws IOException {
    return Files.getAttribute(path, "unix:dev");
  }

  private static boolean mounted(Path mountPoint) throws IOException {
    // A path may have bytes that are no UTF-8; Latin-1 keeps each as it is.
    for (String line : Files.readAllLines(MOUNTS, StandardCharsets.ISO_8859_1)) {
      String[] fields = line.split(" ");
      if (fields.length > MOUNT_POINT_FIELD
          && mountPoint.equals(Path.of(unescaped(fields[MOUNT_POINT_FIELD])))) {
        return true;
      }
    }
    return false;
  }

  /** The kernel writes blank, tab, newline and backslash as three octal digits. */
  private static String unescaped(String field) {
    byte[] bytes = new byte[field.length()];
    int length = 0;
    for (int i = 0; i < field.length(); i++) {
      char c = field.charAt(i);
      if (c == '\\' && i + 3 < field.length()) {
        bytes[length++] = (byte) Integer.parseInt(field.substring(i + 1, i + 4), 8);
        i += 3;
      } else {
        bytes[length++] = (byte) c;
      }
    }
    return new String(bytes, 0, length, StandardCharsets.UTF_8);
  }

  /** The scripts, in the order of their names; none that somebody else could have changed. */
  static List<String> of(Scripts spec) throws HookFailure {
    List<Path> found = new ArrayList<>();
    try {
      requireTrusted(spec.directory());
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(spec.directory())) {
        for (Path entry : entries) {
          String name = entry.getFileName().toString();
          if (!name.startsWith(".")
              && !LEFT_OVER.matcher(name).matches()
              && Files.isRegularFile(entry)
              && Files.isExecutable(entry)) {
            requireTrusted(entry);
            found.add(entry);
          }
        }
      }
    } catch (IOException e) {
      throw HookFailure.failed(spec.directory() + " cannot be read: " + e);
    }
    if (found.isEmpty() || found.size() > SCRIPTS_MAX) {
      throw HookFailure.failed(
          "%s holds %d executable scripts: 1 to %d are expected"
              .formatted(spec.directory(), found.size(), SCRIPTS_MAX));
    }
    return found.stream().sorted().map(Path::toString).toList();
  }

  private static void requireTrusted(Path path) throws IOException, HookFailure {
    Set<PosixFilePermission> mode = Files.getPosixFilePermissions(path);
    String owner = Files.getOwner(path).getName();
    boolean ours = owner.equals("root") || owner.equals(System.getProperty("user.name"));
    if (!ours
        || mode.contains(PosixFilePermission.GROUP_WRITE)
        || mode.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw HookFailure.failed(
          path + " could be changed by others than root and the tap's user: chown, chmod go-w");
    }
  }
}
