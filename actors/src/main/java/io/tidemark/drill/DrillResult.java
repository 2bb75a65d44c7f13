package io.tidemark.drill;

import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeId;
import java.util.Optional;

/**
 * What came of one run.
 *
 * @param volume the incarnation; empty when no image could be opened
 * @param point what was checked; empty when no image could be opened
 * @param startedMicros when it began
 * @param endedMicros when it ended
 * @param words what the check found, at most {@link #WORDS_MAX} characters
 */
public record DrillResult(
    String run,
    Optional<VolumeId> volume,
    Optional<RecoveryPoint> point,
    long startedMicros,
    long endedMicros,
    Verdict verdict,
    String words) {
  public static final int WORDS_MAX = 1_000;

  /** What a run says of its point. */
  public enum Verdict {
    /** The check found it good. */
    PASSED,
    /** The check found it bad, or took too long. */
    FAILED,
    /** It could not be checked. */
    ERROR
  }

  public DrillResult {
    if (words.length() > WORDS_MAX) {
      words = words.substring(0, WORDS_MAX - 3) + "...";
    }
  }
}
