package io.tidemark.tag;

import com.typesafe.config.Config;
import io.tidemark.order.Holds;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;

/**
 * Limits and times of tags, from {@code tidemark.tag}.
 *
 * @param holdLimit a tap ends a hold by itself after so long
 * @param findWithin how long volumes have to name their tap's session
 * @param quiesceWithin how long applications have to become consistent, and to be thawed
 * @param commitWithin how long the journal has to reach the marks
 * @param failedKept how long a failed tag is shown
 * @param sweepEvery how often a group looks for expired tags
 */
public record TagSettings(
    Duration holdLimit,
    Duration findWithin,
    Duration quiesceWithin,
    Duration commitWithin,
    Duration failedKept,
    Duration sweepEvery) {

  /** Reads {@code tidemark.tag}. */
  public static TagSettings of(Config config) {
    Config tag = config.getConfig("tidemark.tag");
    Duration hold = tag.getDuration("hold-limit");
    if (hold.isNegative() || hold.isZero() || hold.toNanos() / 1_000 > Holds.LIMIT_MICROS_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "tidemark.tag.hold-limit = %s: a hold lasts more than 0 and at most %d ms"
              .formatted(hold, Holds.LIMIT_MICROS_MAX / 1_000));
    }
    return new TagSettings(
        hold,
        tag.getDuration("find-within"),
        tag.getDuration("quiesce-within"),
        tag.getDuration("commit-within"),
        tag.getDuration("failed-kept"),
        tag.getDuration("sweep-every"));
  }

  int holdMicros() {
    return (int) (holdLimit.toNanos() / 1_000);
  }
}
