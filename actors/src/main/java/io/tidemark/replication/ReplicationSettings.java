package io.tidemark.replication;

import com.typesafe.config.Config;
import java.time.Duration;

/**
 * Limits and times of links, from {@code tidemark.link}.
 *
 * @param wakeEvery how often links are reminded to run
 * @param retryMin first wait before a broken line is opened again
 * @param retryMax longest such wait
 * @param pollEvery how often the source is asked how far it is, when there is nothing to send
 * @param staleAfter figures older than this are shown as stale
 * @param storeEvery the acknowledged position is stored at most so often
 * @param readAhead segments of one volume read ahead of the line
 * @param readAheadBytesMax and their data, with what it replaced, unless one alone has more
 * @param baseEvery segments are packed against what the target held at most so long ago
 * @param compression zstd's level
 * @param knownBlocks blocks of 4 KiB that are remembered for each volume
 * @param replayBytesMax a target that has nothing gets the source's history, unless that has more
 *     data than this: then its content
 * @param nodeRate bytes a second of all links of the node together, 0 for no limit
 */
public record ReplicationSettings(
    Duration wakeEvery,
    Duration retryMin,
    Duration retryMax,
    Duration pollEvery,
    Duration staleAfter,
    Duration storeEvery,
    int readAhead,
    long readAheadBytesMax,
    Duration baseEvery,
    int compression,
    int knownBlocks,
    long replayBytesMax,
    long nodeRate) {

  /** Reads {@code tidemark.link}. */
  public static ReplicationSettings of(Config config) {
    Config link = config.getConfig("tidemark.link");
    return new ReplicationSettings(
        link.getDuration("wake-every"),
        link.getDuration("retry-min"),
        link.getDuration("retry-max"),
        link.getDuration("poll-every"),
        link.getDuration("stale-after"),
        link.getDuration("store-every"),
        link.getInt("read-ahead"),
        link.getBytes("read-ahead-bytes"),
        link.getDuration("base-every"),
        link.getInt("compression"),
        link.getInt("known-blocks"),
        link.getBytes("replay-max"),
        link.getBytes("node-rate"));
  }
}
