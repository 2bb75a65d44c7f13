package io.tidemark.tag;

import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.UUID;

/**
 * What a tag is to be.
 *
 * @param groupId incarnation of the group
 * @param group its name
 * @param volumes its members, in order
 * @param application whether applications are quiesced; else the tag is crash-consistent
 * @param applications which; empty for all that the taps' hosts have
 * @param schedule the schedule that asks for it, empty when a person does
 * @param notes for people
 * @param expiresMicros when it is removed unless it is locked, 0 for never
 */
public record TagSpec(
    UUID groupId,
    String group,
    String name,
    List<VolumeName> volumes,
    boolean application,
    List<String> applications,
    String schedule,
    String notes,
    long requestedMicros,
    long expiresMicros) {
  public TagSpec {
    volumes = List.copyOf(volumes);
    applications = List.copyOf(applications);
  }
}
