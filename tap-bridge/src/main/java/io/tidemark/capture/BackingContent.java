package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/** The backing store as capture needs it: to compare it with the journal, and to sync it. */
public interface BackingContent {
  /** Fills {@code into} from {@code offset} on; a hole reads as zeroes. */
  void read(long offset, ByteBuffer into) throws IOException;

  /** What may hold anything but zeroes, in offset order; the whole store when it cannot tell. */
  List<ByteRange> allocated() throws IOException;

  /** Returns once every write that was done before the call survives power loss. */
  void sync() throws IOException;

  /**
   * Keeps writes off a range: waits for those under way and holds back new ones until the lock is
   * closed. It is the lock under which the write path calls {@link CaptureSink}.
   */
  RangeLock lock(ByteRange range) throws InterruptedException;

  /**
   * Bytes that the journal holds and the store does not yet; what is read is right all the same.
   */
  default long unfilledBytes() {
    return 0;
  }

  /** A held range. */
  @FunctionalInterface
  interface RangeLock extends AutoCloseable {
    @Override
    void close();
  }
}
