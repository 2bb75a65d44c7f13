package io.tidemark.nbd.protocol;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The byte stream of one client, plain or encrypted, blocking. One thread reads at a time, one
 * writes at a time; closing ends both.
 */
public interface Transport {
  /**
   * Waits for bytes and takes what there is.
   *
   * @return bytes read, -1 at the end of the stream
   */
  int read(ByteBuffer into) throws IOException;

  /** Writes the first {@code count} buffers whole. */
  void write(ByteBuffer[] from, int count) throws IOException;

  /** Makes a waiting and every later read see the end of the stream; from any thread. */
  void endInput();

  /** Closes the socket; from any thread, repeatable. */
  void close();

  /** Waits until the buffer is full. */
  default void readFully(ByteBuffer into) throws IOException {
    while (into.hasRemaining()) {
      if (read(into) < 0) {
        throw new EOFException("the client closed the connection in the middle of a message");
      }
    }
  }
}
