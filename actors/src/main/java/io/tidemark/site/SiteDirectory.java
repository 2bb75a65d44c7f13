package io.tidemark.site;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.Behaviors;
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
import io.tidemark.site.DirectoryEvent.VolumeListed;
import io.tidemark.site.DirectoryEvent.VolumeUnlisted;
import java.time.Duration;
import java.util.List;

/**
 * The names of a site's volumes, one entity a site. A name is listed before its volume is created
 * and unlisted after it is deleted, so that no volume is ever missing; a listed name without a
 * volume is passed over by who reads the list.
 */
public final class SiteDirectory
    extends EventSourcedBehaviorWithEnforcedReplies<
        SiteDirectory.Command, DirectoryEvent, DirectoryState> {

  public static final EntityTypeKey<Command> TYPE_KEY = EntityTypeKey.create(Command.class, "site");

  /** Volumes of one site. */
  public static final int VOLUMES_MAX = 20_000;

  private static final int SNAPSHOT_EVERY = 100;
  private static final int SNAPSHOTS_KEPT = 2;

  /** What the directory is asked. */
  public sealed interface Command extends TidemarkMessage {}

  /** Replies {@link Listing}; {@code LIMIT} when the site is full. Safe to repeat. */
  @JsonTypeName("list-volume")
  public record ListVolume(VolumeName name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}, also when the name was not listed: safe to repeat. */
  @JsonTypeName("unlist-volume")
  public record UnlistVolume(VolumeName name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}. */
  @JsonTypeName("get-names")
  public record GetNames(ActorRef<Reply> replyTo) implements Command {}

  /** What the directory answers. */
  public sealed interface Reply extends TidemarkMessage {}

  /** All names, in order. */
  @JsonTypeName("listing")
  public record Listing(List<VolumeName> names) implements Reply {}

  /** An expected refusal. */
  @JsonTypeName("directory-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  public static Behavior<Command> create(String site) {
    return Behaviors.setup(context -> new SiteDirectory(site));
  }

  private SiteDirectory(String site) {
    super(
        PersistenceId.of(TYPE_KEY.name(), site),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(500), Duration.ofSeconds(10), 0.2));
  }

  @Override
  public DirectoryState emptyState() {
    return DirectoryState.EMPTY;
  }

  @Override
  public CommandHandlerWithReply<Command, DirectoryEvent, DirectoryState> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(ListVolume.class, this::onList)
        .onCommand(UnlistVolume.class, this::onUnlist)
        .onCommand(GetNames.class, this::onGetNames)
        .build();
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onList(DirectoryState state, ListVolume c) {
    if (state.names().contains(c.name())) {
      return Effect().reply(c.replyTo(), new Listing(state.names()));
    }
    if (state.names().size() >= VOLUMES_MAX) {
      return Effect()
          .reply(
              c.replyTo(),
              new Refused(ErrorCode.LIMIT, "a site has at most " + VOLUMES_MAX + " volumes"));
    }
    return Effect()
        .persist(new VolumeListed(c.name()))
        .thenReply(c.replyTo(), next -> new Listing(next.names()));
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onUnlist(
      DirectoryState state, UnlistVolume c) {
    if (!state.names().contains(c.name())) {
      return Effect().reply(c.replyTo(), new Listing(state.names()));
    }
    return Effect()
        .persist(new VolumeUnlisted(c.name()))
        .thenReply(c.replyTo(), next -> new Listing(next.names()));
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onGetNames(DirectoryState state, GetNames c) {
    return Effect().reply(c.replyTo(), new Listing(state.names()));
  }

  @Override
  public EventHandler<DirectoryState, DirectoryEvent> eventHandler() {
    return DirectoryState::apply;
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, SNAPSHOTS_KEPT);
  }
}
