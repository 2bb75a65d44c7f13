package io.tidemark.group;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.group.GroupEvent.GroupClosing;
import io.tidemark.group.GroupEvent.GroupCreated;
import io.tidemark.group.GroupEvent.GroupDeleted;
import io.tidemark.group.GroupEvent.LockNoted;
import io.tidemark.group.GroupEvent.ScheduleRemoved;
import io.tidemark.group.GroupEvent.ScheduleSet;
import io.tidemark.group.GroupEvent.TaggingBegan;
import io.tidemark.group.GroupEvent.TaggingEnded;
import io.tidemark.group.GroupEvent.UnlockNoted;
import io.tidemark.position.VolumeName;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.tag.TagMark;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;

/** A group's state and its transitions: pure and immutable. */
public sealed interface GroupState extends TidemarkMessage {
  GroupState EMPTY = new Absent();

  /** There is no group of the name. */
  @JsonTypeName("group-state-absent")
  record Absent() implements GroupState {}

  /**
   * There is one.
   *
   * @param id of this incarnation
   * @param running tags that have not settled; none: {@code Open}, else {@code Tagging}
   * @param locked tags that are kept, with what they name
   * @param closing whether it is being deleted
   */
  @JsonTypeName("group-state-live")
  record Live(
      UUID id,
      List<VolumeName> volumes,
      long createdMicros,
      Map<String, Schedule> schedules,
      Set<String> running,
      Map<String, List<TagMark>> locked,
      boolean closing)
      implements GroupState {

    Live withSchedules(Map<String, Schedule> newSchedules) {
      return new Live(id, volumes, createdMicros, newSchedules, running, locked, closing);
    }

    Live withRunning(Set<String> newRunning) {
      return new Live(id, volumes, createdMicros, schedules, newRunning, locked, closing);
    }

    Live withLocked(Map<String, List<TagMark>> newLocked) {
      return new Live(id, volumes, createdMicros, schedules, running, newLocked, closing);
    }
  }

  /** The state after {@code event}. */
  static GroupState apply(GroupState state, GroupEvent event) {
    if (event instanceof GroupCreated e) {
      return new Live(e.id(), e.volumes(), e.timeMicros(), Map.of(), Set.of(), Map.of(), false);
    }
    if (event instanceof GroupDeleted) {
      return EMPTY;
    }
    if (!(state instanceof Live live)) {
      throw new IllegalStateException(event + " happened to a group that does not exist");
    }
    if (event instanceof ScheduleSet e) {
      return live.withSchedules(with(live.schedules(), e.schedule().name(), e.schedule()));
    }
    if (event instanceof ScheduleRemoved e) {
      return live.withSchedules(without(live.schedules(), e.schedule()));
    }
    if (event instanceof TaggingBegan e) {
      Set<String> running = new TreeSet<>(live.running());
      running.add(e.tag());
      return live.withRunning(running);
    }
    if (event instanceof TaggingEnded e) {
      Set<String> running = new TreeSet<>(live.running());
      running.remove(e.tag());
      return live.withRunning(running);
    }
    if (event instanceof LockNoted e) {
      return live.withLocked(with(live.locked(), e.tag(), e.marks()));
    }
    if (event instanceof UnlockNoted e) {
      return live.withLocked(without(live.locked(), e.tag()));
    }
    if (event instanceof GroupClosing) {
      return new Live(
          live.id(),
          live.volumes(),
          live.createdMicros(),
          Map.of(),
          live.running(),
          live.locked(),
          true);
    }
    throw new IllegalStateException("no transition for " + event);
  }

  private static <T> Map<String, T> with(Map<String, T> map, String key, T value) {
    Map<String, T> more = new TreeMap<>(map);
    more.put(key, value);
    return more;
  }

  private static <T> Map<String, T> without(Map<String, T> map, String key) {
    Map<String, T> less = new TreeMap<>(map);
    less.remove(key);
    return less;
  }
}
