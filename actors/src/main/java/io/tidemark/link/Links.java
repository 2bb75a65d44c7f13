package io.tidemark.link;

import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * The site's links, the same from every node. Stages fail with {@code Refusal}; one that had no
 * answer in time fails with {@code NOT_ACKNOWLEDGED}.
 */
public interface Links {
  /**
   * A link to be.
   *
   * @param name as of a volume
   * @param volumes of this site; empty for those of {@code group}
   * @param toSite another site of the cluster
   */
  record NewLink(
      String name,
      List<VolumeName> volumes,
      Optional<String> group,
      String toSite,
      LinkRules rules) {}

  /**
   * {@code NOT_FOUND} for a volume or group that is not, {@code INVALID} for a link to the own
   * site; {@code ALREADY_EXISTS} when the name is taken by another replication. Safe to repeat.
   */
  CompletionStage<LinkSummary> create(NewLink link);

  /** In name order. */
  CompletionStage<List<LinkSummary>> list();

  CompletionStage<LinkSummary> get(String name);

  CompletionStage<LinkSummary> setRules(String name, LinkRules rules);

  CompletionStage<LinkSummary> pause(String name);

  /** Has it run, also what was broken. */
  CompletionStage<LinkSummary> resume(String name);

  /** Compares source and target, and sends what differs. */
  CompletionStage<LinkSummary> resync(String name);

  /** Forgets it; the replicas stay as they are. */
  CompletionStage<Void> delete(String name);
}
