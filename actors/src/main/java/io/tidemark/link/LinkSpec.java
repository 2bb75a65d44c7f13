package io.tidemark.link;

import io.tidemark.position.VolumeName;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * What a link replicates, fixed at its creation.
 *
 * @param id unique for ever
 * @param volumes of this site; they have the same names at the other
 * @param group whose volumes they are, if the link is a group's
 * @param toSite the other site
 */
public record LinkSpec(
    String name,
    UUID id,
    List<VolumeName> volumes,
    Optional<String> group,
    String fromSite,
    String toSite) {
  /** Volumes of one link. */
  public static final int VOLUMES_MAX = 64;

  public LinkSpec {
    volumes = List.copyOf(volumes);
  }

  /** The id that the replica of a volume lets in. */
  public UUID laneId(VolumeName volume) {
    String text = id + "/" + volume;
    return UUID.nameUUIDFromBytes(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Who the link is to the other site's administrators. */
  public String origin() {
    return "site '" + fromSite + "', link '" + name + "'";
  }

  /** Whether the other describes the same replication, whatever its id. */
  boolean same(LinkSpec other) {
    return volumes.equals(other.volumes)
        && group.equals(other.group)
        && toSite.equals(other.toSite);
  }
}
