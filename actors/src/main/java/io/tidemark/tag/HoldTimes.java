package io.tidemark.tag;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** How long volumes were held for tags that this node took, as a histogram. Thread-safe. */
public final class HoldTimes {
  /** Upper bounds of all buckets but the last, in microseconds. */
  private static final long[] BOUNDS = {
    500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000
  };

  private final AtomicLongArray counts = new AtomicLongArray(BOUNDS.length + 1);
  private final LongAdder sumMicros = new LongAdder();
  private final LongAdder committed = new LongAdder();
  private final LongAdder failed = new LongAdder();

  /**
   * What was counted since the node started.
   *
   * @param boundMicros upper bounds of all buckets but the last
   * @param counts holds in each bucket, not cumulative
   */
  public record Snapshot(
      long[] boundMicros, long[] counts, long sumMicros, long committed, long failed) {}

  void held(long micros) {
    int bucket = 0;
    while (bucket < BOUNDS.length && micros > BOUNDS[bucket]) {
      bucket++;
    }
    counts.incrementAndGet(bucket);
    sumMicros.add(micros);
  }

  void settled(boolean success) {
    (success ? committed : failed).increment();
  }

  public Snapshot snapshot() {
    long[] copy = new long[counts.length()];
    for (int i = 0; i < copy.length; i++) {
      copy[i] = counts.get(i);
    }
    return new Snapshot(BOUNDS.clone(), copy, sumMicros.sum(), committed.sum(), failed.sum());
  }
}
