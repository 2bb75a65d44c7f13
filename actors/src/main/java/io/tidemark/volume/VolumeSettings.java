package io.tidemark.volume;

import com.typesafe.config.Config;
import java.time.Duration;

/**
 * Limits and times of a volume entity, from {@code tidemark.volume}.
 *
 * @param sessionSilence a session that was not heard for so long is over; also how long a restarted
 *     entity waits for the session it remembers
 * @param orphanDelay how long after a session's end its leftovers are deleted; longer than any
 *     request to the store may take, so that no late write survives
 * @param retryMin first wait before a failed background job is tried again
 * @param retryMax longest such wait
 * @param leafSegments a tail of so many segments is indexed
 * @param leafWrites a tail of so many writes is indexed
 * @param tailSegmentsMax appends wait while the tail is longer
 * @param tailWritesMax appends wait while the tail is longer
 * @param snapshotEvery events between snapshots
 * @param retentionEvery how often the horizon is looked after
 * @param freeDelay how long what a compaction gave up is still there for who reads it just then
 */
public record VolumeSettings(
    Duration sessionSilence,
    Duration orphanDelay,
    Duration retryMin,
    Duration retryMax,
    int leafSegments,
    int leafWrites,
    int tailSegmentsMax,
    int tailWritesMax,
    int snapshotEvery,
    Duration retentionEvery,
    Duration freeDelay) {

  /** Reads {@code tidemark.volume}. */
  public static VolumeSettings of(Config config) {
    Config volume = config.getConfig("tidemark.volume");
    return new VolumeSettings(
        volume.getDuration("session-silence"),
        volume.getDuration("orphan-delay"),
        volume.getDuration("retry-min"),
        volume.getDuration("retry-max"),
        volume.getInt("leaf-segments"),
        volume.getInt("leaf-writes"),
        volume.getInt("tail-segments-max"),
        volume.getInt("tail-writes-max"),
        volume.getInt("snapshot-every"),
        volume.getDuration("retention-every"),
        volume.getDuration("free-delay"));
  }
}
