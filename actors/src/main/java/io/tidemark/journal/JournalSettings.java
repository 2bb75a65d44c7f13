package io.tidemark.journal;

import com.typesafe.config.Config;
import java.time.Duration;

/**
 * Limits and times of a tap session, from {@code tidemark.journal}.
 *
 * @param storeBytesInFlight data being stored at once, unless a single segment is larger
 * @param pendingBytesMax data that a session holds at most; more is refused with {@code LIMIT}
 * @param heartbeat how often a session says that it lives
 * @param resendAfter a request to the volume without an answer is repeated after so long
 * @param attachWithin an attempt to attach is given up after so long, by the session and by the
 *     volume; shorter than a tap waits for its answer
 * @param giveUpAfter and given up after so long: the session fails with {@code NOT_ACKNOWLEDGED}
 */
public record JournalSettings(
    long storeBytesInFlight,
    long pendingBytesMax,
    Duration heartbeat,
    Duration resendAfter,
    Duration attachWithin,
    Duration giveUpAfter) {

  /** Reads {@code tidemark.journal}. */
  public static JournalSettings of(Config config) {
    Config journal = config.getConfig("tidemark.journal");
    return new JournalSettings(
        journal.getBytes("store-bytes-in-flight"),
        journal.getBytes("pending-bytes-max"),
        journal.getDuration("heartbeat"),
        journal.getDuration("resend-after"),
        journal.getDuration("attach-within"),
        journal.getDuration("give-up-after"));
  }
}
