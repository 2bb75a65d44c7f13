package io.tidemark.backing;

import io.tidemark.position.ByteRange;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * Mutual exclusion of overlapping ranges (B1). The volume is dealt out in regions to a fixed number
 * of stripes; a range takes the stripes of its regions in ascending order, so that no two ranges
 * wait for each other. A free stripe costs one compare-and-set.
 */
public final class RangeLocks {
  private static final int REGION_BITS = 18;
  private static final int STRIPES = 1024;
  private static final int MONITORS = 64;

  /** Stripes lie this far apart, each on a cache line of its own. */
  private static final int SPREAD = 16;

  private static final int FREE = 0;
  private static final int HELD = 1;
  private static final int WAITED_FOR = 2;

  private static final int SPINS = 64;

  private final AtomicIntegerArray states = new AtomicIntegerArray(STRIPES * SPREAD);
  private final Object[] monitors = new Object[MONITORS];

  public RangeLocks() {
    for (int i = 0; i < MONITORS; i++) {
      monitors[i] = new Object();
    }
  }

  /** Waits until nobody else holds an overlapping range; not reentrant. */
  public void lock(ByteRange range) {
    long first = range.offset() >>> REGION_BITS;
    long last = (range.end() - 1) >>> REGION_BITS;
    if (last - first >= STRIPES - 1) {
      lock(0, STRIPES - 1);
      return;
    }
    int from = (int) (first % STRIPES);
    int to = (int) (last % STRIPES);
    if (from <= to) {
      lock(from, to);
    } else {
      lock(0, to);
      lock(from, STRIPES - 1);
    }
  }

  public void unlock(ByteRange range) {
    long first = range.offset() >>> REGION_BITS;
    long last = Math.min((range.end() - 1) >>> REGION_BITS, first + STRIPES - 1);
    for (long region = first; region <= last; region++) {
      unlock((int) (region % STRIPES));
    }
  }

  private void lock(int from, int to) {
    for (int stripe = from; stripe <= to; stripe++) {
      if (!states.compareAndSet(stripe * SPREAD, FREE, HELD)) {
        await(stripe);
      }
    }
  }

  private void await(int stripe) {
    for (int i = 0; i < SPINS; i++) {
      Thread.onSpinWait();
      if (states.compareAndSet(stripe * SPREAD, FREE, HELD)) {
        return;
      }
    }
    Object monitor = monitors[stripe % MONITORS];
    boolean interrupted = false;
    synchronized (monitor) {
      // Whoever waited leaves the mark on, since others may be waiting still.
      while (states.getAndSet(stripe * SPREAD, WAITED_FOR) != FREE) {
        try {
          monitor.wait();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void unlock(int stripe) {
    if (states.getAndSet(stripe * SPREAD, FREE) == WAITED_FOR) {
      Object monitor = monitors[stripe % MONITORS];
      synchronized (monitor) {
        monitor.notifyAll();
      }
    }
  }
}
