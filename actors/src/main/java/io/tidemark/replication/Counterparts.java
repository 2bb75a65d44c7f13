package io.tidemark.replication;

import io.tidemark.config.Endpoint;
import io.tidemark.position.VolumeName;
import io.tidemark.site.Replicas.ReplicaSpec;
import io.tidemark.site.VolumeSummary;
import java.util.concurrent.CompletionStage;

/** The other sites as a link uses them. Stages fail with {@code Refusal}. */
public interface Counterparts {
  /** Makes the volume of that name there the replica of a link, creating it if need be. */
  CompletionStage<VolumeSummary> createReplica(String site, VolumeName volume, ReplicaSpec spec);

  /**
   * Where a node of the site takes lines, another one each time; fails with {@code NOT_FOUND} for a
   * site that nobody knows, {@code NOT_ACKNOWLEDGED} when none of its nodes can be reached.
   */
  CompletionStage<Endpoint> address(String site);
}
