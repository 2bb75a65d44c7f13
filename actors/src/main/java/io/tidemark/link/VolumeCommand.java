package io.tidemark.link;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.remote.RemoteSites;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import io.tidemark.site.Replicas;
import io.tidemark.site.Replicas.Demotion;
import io.tidemark.site.Replicas.ReplicaSpec;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;

/**
 * What a site asks of another one's volumes; each answers what the volume is then, refuses as
 * {@link Replicas} does, and may be repeated.
 */
public sealed interface VolumeCommand extends SiteCommand<VolumeCommand.Answer> {

  /** The volume after the command. */
  @JsonTypeName("remote-volume")
  record Answer(VolumeSummary volume) implements SiteAnswer {}

  @JsonTypeName("remote-create-replica")
  record CreateReplica(VolumeName volume, ReplicaSpec spec) implements VolumeCommand {}

  @JsonTypeName("remote-promote")
  record Promote(VolumeName volume, long epoch, long drainedSeq, boolean forced)
      implements VolumeCommand {}

  @JsonTypeName("remote-demote")
  record Demote(VolumeName volume, Demotion demotion) implements VolumeCommand {}

  @JsonTypeName("remote-lease-writes")
  record Lease(VolumeName volume, boolean on) implements VolumeCommand {}

  @JsonTypeName("remote-show-volume")
  record Show(VolumeName volume) implements VolumeCommand {}

  /** Carries these commands out at this node, whichever site asks. */
  static void serve(RemoteSites sites, Site site, Replicas replicas) {
    sites.serve(
        CreateReplica.class,
        c -> replicas.createReplica(c.volume(), c.spec()).thenApply(Answer::new));
    sites.serve(
        Promote.class,
        c ->
            replicas
                .promote(c.volume(), c.epoch(), c.drainedSeq(), c.forced())
                .thenApply(Answer::new));
    sites.serve(
        Demote.class, c -> replicas.demote(c.volume(), c.demotion()).thenApply(Answer::new));
    sites.serve(Lease.class, c -> replicas.lease(c.volume(), c.on()).thenApply(Answer::new));
    sites.serve(Show.class, c -> site.volume(c.volume()).thenApply(Answer::new));
  }
}
