package io.tidemark.group;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.SupervisorStrategy;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The names of a site's groups with their members, one entity a site. It wakes the groups when it
 * is told to, so that schedules and unsettled tags go on after the loss of a group's node (U2).
 */
public final class GroupDirectory
    extends EventSourcedBehaviorWithEnforcedReplies<
        GroupDirectory.Command, GroupDirectory.Event, GroupDirectory.Listed> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "group-directory");

  public static final int GROUPS_MAX = 1_000;

  private static final int SNAPSHOT_EVERY = 100;

  /** What the directory is asked. */
  public sealed interface Command extends TidemarkMessage {}

  /**
   * Lists a group. Replies {@link Listing}; {@code LIMIT} when there are too many. Safe to repeat.
   *
   * @param exists whether there is such a group, and these are its members; else the name is only
   *     reserved, and one that is listed stays as it is
   */
  @JsonTypeName("list-group")
  public record ListGroup(
      String name, List<VolumeName> volumes, boolean exists, ActorRef<Reply> replyTo)
      implements Command {}

  /** Replies {@link Listing}, also when it was not listed: safe to repeat. */
  @JsonTypeName("unlist-group")
  public record UnlistGroup(String name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}. */
  @JsonTypeName("get-groups")
  public record GetGroups(ActorRef<Reply> replyTo) implements Command {}

  /** Wakes every group. No reply. */
  @JsonTypeName("wake-groups")
  public record WakeGroups() implements Command {}

  /** What the directory answers. */
  public sealed interface Reply extends TidemarkMessage {}

  /** Members by group. */
  @JsonTypeName("group-listing")
  public record Listing(Map<String, List<VolumeName>> groups) implements Reply {}

  @JsonTypeName("group-directory-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  /** What has happened to it. */
  public sealed interface Event extends TidemarkMessage {}

  @JsonTypeName("group-listed")
  public record GroupListed(String name, List<VolumeName> volumes) implements Event {}

  @JsonTypeName("group-unlisted")
  public record GroupUnlisted(String name) implements Event {}

  /** Members by group. */
  @JsonTypeName("groups-listed")
  public record Listed(Map<String, List<VolumeName>> groups) implements TidemarkMessage {
    static final Listed NONE = new Listed(Map.of());

    Listed apply(Event event) {
      Map<String, List<VolumeName>> changed = new TreeMap<>(groups);
      if (event instanceof GroupListed e) {
        changed.put(e.name(), e.volumes());
      } else if (event instanceof GroupUnlisted e) {
        changed.remove(e.name());
      }
      return new Listed(changed);
    }
  }

  private final Function<String, RecipientRef<GroupEntity.Command>> groups;

  /**
   * @param groups the entity of a name
   */
  public static Behavior<Command> create(
      String site, Function<String, RecipientRef<GroupEntity.Command>> groups) {
    return new GroupDirectory(site, groups);
  }

  private GroupDirectory(String site, Function<String, RecipientRef<GroupEntity.Command>> groups) {
    super(
        PersistenceId.of(TYPE_KEY.name(), site),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(500), Duration.ofSeconds(10), 0.2));
    this.groups = groups;
  }

  @Override
  public Listed emptyState() {
    return Listed.NONE;
  }

  @Override
  public CommandHandlerWithReply<Command, Event, Listed> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(ListGroup.class, this::onList)
        .onCommand(UnlistGroup.class, this::onUnlist)
        .onCommand(GetGroups.class, this::onGet)
        .onCommand(WakeGroups.class, this::onWake)
        .build();
  }

  private ReplyEffect<Event, Listed> onList(Listed state, ListGroup c) {
    List<VolumeName> listed = state.groups().get(c.name());
    if (listed != null && (!c.exists() || listed.equals(c.volumes()))) {
      return Effect().reply(c.replyTo(), new Listing(state.groups()));
    }
    if (listed == null && state.groups().size() >= GROUPS_MAX) {
      return Effect()
          .reply(
              c.replyTo(),
              new Refused(ErrorCode.LIMIT, "a site has at most " + GROUPS_MAX + " groups"));
    }
    return Effect()
        .persist((Event) new GroupListed(c.name(), c.volumes()))
        .thenReply(c.replyTo(), next -> (Reply) new Listing(next.groups()));
  }

  private ReplyEffect<Event, Listed> onUnlist(Listed state, UnlistGroup c) {
    return state.groups().containsKey(c.name())
        ? Effect()
            .persist((Event) new GroupUnlisted(c.name()))
            .thenReply(c.replyTo(), next -> (Reply) new Listing(next.groups()))
        : Effect().reply(c.replyTo(), new Listing(state.groups()));
  }

  private ReplyEffect<Event, Listed> onGet(Listed state, GetGroups c) {
    return Effect().reply(c.replyTo(), new Listing(state.groups()));
  }

  private ReplyEffect<Event, Listed> onWake(Listed state, WakeGroups c) {
    state.groups().keySet().forEach(name -> groups.apply(name).tell(new GroupEntity.Wake()));
    return Effect().noReply();
  }

  @Override
  public EventHandler<Listed, Event> eventHandler() {
    return newEventHandlerBuilder().forAnyState().onAnyEvent(Listed::apply);
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
