package io.tidemark.group;

import io.tidemark.position.VolumeName;
import io.tidemark.tag.TagMark;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * A group as it is now.
 *
 * @param state {@code Open}, {@code Tagging} or {@code Closing}
 * @param running tags that have not settled
 * @param locked tags that are kept, with what they name
 */
public record GroupSummary(
    String name,
    UUID id,
    String state,
    List<VolumeName> volumes,
    long createdMicros,
    List<Schedule> schedules,
    List<String> running,
    Map<String, List<TagMark>> locked) {}
