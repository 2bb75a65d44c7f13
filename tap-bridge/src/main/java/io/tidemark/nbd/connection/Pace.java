package io.tidemark.nbd.connection;

/**
 * Whether requests of one kind are quick enough to be carried out by the reading thread, learnt
 * from how long the last ones took. Shared by threads without locks: a lost update only delays the
 * change of mind.
 */
final class Pace {
  /** What a request may take beyond its share for bytes; the page cache needs a hundredth. */
  private static final long QUICK_NANOS = 150_000;

  /** Slower than this per byte is not memory. */
  private static final long NANOS_PER_KIBIBYTE = 1_000;

  private static final int SLOW_STEP = 8;
  private static final int SCORE_MAX = 64;

  /** So many quick ones in a row outweigh a slow one: one preempted thread changes nothing. */
  private static final int SLOW_SCORE = 12;

  private volatile int score;

  void took(long nanos, long bytes) {
    int now = score;
    if (nanos > QUICK_NANOS + (bytes >> 10) * NANOS_PER_KIBIBYTE) {
      score = Math.min(now + SLOW_STEP, SCORE_MAX);
    } else if (now > 0) {
      score = now - 1;
    }
  }

  boolean slow() {
    return score >= SLOW_SCORE;
  }
}
