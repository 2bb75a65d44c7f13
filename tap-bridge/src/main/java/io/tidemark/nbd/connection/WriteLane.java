package io.tidemark.nbd.connection;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Writes of one client that the reading thread should not wait for, on as few workers as keep up. A
 * file takes buffered writes one after the other, and threads that wait for it spin: several make
 * each write several times as dear. Another worker helps only once a write has waited so long that
 * the backing store, not the processor, must be what is slow. Thread-safe.
 */
final class WriteLane implements Runnable {
  private static final long PATIENCE_NANOS = 500_000;
  private static final int THREADS_MAX = 16;

  private final Executor workers;
  private final ConcurrentLinkedQueue<PendingRequest> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicInteger running = new AtomicInteger();

  /**
   * @param workers bounded; what they cannot take at once waits there
   */
  WriteLane(Executor workers) {
    this.workers = workers;
  }

  void execute(PendingRequest request) {
    request.queuedNanos = System.nanoTime();
    waiting.add(request);
    if (running.get() == 0) {
      startFirst();
    } else {
      helpIfLate(request.queuedNanos);
    }
  }

  private void startFirst() {
    if (running.compareAndSet(0, 1)) {
      workers.execute(this);
    }
  }

  private void helpIfLate(long nowNanos) {
    PendingRequest oldest = waiting.peek();
    int now = running.get();
    if (oldest != null
        && nowNanos - oldest.queuedNanos > PATIENCE_NANOS
        && now < THREADS_MAX
        && running.compareAndSet(now, now + 1)) {
      workers.execute(this);
    }
  }

  /** Carries out what waits; for a worker. */
  @Override
  public void run() {
    try {
      PendingRequest request = waiting.poll();
      while (request != null) {
        helpIfLate(System.nanoTime());
        request.run();
        request = waiting.poll();
      }
    } finally {
      running.decrementAndGet();
      if (!waiting.isEmpty()) {
        startFirst(); // what came between the last look and the end
      }
    }
  }
}
