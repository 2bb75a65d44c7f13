package io.tidemark.site;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.serialization.TidemarkMessage;

/** What has happened to a site's list of volumes. */
public sealed interface DirectoryEvent extends TidemarkMessage {

  @JsonTypeName("volume-listed")
  record VolumeListed(VolumeName name) implements DirectoryEvent {}

  /** The volume is deleted; its storage may remain to be freed. */
  @JsonTypeName("volume-unlisted")
  record VolumeUnlisted(VolumeName name) implements DirectoryEvent {}

  /** Nothing of the deleted volume remains. */
  @JsonTypeName("volume-forgotten")
  record VolumeForgotten(VolumeName name) implements DirectoryEvent {}
}
