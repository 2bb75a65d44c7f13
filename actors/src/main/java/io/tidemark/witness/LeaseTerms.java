package io.tidemark.witness;

/** What a lease's time means on clocks that do not run alike. */
public final class LeaseTerms {
  /** In any interval a clock runs between this and its mirror image above 1 of real time. */
  public static final double RATE_MIN = 0.99;

  private LeaseTerms() {}

  /**
   * How long a tap may rely on a promise of so much of the arbiter's time, by its own clock:
   * shorter by as much as a slow clock here and a fast one there differ (W1).
   */
  public static long relied(long promised) {
    return (long) Math.floor(promised * (RATE_MIN / (2 - RATE_MIN)));
  }
}
