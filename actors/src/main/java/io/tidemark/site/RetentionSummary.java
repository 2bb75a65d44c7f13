package io.tidemark.site;

import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeName;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import java.util.List;

/**
 * What a volume keeps of its history, and for whom.
 *
 * @param head the newest point
 * @param horizon the oldest point of the continuous history
 * @param rawBytes data that the journal holds now, before compression
 * @param storedBytes the same after compression: what the caps are about
 * @param freedBytes stored data that was given up so far
 * @param copiedBytes stored data that was written again so that old data could go
 * @param deleting parts of the history that are given up and not yet deleted
 * @param lostHolds holds that the hard cap has ended so far
 * @param holds points that are held by who reads them
 * @param tags tags whose points outlive the window
 */
public record RetentionSummary(
    VolumeName volume,
    RetentionPolicy policy,
    RecoveryPoint head,
    RecoveryPoint horizon,
    long rawBytes,
    long storedBytes,
    long freedBytes,
    long copiedBytes,
    int deleting,
    long lostHolds,
    List<Hold> holds,
    List<KeptTag> tags) {

  /**
   * A point that somebody reads.
   *
   * @param holder who, for instance {@code image:NAME}
   * @param onward whether everything from there on is held
   * @param untilMicros when the hold ends unless it is renewed
   */
  public record Hold(String holder, long seq, boolean onward, long untilMicros) {}

  /** Whether the journal stores more than the policy wants. */
  public boolean overCap() {
    return policy.capBytes() > 0 && storedBytes > policy.capBytes();
  }

  public boolean overHardCap() {
    return policy.hardCapBytes() > 0 && storedBytes > policy.hardCapBytes();
  }
}
