package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import java.io.IOException;

/**
 * Where a tap's write path hands its writes over. For each request that changes the volume the
 * write path calls, while it holds the lock of the request's range: {@link #beforeWrite}, then the
 * backing store, then exactly one of {@link #wrote}, {@link #zeroed} or {@link #failed}.
 */
public interface CaptureSink {
  /** A reply that can be withheld until it must be refused. */
  interface Answer extends Runnable {
    /** Instead of {@code run}: tells the client that its request failed. */
    void refuse(String reason);
  }

  /**
   * Marks the range's regions in the activity log; returns at once when they are marked already.
   *
   * @throws IOException when the mark cannot be made durable; the write must then fail with EIO
   */
  void beforeWrite(ByteRange range) throws IOException;

  /**
   * The backing store holds the data. Assigns the seq. Retains the payload for as long as it needs
   * it.
   *
   * @param reply run exactly once, when the client may be answered: inside this call in async mode,
   *     once the write is journaled in sync mode (then on another thread)
   */
  void wrote(ByteRange range, Payload payload, Runnable reply);

  /** As {@link #wrote}, for a TRIM or WRITE_ZEROES: the range reads back as zeroes. */
  void zeroed(ByteRange range, Runnable reply);

  /** The backing store failed: what the range holds now is unknown and must be resynchronised. */
  void failed(ByteRange range);

  /** Called once the backing store is synced, before a FLUSH or FUA is answered (J3). */
  void flushed() throws IOException;

  /** Capture switched off: for a tap without a node, and to measure what capture costs. */
  static CaptureSink none() {
    return new CaptureSink() {
      @Override
      public void beforeWrite(ByteRange range) {}

      @Override
      public void wrote(ByteRange range, Payload payload, Runnable reply) {
        reply.run();
      }

      @Override
      public void zeroed(ByteRange range, Runnable reply) {
        reply.run();
      }

      @Override
      public void failed(ByteRange range) {}

      @Override
      public void flushed() {}
    };
  }
}
