package io.tidemark.capture;

import java.time.Duration;

/**
 * The bounds and paces of one volume's capture.
 *
 * @param spillBytesMax size of the spill file; 0 for none
 * @param segmentBytes data at which a segment is sent without waiting for more
 * @param segmentWrites writes at which it is
 * @param linger how long a segment waits for more writes after a rest
 * @param pace least time between a segment and the next that is not full: each costs the node an
 *     event and an insert, whatever its size. Up to {@link #PACE_FACTOR_MAX} times as long when the
 *     node is slow to acknowledge. Synchronous volumes and marks of tags wait for neither
 * @param collapsePause how long capture rests after a collapse; doubles with each further collapse
 *     before the resynchronisation completes, up to {@link #COLLAPSE_PAUSE_MAX}
 * @param syncPendingBytes a resynchronisation adds nothing while more than this is unjournaled, so
 *     that live writes come first
 * @param copyAfter age at which an unjournaled write that pins much more memory than its data is
 *     copied out
 * @param leaseWait how long after the end of its lease a tap that needs one lets writes wait before
 *     they fail
 */
public record CaptureLimits(
    long spillBytesMax,
    int segmentBytes,
    int segmentWrites,
    Duration linger,
    Duration pace,
    Duration collapsePause,
    int syncPendingBytes,
    Duration copyAfter,
    Duration leaseWait) {
  /**
   * Data bytes that the journal stores as one piece. Larger costs Cassandra less work a byte,
   * smaller costs a random read of an image less; docs/benchmarks.md has the figures.
   */
  public static final int CHUNK_BYTES = 128 << 10;

  /** Busy nodes get fewer and larger segments: the pace is as many acknowledgement times, too. */
  public static final int PACE_FACTOR_MAX = 5;

  public static final Duration LEASE_WAIT = Duration.ofSeconds(30);

  public static final Duration COLLAPSE_PAUSE_MAX = Duration.ofSeconds(30);

  public CaptureLimits(
      long spillBytesMax,
      int segmentBytes,
      int segmentWrites,
      Duration linger,
      Duration pace,
      Duration collapsePause,
      int syncPendingBytes,
      Duration copyAfter) {
    this(
        spillBytesMax,
        segmentBytes,
        segmentWrites,
        linger,
        pace,
        collapsePause,
        syncPendingBytes,
        copyAfter,
        LEASE_WAIT);
  }

  public static CaptureLimits defaults() {
    return new CaptureLimits(
        1L << 30,
        2 << 20,
        4096,
        Duration.ofMillis(2),
        Duration.ofMillis(50),
        Duration.ofSeconds(1),
        8 << 20,
        Duration.ofMillis(400));
  }

  public CaptureLimits withSpillBytesMax(long bytes) {
    return new CaptureLimits(
        bytes,
        segmentBytes,
        segmentWrites,
        linger,
        pace,
        collapsePause,
        syncPendingBytes,
        copyAfter,
        leaseWait);
  }

  public CaptureLimits withLeaseWait(Duration wait) {
    return new CaptureLimits(
        spillBytesMax,
        segmentBytes,
        segmentWrites,
        linger,
        pace,
        collapsePause,
        syncPendingBytes,
        copyAfter,
        wait);
  }
}
