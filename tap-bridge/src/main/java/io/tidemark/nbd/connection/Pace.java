package io.tidemark.nbd.connection;

/**
 * Whether requests of one kind are quick enough to be carried out by the reading thread, learnt
 * from how long the last ones took on average. The average matters, not the single request: the
 * kernel throttles a thread that dirties pages faster than the disk takes them by stopping it for
 * tens of milliseconds once in a hundred writes. Shared by threads without locks: a lost update
 * only delays the change of mind.
 */
final class Pace {
  /** Longer than this on average, beyond the share for bytes, and other threads take over. */
  private static final long QUICK_NANOS = 60_000;

  /** Longer than this on average, and it is no page cache, however busy the processors are. */
  private static final long DISK_NANOS = 1_000_000;

  /** Slower than this per byte is not memory. */
  private static final long NANOS_PER_KIBIBYTE = 1_000;

  /** One request counts as no longer than this. */
  private static final long OUTLIER_NANOS = 100_000_000;

  /** The average is over about two to the power of this. */
  private static final int MEMORY_BITS = 6;

  private volatile long meanNanos;

  void took(long nanos, long bytes) {
    long beyond = nanos - (bytes >> 10) * NANOS_PER_KIBIBYTE;
    long counted = Math.max(0, Math.min(beyond, OUTLIER_NANOS));
    long mean = meanNanos;
    meanNanos = mean + ((counted - mean) >> MEMORY_BITS);
  }

  /** Whether it is a disk that is waited for. */
  boolean verySlow() {
    return meanNanos > DISK_NANOS;
  }

  boolean slow() {
    return meanNanos > QUICK_NANOS;
  }
}
