package io.tidemark.imageserver;

import java.util.ArrayDeque;
import java.util.Queue;

/**
 * Bounds the bytes that requests hold at the same time; those that do not fit wait their turn
 * without a thread and without memory of their own. Thread safe.
 */
final class ByteWindow {
  private record Waiting(long bytes, Runnable work) {}

  private final long bytesMax;
  private final Queue<Waiting> queue = new ArrayDeque<>();
  private long held;
  private boolean draining;

  ByteWindow(long bytesMax) {
    this.bytesMax = bytesMax;
  }

  /**
   * Runs the work once the bytes fit, in the order of the calls; the work must have {@link
   * #release} called with the same number later.
   */
  void acquire(long bytes, Runnable work) {
    long counted = Math.min(bytes, bytesMax);
    synchronized (this) {
      if (!queue.isEmpty() || held + counted > bytesMax) {
        queue.add(new Waiting(counted, work));
        return;
      }
      held += counted;
    }
    work.run();
  }

  void release(long bytes) {
    synchronized (this) {
      held -= Math.min(bytes, bytesMax);
      if (draining) {
        return;
      }
      draining = true;
    }
    // Work that completes at once comes back here: the flag keeps that from going ever deeper.
    for (Runnable next = next(); next != null; next = next()) {
      next.run();
    }
  }

  private synchronized Runnable next() {
    Waiting head = queue.peek();
    if (head == null || held + head.bytes() > bytesMax) {
      draining = false;
      return null;
    }
    queue.remove();
    held += head.bytes();
    return head.work();
  }
}
