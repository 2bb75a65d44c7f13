package io.tidemark.group;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.tag.TagMark;
import java.util.List;
import java.util.UUID;

/** What has happened to a group. */
public sealed interface GroupEvent extends TidemarkMessage {
  /**
   * @param id of this incarnation
   */
  @JsonTypeName("group-created")
  record GroupCreated(UUID id, List<VolumeName> volumes, long timeMicros) implements GroupEvent {}

  @JsonTypeName("group-schedule-set")
  record ScheduleSet(Schedule schedule) implements GroupEvent {}

  @JsonTypeName("group-schedule-removed")
  record ScheduleRemoved(String schedule) implements GroupEvent {}

  /** A tag is about to be asked for. */
  @JsonTypeName("group-tagging-began")
  record TaggingBegan(String tag) implements GroupEvent {}

  /** It has settled. */
  @JsonTypeName("group-tagging-ended")
  record TaggingEnded(String tag) implements GroupEvent {}

  /** It is kept, and what it names is. */
  @JsonTypeName("group-lock-noted")
  record LockNoted(String tag, List<TagMark> marks) implements GroupEvent {}

  @JsonTypeName("group-unlock-noted")
  record UnlockNoted(String tag) implements GroupEvent {}

  /** Takes no more tags; those that it has are being removed. */
  @JsonTypeName("group-closing")
  record GroupClosing() implements GroupEvent {}

  /** Nothing of it is left. */
  @JsonTypeName("group-deleted")
  record GroupDeleted() implements GroupEvent {}
}
