package io.tidemark.taprollback;

import io.tidemark.capture.Payload;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The memory of a rollback's writes from their arrival until capture has let go of them: a fixed
 * number of direct buffers, made as they are needed (R4). Thread-safe.
 */
final class WriteBuffers {
  static final int BUFFERS_MAX = 64;

  private final BlockingQueue<ByteBuffer> free = new LinkedBlockingQueue<>();
  private final AtomicInteger made = new AtomicInteger();

  /** Copies the data into a buffer once there is one; empty when there is none in time. */
  Optional<Payload> hold(ByteBuffer data, Duration most) throws InterruptedException {
    ByteBuffer buffer = free.poll();
    if (buffer == null && made.get() < BUFFERS_MAX) {
      made.incrementAndGet();
      buffer = ByteBuffer.allocateDirect(RollbackOrder.DATA_BYTES_MAX);
    }
    if (buffer == null) {
      buffer = free.poll(most.toNanos(), TimeUnit.NANOSECONDS);
    }
    if (buffer == null) {
      return Optional.empty();
    }
    buffer.clear().put(data.duplicate()).flip();
    return Optional.of(new Held(buffer));
  }

  private final class Held implements Payload {
    private final ByteBuffer buffer;
    private final AtomicInteger references = new AtomicInteger(1);

    Held(ByteBuffer buffer) {
      this.buffer = buffer;
    }

    @Override
    public List<ByteBuffer> pieces() {
      return List.of(buffer);
    }

    @Override
    public int length() {
      return buffer.limit();
    }

    @Override
    public int heldBytes() {
      return buffer.capacity();
    }

    @Override
    public void retain() {
      references.incrementAndGet();
    }

    @Override
    public void release() {
      if (references.decrementAndGet() == 0) {
        free.add(buffer);
      }
    }
  }
}
