package io.tidemark.cassandra;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The right to use a data directory, held by one process at a time (K4). The operating system gives
 * it back when the process dies, however it dies.
 */
final class DataDirectoryLock implements AutoCloseable {
  private static final int PID_CHARS_MAX = 20;

  /**
   * Held by this JVM. Closing any channel of a locked file would give the lock back, so a second
   * attempt of the same process must not even open it.
   */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path file;
  private final FileChannel channel;

  private DataDirectoryLock(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * @throws Refusal {@code BUSY} that names the process that holds it
   */
  static DataDirectoryLock take(Path directory) throws IOException {
    Path file = directory.toRealPath().resolve("lock");
    if (!HELD.add(file)) {
      throw busy(directory, Long.toString(ProcessHandle.current().pid()));
    }
    FileChannel channel = null;
    boolean taken = false;
    try {
      channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      if (channel.tryLock() == null) {
        throw busy(directory, Files.readString(file).strip());
      }
      byte[] pid = (ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII);
      channel.truncate(0);
      channel.write(ByteBuffer.wrap(pid), 0);
      taken = true;
      return new DataDirectoryLock(file, channel);
    } finally {
      if (!taken) {
        if (channel != null) {
          channel.close();
        }
        HELD.remove(file);
      }
    }
  }

  private static Refusal busy(Path directory, String pid) {
    String holder = pid.length() <= PID_CHARS_MAX ? pid : "?";
    return new Refusal(
        ErrorCode.BUSY,
        "the data directory %s is in use by the process %s; stop that node, or give this one"
                .formatted(directory, Refusal.printable(holder))
            + " another --data");
  }

  @Override
  public void close() throws IOException {
    channel.close();
    HELD.remove(file);
  }
}
