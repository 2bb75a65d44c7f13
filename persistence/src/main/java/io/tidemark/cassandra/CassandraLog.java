package io.tidemark.cassandra;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;

/** The end of the embedded Cassandra's log: what a refusal shows of it. */
final class CassandraLog {
  private static final int READ_BYTES_MAX = 256 << 10;
  private static final int LINES_SHOWN = 4;
  private static final int LINE_CHARS_MAX = 240;

  private final Path directory;
  private volatile long markedAt;

  CassandraLog(Path directory) {
    this.directory = directory;
  }

  Path file() {
    return directory.resolve("cassandra.log");
  }

  /** Standard output and error: what is said before logging works. */
  Path console() {
    return directory.resolve("console.log");
  }

  /** What was logged before now is not the reason of what happens next. */
  void mark() throws IOException {
    markedAt = Files.exists(file()) ? Files.size(file()) : 0;
  }

  /** The last lines since the mark that tell of errors, and where to read more. */
  String reason() {
    try {
      String lines = complaints(since(file(), markedAt), false);
      if (lines.isEmpty()) {
        lines = complaints(since(console(), 0), true);
      }
      return "%s (see %s and %s)".formatted(lines.isEmpty() ? "nothing" : lines, file(), console());
    } catch (IOException e) {
      return "%s, which cannot be read: %s".formatted(file(), e);
    }
  }

  private static String complaints(String text, boolean any) {
    Deque<String> last = new ArrayDeque<>();
    for (String line : text.split("\n")) {
      boolean complaint =
          line.contains(" ERROR ")
              || line.startsWith("Caused by:")
              || line.matches("^\\S*(Exception|Error):.*");
      if ((any && !line.isBlank()) || complaint) {
        last.add(line.length() <= LINE_CHARS_MAX ? line : line.substring(0, LINE_CHARS_MAX));
        if (last.size() > LINES_SHOWN) {
          last.remove();
        }
      }
    }
    return String.join(" | ", last);
  }

  private static String since(Path path, long from) throws IOException {
    if (!Files.exists(path)) {
      return "";
    }
    try (FileChannel channel = FileChannel.open(path)) {
      long size = channel.size();
      long begin = Math.max(from <= size ? from : 0, size - READ_BYTES_MAX);
      ByteBuffer bytes = ByteBuffer.allocate((int) (size - begin));
      int read = 0;
      while (read >= 0 && bytes.hasRemaining()) {
        read = channel.read(bytes, begin + bytes.position());
      }
      return new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8);
    }
  }
}
