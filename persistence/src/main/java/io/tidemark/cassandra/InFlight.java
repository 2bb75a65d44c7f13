package io.tidemark.cassandra;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;

/**
 * A limit on work in flight that never blocks a thread: who is over the limit is run later, in
 * order of arrival. Its queue is bounded by the credits that its callers give their own clients.
 */
final class InFlight {
  private final Executor executor;
  private final Queue<Runnable> waiting = new ArrayDeque<>();
  private int permits;

  InFlight(int permits, Executor executor) {
    this.permits = permits;
    this.executor = executor;
  }

  /** Runs {@code task} on the executor once a permit is free; it must {@link #release} it. */
  void acquire(Runnable task) {
    synchronized (this) {
      if (permits == 0) {
        waiting.add(task);
        return;
      }
      permits--;
    }
    executor.execute(task);
  }

  void release() {
    Runnable next;
    synchronized (this) {
      next = waiting.poll();
      if (next == null) {
        permits++;
        return;
      }
    }
    executor.execute(next);
  }
}
