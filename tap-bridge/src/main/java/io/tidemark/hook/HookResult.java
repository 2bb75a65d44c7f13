package io.tidemark.hook;

/**
 * How quiescing or thawing one application went.
 *
 * @param crashAllowed what its policy makes of a failure: true, the tag is crash-consistent; false,
 *     the tag fails
 * @param exitCode of the program that was run; {@link #NO_EXIT_CODE} when none has ended
 * @param output what was printed, for people; bounded
 */
public record HookResult(
    String application,
    Phase phase,
    Outcome outcome,
    boolean crashAllowed,
    int exitCode,
    long millis,
    String output) {
  public static final int NO_EXIT_CODE = -1;

  /** Which half of the work. */
  public enum Phase {
    QUIESCE,
    THAW
  }

  /** How it ended. */
  public enum Outcome {
    /** As ordered; for a thaw: it was quiesced until then. */
    DONE,
    /** A program said no, or its words were not understood. The application is thawed. */
    FAILED,
    /** It was not done in time, and given up. The application is thawed. */
    TIMED_OUT,
    /** It was thawed before the order to thaw: the limit had passed, or somebody else did it. */
    EXPIRED,
    /** Not begun, because another application had failed. */
    SKIPPED
  }

  public boolean done() {
    return outcome == Outcome.DONE;
  }

  /** Whether the application may not have been consistent, or not until the order to thaw (H2). */
  public boolean doubtful() {
    return phase == Phase.QUIESCE
        ? !done()
        : outcome == Outcome.EXPIRED || outcome == Outcome.TIMED_OUT;
  }
}
