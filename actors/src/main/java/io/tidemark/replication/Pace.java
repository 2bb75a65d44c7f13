package io.tidemark.replication;

import akka.actor.Cancellable;
import akka.actor.typed.Scheduler;
import io.tidemark.position.MicroClock;
import java.time.Duration;
import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.LongUnaryOperator;

/**
 * Lets bytes through at a rate that may change with time, those of higher priority first and others
 * in the order in which they asked: a bucket of tokens that holds a tenth of a second's worth.
 * Thread-safe.
 */
public final class Pace {
  private static final long SECOND_MICROS = 1_000_000;
  private static final long BURST_MICROS = SECOND_MICROS / 10;
  private static final Duration WAIT_MAX = Duration.ofSeconds(1);
  private static final long WAIT_MICROS_MIN = 1_000;

  /** A request; the greater priority goes first, then the smaller number. */
  private record Request(long bytes, int priority, long number, CompletableFuture<Void> granted) {}

  private final Scheduler scheduler;
  private final Executor executor;
  private final MicroClock clock;
  private final LongUnaryOperator rate;
  private final PriorityQueue<Request> waiting =
      new PriorityQueue<>(
          Comparator.comparingInt((Request request) -> -request.priority())
              .thenComparingLong(Request::number));
  private long number;

  /** When the bucket is empty no more; the past when it is full. */
  private long freeMicros;

  private Cancellable timer;

  /**
   * @param rate bytes a second at a time in microseconds; 0 for no limit
   * @param executor runs what follows on a grant
   */
  public Pace(Scheduler scheduler, Executor executor, MicroClock clock, LongUnaryOperator rate) {
    this.scheduler = scheduler;
    this.executor = executor;
    this.clock = clock;
    this.rate = rate;
  }

  /** Completes when so many bytes may go; whoever is not to go any more cancels nothing. */
  public CompletionStage<Void> take(long bytes, int priority) {
    CompletableFuture<Void> granted = new CompletableFuture<>();
    synchronized (this) {
      waiting.add(new Request(bytes, priority, number++, granted));
    }
    grant();
    return granted;
  }

  private void grant() {
    CompletableFuture<Void> next = due();
    while (next != null) {
      CompletableFuture<Void> granted = next;
      executor.execute(() -> granted.complete(null));
      next = due();
    }
  }

  private synchronized CompletableFuture<Void> due() {
    Request first = waiting.peek();
    if (first == null) {
      return null;
    }
    long now = clock.micros();
    long perSecond = rate.applyAsLong(now);
    if (perSecond > 0) {
      freeMicros = Math.max(freeMicros, now - BURST_MICROS);
      if (freeMicros > now) {
        lookAgainIn(freeMicros - now);
        return null;
      }
      freeMicros += Math.multiplyExact(first.bytes(), SECOND_MICROS) / perSecond;
    }
    return waiting.remove().granted();
  }

  /** Looks again then, and at the latest soon: the rate may be another one by then. */
  private void lookAgainIn(long micros) {
    if (timer != null) {
      timer.cancel();
    }
    Duration until = Duration.ofNanos(Math.max(WAIT_MICROS_MIN, micros) * 1_000);
    timer =
        scheduler.scheduleOnce(
            until.compareTo(WAIT_MAX) < 0 ? until : WAIT_MAX, this::grant, asContext());
  }

  private scala.concurrent.ExecutionContext asContext() {
    return scala.concurrent.ExecutionContext.fromExecutor(executor);
  }
}
