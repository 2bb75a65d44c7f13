package io.tidemark.witness;

/**
 * Until when a tap may acknowledge writes, by its own clocks (W1). Any thread may ask; those who
 * mark and grant come one after the other.
 */
public final class TapLease {
  /** Rounds whose mark is remembered; a grant for an older one comes too late to be worth much. */
  static final int MARKS_MAX = 8;

  private record Mark(long round, long nanos, long wallMicros) {}

  private final Mark[] marks = new Mark[MARKS_MAX];
  private int next;
  private volatile boolean held;
  private volatile long untilNanos;
  private volatile long untilWallMicros;

  /**
   * A round begins: nobody has been asked for it yet.
   *
   * @param round never used twice
   * @param nanos of the monotonic clock
   * @param wallMicros of the clock on the wall
   */
  public synchronized void mark(long round, long nanos, long wallMicros) {
    marks[next] = new Mark(round, nanos, wallMicros);
    next = (next + 1) % MARKS_MAX;
  }

  /**
   * The round was granted.
   *
   * @param leaseMicros for which an arbiter promised its vote, by its own clock
   * @return whether the round was marked here
   */
  public synchronized boolean grant(long round, long leaseMicros) {
    for (Mark mark : marks) {
      if (mark != null && mark.round == round) {
        long relied = LeaseTerms.relied(leaseMicros);
        long nanos = mark.nanos + relied * 1_000;
        long wall = mark.wallMicros + relied;
        if (!held || nanos - untilNanos > 0) {
          untilNanos = nanos;
          untilWallMicros = wall;
          held = true;
        }
        return true;
      }
    }
    return false;
  }

  /** Whether a write may be acknowledged now; the clocks were read before. */
  public boolean valid(long nanos, long wallMicros) {
    return held && untilNanos - nanos > 0 && untilWallMicros - wallMicros > 0;
  }

  /** Whether there ever was a lease. */
  public boolean granted() {
    return held;
  }

  /** Nanoseconds of the monotonic clock that are left, at most 0 when it is over. */
  public long leftNanos(long nanos) {
    return held ? untilNanos - nanos : 0;
  }
}
