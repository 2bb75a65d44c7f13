package io.tidemark.bench;

import io.tidemark.journal.JournalSession;
import io.tidemark.position.MicroClock;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;

/** Appends segments to one volume with a limit on what is in flight. For one thread. */
final class Appender {
  private final JournalSession session;
  private final MicroClock clock;
  private final int permits;
  private final Semaphore window;
  private final LongConsumer acknowledged;
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private long seq;
  private long timeMicros;

  /**
   * @param windowBytes data in flight, at least one segment
   */
  Appender(JournalSession session, MicroClock clock, Content content, int windowBytes) {
    this(session, clock, content, windowBytes, nanos -> {});
  }

  /**
   * @param acknowledged told how long each segment took to be journaled, in nanoseconds, by any
   *     thread
   */
  Appender(
      JournalSession session,
      MicroClock clock,
      Content content,
      int windowBytes,
      LongConsumer acknowledged) {
    this.acknowledged = acknowledged;
    this.session = session;
    this.clock = clock;
    this.permits = Math.max(1, windowBytes / content.segmentBytes());
    this.window = new Semaphore(permits);
    this.seq = session.grant().head().value();
    this.timeMicros = session.grant().headTime().micros();
  }

  /** Appends one segment; blocks while the window is full. */
  Content.Segment append(Content content, Content.Offsets offsets) throws InterruptedException {
    window.acquire();
    rethrow();
    timeMicros = Math.max(timeMicros + 1, clock.micros());
    Content.Segment segment = content.next(seq + 1, timeMicros, offsets);
    seq = segment.meta().lastSeq().value();
    long begun = System.nanoTime();
    session
        .append(segment.meta(), List.of(segment.data()))
        .whenComplete(
            (head, refusal) -> {
              if (refusal != null) {
                failure.compareAndSet(null, refusal);
              } else {
                acknowledged.accept(System.nanoTime() - begun);
              }
              window.release();
            });
    return segment;
  }

  /** Waits until everything is journaled. */
  void drain() throws InterruptedException {
    window.acquire(permits);
    window.release(permits);
    rethrow();
  }

  private void rethrow() {
    Throwable cause = failure.get();
    if (cause != null) {
      throw new IllegalStateException("an append failed", cause);
    }
  }

  /** The newest seq given out. */
  long seq() {
    return seq;
  }
}
