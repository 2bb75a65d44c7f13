package io.tidemark.nbd.slab;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Bytes that the requests in flight of all clients of a server may occupy together. */
public final class MemoryBudget {
  /** How long a waiter sleeps at most before it looks whether its client is still wanted. */
  private static final long WAIT_MILLIS = 50;

  private final long bytesMax;
  private final AtomicLong used = new AtomicLong();
  private final AtomicInteger waiters = new AtomicInteger();

  public MemoryBudget(long bytesMax) {
    this.bytesMax = bytesMax;
  }

  /** Takes the bytes if they are left; a request larger than all of it may have it alone. */
  public boolean tryTake(long bytes) {
    while (true) {
      long now = used.get();
      if (now != 0 && now + bytes > bytesMax) {
        return false;
      }
      if (used.compareAndSet(now, now + bytes)) {
        return true;
      }
    }
  }

  public void giveBack(long bytes) {
    used.addAndGet(-bytes);
    if (waiters.get() > 0) {
      synchronized (this) {
        notifyAll();
      }
    }
  }

  /** Waits until something was given back, or a moment. */
  public void awaitChange() throws InterruptedException {
    waiters.incrementAndGet();
    try {
      synchronized (this) {
        wait(WAIT_MILLIS);
      }
    } finally {
      waiters.decrementAndGet();
    }
  }

  /** Whether somebody waits for memory right now. */
  public boolean contended() {
    return waiters.get() > 0;
  }

  public long usedBytes() {
    return used.get();
  }
}
