package io.tidemark.capture;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** The file of an activity log, as far as it needs one. */
interface LogFile extends AutoCloseable {
  /** Reads some bytes from {@code position} on; -1 at the end. */
  int read(ByteBuffer into, long position) throws IOException;

  int write(ByteBuffer from, long position) throws IOException;

  /** Returns once everything written survives power loss. */
  void force() throws IOException;

  long size() throws IOException;

  @Override
  void close() throws IOException;

  static LogFile of(FileChannel channel) {
    return new LogFile() {
      @Override
      public int read(ByteBuffer into, long position) throws IOException {
        return channel.read(into, position);
      }

      @Override
      public int write(ByteBuffer from, long position) throws IOException {
        return channel.write(from, position);
      }

      @Override
      public void force() throws IOException {
        channel.force(false);
      }

      @Override
      public long size() throws IOException {
        return channel.size();
      }

      @Override
      public void close() throws IOException {
        channel.close();
      }
    };
  }
}
