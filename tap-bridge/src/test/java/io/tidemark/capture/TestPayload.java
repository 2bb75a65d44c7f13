package io.tidemark.capture;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** Bytes in direct memory that are spoiled after the last release, so that a late use shows. */
public final class TestPayload implements Payload {
  public static final AtomicInteger LIVE = new AtomicInteger();
  private static final boolean UNSETTLED = Boolean.getBoolean("tidemark.test.unsettled");

  /** Fails when a payload was not released, where the checks that are not settled yet run. */
  public static void assertReleased() {
    int live = LIVE.get();
    if (live != 0) {
      System.out.println("NOT SETTLED: payloads not released: " + live);
    }
    if (UNSETTLED && live != 0) {
      throw new AssertionError("payloads not released: " + live);
    }
  }

  private final ByteBuffer bytes;
  private final int held;
  private final AtomicInteger references = new AtomicInteger(1);

  public TestPayload(byte[] data, int held) {
    bytes = ByteBuffer.allocateDirect(data.length);
    bytes.put(0, data);
    this.held = Math.max(held, data.length);
    LIVE.incrementAndGet();
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
    if (references.getAndIncrement() <= 0) {
      throw new IllegalStateException("retained after its last release");
    }
  }

  @Override
  public void release() {
    int left = references.decrementAndGet();
    if (left < 0) {
      throw new IllegalStateException("released too often");
    }
    if (left == 0) {
      for (int i = 0; i < bytes.capacity(); i++) {
        bytes.put(i, (byte) 0xdb);
      }
      LIVE.decrementAndGet();
    }
  }
}
