package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tidemark.cassandra.TestSegments.Segment;
import io.tidemark.position.VolumeId;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Stores segments without a pause and remembers which were acknowledged. */
final class Load implements AutoCloseable {
  private static final int SEGMENTS_IN_FLIGHT = 6;
  private static final int SEGMENT_BYTES = 300_000;

  private final VolumeId volume = VolumeId.random();
  private final CassandraSegmentStore store;
  private final long seed;
  private final Semaphore slots = new Semaphore(SEGMENTS_IN_FLIGHT);
  private final ConcurrentLinkedQueue<Integer> acknowledged = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
  private final AtomicInteger count = new AtomicInteger();
  private final Thread writer = new Thread(this::write, "load");
  private volatile boolean stopped;

  Load(CassandraSegmentStore store, long seed) {
    this.store = store;
    this.seed = seed;
    writer.start();
  }

  private void write() {
    for (int ordinal = 0; !stopped; ordinal++) {
      slots.acquireUninterruptibly();
      int number = ordinal;
      Segment segment = TestSegments.segment(volume, 1, ordinal, SEGMENT_BYTES, seed);
      store
          .store(segment.ref(), segment.meta(), segment.data())
          .whenComplete((bytes, failure) -> finished(number, failure));
    }
  }

  private void finished(int ordinal, Throwable failureOrNull) {
    if (failureOrNull == null) {
      acknowledged.add(ordinal);
      count.incrementAndGet();
    } else {
      failures.add(failureOrNull);
    }
    slots.release();
  }

  int acknowledged() {
    return count.get();
  }

  List<Throwable> failures() {
    return List.copyOf(failures);
  }

  /** Waits until that many more segments are acknowledged. */
  void awaitMore(int more) {
    int target = count.get() + more;
    Await.until(120, "%d segments acknowledged".formatted(target), () -> count.get() >= target);
  }

  /** Ends the load and waits for what is in flight. */
  @Override
  public void close() {
    stopped = true;
    try {
      writer.join();
      if (!slots.tryAcquire(SEGMENTS_IN_FLIGHT, 120, TimeUnit.SECONDS)) {
        throw new AssertionError("segments in flight were never answered");
      }
      slots.release(SEGMENTS_IN_FLIGHT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  /** Every acknowledged byte is there. */
  void verify(CassandraSegmentStore from) {
    for (int ordinal : acknowledged) {
      Segment segment = TestSegments.segment(volume, 1, ordinal, SEGMENT_BYTES, seed);
      for (int i = 0; i < segment.meta().chunkCount(); i++) {
        assertEquals(
            segment.chunk(i),
            from.readChunk(segment.ref(), i).toCompletableFuture().join(),
            "segment " + ordinal + " chunk " + i);
      }
    }
  }
}
