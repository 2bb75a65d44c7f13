package io.tidemark.job;

import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What is known of a job now.
 *
 * @param kind {@code export}, {@code verify} or {@code rollback}
 * @param subject what it works on, in words
 * @param fraction done so far, 0 to 1
 * @param bytesDone of {@code bytesTotal}; the total is 0 until it is known
 * @param etaSeconds at the pace so far; empty when not running or not known
 * @param error why it failed, empty otherwise
 * @param result what came of it: text by key, empty until it is done; a failed verification has
 *     findings here as well
 */
public record JobSummary(
    String id,
    String kind,
    String subject,
    State state,
    double fraction,
    long bytesDone,
    long bytesTotal,
    OptionalLong etaSeconds,
    MicroTime started,
    Optional<MicroTime> ended,
    Optional<Failure> error,
    Map<String, String> result) {

  /** A job is RUNNING first, and exactly one of the others for good. */
  public enum State {
    RUNNING,
    DONE,
    FAILED,
    CANCELLED
  }

  /** A code for programs, a sentence for people. */
  public record Failure(ErrorCode code, String message) {}
}
