package io.tidemark.site;

import io.tidemark.journal.TapStatus;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.retention.RetentionPolicy;
import java.util.List;
import java.util.Optional;

/**
 * What is known of a volume now.
 *
 * @param state {@code Created}, {@code Synchronizing}, {@code Protected} or {@code Resyncing}
 * @param role {@code Primary}, {@code Replica}, {@code Promoting} or {@code Fenced}
 * @param rawBytes data that the journal holds now
 * @param storedBytes the same after compression
 * @param tapAddress of the attached tap, or of the last one
 * @param tapConnected whether it is attached now
 * @param tapNode cluster address of the node that the attached tap's link is to, empty when none is
 *     attached or it has not made itself known yet
 * @param tapStatus the tap's newest word, empty when none is attached
 * @param tapStatusMicros when it came
 * @param retention how much history is kept
 * @param pins points that are held by who reads them
 * @param keptTags tags whose points outlive the window
 * @param lostHolds pins and kept tags that the hard cap has ended so far
 */
public record VolumeSummary(
    VolumeName name,
    VolumeId id,
    long sizeBytes,
    String site,
    String state,
    String role,
    long epoch,
    String branch,
    boolean synchronous,
    RecoveryPoint head,
    RecoveryPoint horizon,
    long rawBytes,
    long storedBytes,
    boolean tapConnected,
    Optional<String> tapAddress,
    Optional<String> tapNode,
    Optional<TapStatus> tapStatus,
    long tapStatusMicros,
    List<DarkInterval> dark,
    RetentionPolicy retention,
    int pins,
    int keptTags,
    long lostHolds) {

  public VolumeSummary {
    // Absent in what a node of an earlier release sends.
    retention = retention == null ? RetentionPolicy.ALL : retention;
  }

  /** Whether the journal stores more than the policy wants. */
  public boolean overCap() {
    return retention.capBytes() > 0 && storedBytes > retention.capBytes();
  }

  /** Whether it stores so much that held points are given up. */
  public boolean overHardCap() {
    return retention.hardCapBytes() > 0 && storedBytes > retention.hardCapBytes();
  }

  /** A volume that keeps everything. */
  public VolumeSummary(
      VolumeName name,
      VolumeId id,
      long sizeBytes,
      String site,
      String state,
      String role,
      long epoch,
      String branch,
      boolean synchronous,
      RecoveryPoint head,
      RecoveryPoint horizon,
      long rawBytes,
      long storedBytes,
      boolean tapConnected,
      Optional<String> tapAddress,
      Optional<String> tapNode,
      Optional<TapStatus> tapStatus,
      long tapStatusMicros,
      List<DarkInterval> dark) {
    this(
        name,
        id,
        sizeBytes,
        site,
        state,
        role,
        epoch,
        branch,
        synchronous,
        head,
        horizon,
        rawBytes,
        storedBytes,
        tapConnected,
        tapAddress,
        tapNode,
        tapStatus,
        tapStatusMicros,
        dark,
        RetentionPolicy.ALL,
        0,
        0,
        0);
  }
}
