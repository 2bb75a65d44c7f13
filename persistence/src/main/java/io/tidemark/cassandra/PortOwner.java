package io.tidemark.cassandra;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Says which process listens on a TCP port, from /proc; for messages only. */
final class PortOwner {
  private static final String LISTEN = "0A";
  private static final int LOCAL_ADDRESS = 1;
  private static final int STATE = 3;
  private static final int INODE = 9;

  private PortOwner() {}

  /** Such as {@code the process 4711 (java)}; {@code another process} when /proc does not tell. */
  static String describe(int port) {
    try {
      Set<String> sockets = sockets(port);
      try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[1-9]*")) {
        for (Path process : processes) {
          if (holds(process, sockets)) {
            return "the process %s (%s)"
                .formatted(
                    process.getFileName(), Files.readString(process.resolve("comm")).strip());
          }
        }
      }
      return "another process";
    } catch (IOException | UncheckedIOException e) {
      return "another process";
    }
  }

  private static Set<String> sockets(int port) throws IOException {
    Set<String> sockets = new HashSet<>();
    for (Path table : List.of(Path.of("/proc/net/tcp"), Path.of("/proc/net/tcp6"))) {
      if (!Files.isReadable(table)) {
        continue;
      }
      for (String line : Files.readAllLines(table)) {
        String[] fields = line.strip().split("\\s+");
        if (fields.length > INODE
            && fields[STATE].equals(LISTEN)
            && fields[LOCAL_ADDRESS].endsWith(":%04X".formatted(port))) {
          sockets.add("socket:[" + fields[INODE] + "]");
        }
      }
    }
    return sockets;
  }

  private static boolean holds(Path process, Set<String> sockets) {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(process.resolve("fd"))) {
      for (Path file : files) {
        if (Files.isSymbolicLink(file)
            && sockets.contains(Files.readSymbolicLink(file).toString())) {
          return true;
        }
      }
      return false;
    } catch (IOException | UncheckedIOException | java.nio.file.DirectoryIteratorException e) {
      // Processes of other users, and those that end while they are looked at.
      return false;
    }
  }
}
