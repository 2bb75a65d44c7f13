package io.tidemark.witness;

/**
 * What an arbiter has promised the source, by its monotonic clock. Not stored: whoever starts takes
 * it that it promised everything just before (W2).
 */
public final class Promise {
  private final long leaseNanos;
  private long untilNanos;
  private long heardNanos;
  private boolean heard;
  private double behindSeconds;

  /**
   * @param nanos now
   */
  public Promise(long leaseNanos, long nanos) {
    this.leaseNanos = leaseNanos;
    this.untilNanos = nanos + leaseNanos;
    this.heardNanos = nanos;
  }

  /** The vote is the source's for another lease from now on, whether the answer arrives or not. */
  public void extend(long nanos) {
    untilNanos = Math.max(untilNanos, nanos + leaseNanos);
  }

  /**
   * The source was heard.
   *
   * @param behind how far the target was behind it then, in seconds
   */
  public void heard(long nanos, double behind) {
    heard = true;
    heardNanos = nanos;
    behindSeconds = behind;
  }

  /** Whether nothing is promised any more. */
  public boolean over(long nanos) {
    return untilNanos - nanos <= 0;
  }

  /** Nanoseconds until it is over, at least 0. */
  public long leftNanos(long nanos) {
    return Math.max(0, untilNanos - nanos);
  }

  /** Nanoseconds since the source was heard, or since the arbiter started if it never was. */
  public long silentNanos(long nanos) {
    return nanos - heardNanos;
  }

  /** Whether the source was heard since the arbiter started. */
  public boolean heardEver() {
    return heard;
  }

  /** How far the target was behind when the source was heard last, in seconds. */
  public double behindSeconds() {
    return behindSeconds;
  }

  public long leaseNanos() {
    return leaseNanos;
  }
}
