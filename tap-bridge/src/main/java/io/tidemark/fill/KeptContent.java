package io.tidemark.fill;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where content of a backing store goes that may be nowhere else, before it is overwritten: a
 * sparse file of the volume's size with the blocks at their places. Nothing ever deletes it but
 * people. Thread-safe.
 */
final class KeptContent implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(KeptContent.class);

  private final String volume;
  private final Path file;
  private FileChannel channel;

  KeptContent(String volume, Path directory, long epoch) {
    this.volume = volume;
    this.file = directory.resolve(fileName(epoch));
  }

  static String fileName(long epoch) {
    return "kept-before-epoch-" + epoch + ".img";
  }

  synchronized void write(long offset, ByteBuffer content) throws IOException {
    if (channel == null) {
      boolean news = !Files.exists(file);
      channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      if (news) {
        log.warn(
            "volume {}: the backing store held content that the journal may not have; it is kept in {}",
            volume,
            file);
      }
    }
    ByteBuffer rest = content.duplicate();
    long at = offset;
    while (rest.hasRemaining()) {
      at += channel.write(rest, at);
    }
  }

  /** Returns once all of it is on stable storage. */
  synchronized void sync() throws IOException {
    if (channel != null) {
      channel.force(true);
    }
  }

  @Override
  public synchronized void close() throws IOException {
    if (channel != null) {
      channel.close();
    }
  }
}
