package io.tidemark.site;

import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeName;
import io.tidemark.volume.Standing;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionStage;

/**
 * Changes what this site's volumes are to their counterparts at other sites. Everything is safe to
 * repeat. Stages fail with {@code Refusal}; one that had no answer in time fails with {@code
 * NOT_ACKNOWLEDGED}. The volume's own commands say when they refuse.
 */
public interface Replicas {
  /**
   * What a replica is made of.
   *
   * @param baseMicros the time of the source's empty base
   * @param epoch the source's
   * @param branch the source's
   * @param link the id of the link that alone may write it
   * @param origin where the link comes from, in words
   */
  record ReplicaSpec(
      long sizeBytes, long baseMicros, long epoch, String branch, UUID link, String origin) {}

  /**
   * How a volume is demoted.
   *
   * @param epoch the volume's own, as it was seen
   * @param link whose replica it becomes; empty to fence it only
   * @param origin where that link comes from, or why it is fenced, in words
   * @param keepSeq what was written after it becomes a branch of its own; -1 to keep all
   * @param keepMicros the time of {@code keepSeq}
   */
  record Demotion(long epoch, Optional<UUID> link, String origin, long keepSeq, long keepMicros) {}

  /** Makes the volume the replica of a link, creating it if need be. */
  CompletionStage<VolumeSummary> createReplica(VolumeName name, ReplicaSpec spec);

  /**
   * Makes a replica or a fenced volume a primary in the epoch after {@code epoch}.
   *
   * @param drainedSeq the source's last write when nobody writes there any more, else -1
   */
  CompletionStage<VolumeSummary> promote(
      VolumeName name, long epoch, long drainedSeq, boolean forced);

  /** Fences a volume, or makes it the replica of a link. */
  CompletionStage<VolumeSummary> demote(VolumeName name, Demotion demotion);

  /** Has the volume's taps acknowledge writes only while they have a lease, or not any more. */
  CompletionStage<VolumeSummary> lease(VolumeName name, boolean on);

  /** Lines of history that the volume left, oldest first. */
  CompletionStage<List<Standing.Branch>> branches(VolumeName name);

  /** What a reader of such a line needs; {@code NOT_FOUND} when there is none of that name. */
  CompletionStage<HistoryView> branch(VolumeName name, String branch);
}
