package io.tidemark.nbd.slab;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;

/**
 * One run of direct memory with a reference count. The thread that took it from the pool fills it
 * and holds the first reference; everybody else only retains, reads and releases.
 */
public final class Slab {
  /** Views and payloads kept for reuse; what a large slab of 4 KiB requests needs. */
  private static final int CACHED_OBJECTS_MAX = 256;

  private static final AtomicIntegerFieldUpdater<Slab> REFS =
      AtomicIntegerFieldUpdater.newUpdater(Slab.class, "refs");

  private final SlabPool pool;
  private final int sizeClass;
  private final ByteBuffer memory;
  private final ByteBuffer[] views = new ByteBuffer[CACHED_OBJECTS_MAX];
  private final int[] viewStarts = new int[CACHED_OBJECTS_MAX];
  private final SlabPayload[] payloads = new SlabPayload[CACHED_OBJECTS_MAX];
  private int viewsUsed;
  private int payloadsUsed;
  private volatile int refs;

  Slab(SlabPool pool, int sizeClass, int capacity) {
    this.pool = pool;
    this.sizeClass = sizeClass;
    this.memory = ByteBuffer.allocateDirect(capacity);
  }

  int sizeClass() {
    return sizeClass;
  }

  void lend() {
    refs = 1;
    startAgain();
  }

  public int capacity() {
    return memory.capacity();
  }

  /** The whole memory, for the filling thread alone. */
  public ByteBuffer memory() {
    return memory;
  }

  public void retain() {
    if (REFS.getAndIncrement(this) <= 0) {
      throw new IllegalStateException("slab retained after its last release");
    }
  }

  public void release() {
    int left = REFS.decrementAndGet(this);
    if (left == 0) {
      pool.giveBack(this);
    } else if (left < 0) {
      throw new IllegalStateException("slab released more often than retained");
    }
  }

  /** Whether the filling thread holds the only reference (S2). */
  public boolean soleOwner() {
    return refs == 1;
  }

  /** For the filling thread, while it is the sole owner: fill from 0 again. */
  public void startAgain() {
    viewsUsed = 0;
    payloadsUsed = 0;
  }

  /**
   * A zero-based buffer over a part, valid while the caller holds a reference. Work repeats itself,
   * so the n-th view of a turn usually is the n-th view of the last one.
   */
  public ByteBuffer view(int from, int length) {
    int n = viewsUsed;
    if (n == CACHED_OBJECTS_MAX) {
      return memory.slice(from, length);
    }
    viewsUsed++;
    ByteBuffer cached = views[n];
    if (cached != null && viewStarts[n] == from && cached.capacity() == length) {
      return cached.clear();
    }
    viewStarts[n] = from;
    views[n] = memory.slice(from, length);
    return views[n];
  }

  /**
   * A payload in this slab alone; the reference it starts with belongs to the caller.
   *
   * @param heldBytes see {@link io.tidemark.capture.Payload#heldBytes}
   */
  public SlabPayload payload(int from, int length, int heldBytes) {
    retain();
    SlabPayload payload;
    if (payloadsUsed == CACHED_OBJECTS_MAX) {
      payload = new SlabPayload();
    } else {
      if (payloads[payloadsUsed] == null) {
        payloads[payloadsUsed] = new SlabPayload();
      }
      payload = payloads[payloadsUsed++];
    }
    payload.fill(this, view(from, length), heldBytes);
    return payload;
  }
}
