package io.tidemark.capture;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** Bytes in direct memory that are spoiled after the last release, so that a late use shows. */
public final class TestPayload implements Payload {
  private static final Set<TestPayload> LIVE = ConcurrentHashMap.newKeySet();

  /** Fails unless every payload was released; says what was done to those that were not. */
  public static void assertReleased() {
    if (!LIVE.isEmpty()) {
      AssertionError error = new AssertionError("payloads not released: " + LIVE.size());
      LIVE.stream().limit(3).forEach(payload -> payload.events.forEach(error::addSuppressed));
      LIVE.clear();
      throw error;
    }
  }

  private final ByteBuffer bytes;
  private final int held;
  private final AtomicInteger references = new AtomicInteger(1);
  private final Queue<Throwable> events = new ConcurrentLinkedQueue<>();

  public TestPayload(byte[] data, int held) {
    bytes = ByteBuffer.allocateDirect(data.length);
    bytes.put(0, data);
    this.held = Math.max(held, data.length);
    LIVE.add(this);
    note("made");
  }

  @Override
  public List<ByteBuffer> pieces() {
    int half = bytes.capacity() / 2;
    return half == 0
        ? List.of(bytes)
        : List.of(bytes.slice(0, half), bytes.slice(half, bytes.capacity() - half));
  }

  @Override
  public int length() {
    return bytes.capacity();
  }

  @Override
  public int heldBytes() {
    return held;
  }

  @Override
  public void retain() {
    note("retained");
    if (references.getAndIncrement() <= 0) {
      throw new IllegalStateException("retained after its last release");
    }
  }

  @Override
  public void release() {
    note("released");
    int left = references.decrementAndGet();
    if (left < 0) {
      throw new IllegalStateException("released too often");
    }
    if (left == 0) {
      for (int i = 0; i < bytes.capacity(); i++) {
        bytes.put(i, (byte) 0xdb);
      }
      LIVE.remove(this);
    }
  }

  private void note(String event) {
    events.add(new Throwable(event + " by " + Thread.currentThread().getName()));
  }
}
