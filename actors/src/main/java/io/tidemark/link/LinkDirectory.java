package io.tidemark.link;

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
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import java.time.Duration;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Function;

/** The names of a site's links, one entity a site. It wakes them when it is told to (K5). */
public final class LinkDirectory
    extends EventSourcedBehaviorWithEnforcedReplies<
        LinkDirectory.Command, LinkDirectory.Event, LinkDirectory.Listed> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "link-directory");

  public static final int LINKS_MAX = 1_000;

  private static final int SNAPSHOT_EVERY = 100;

  /** What the directory is asked. */
  public sealed interface Command extends TidemarkMessage {}

  /** Lists a link. Replies {@link Listing}; {@code LIMIT}. Safe to repeat. */
  @JsonTypeName("list-link")
  public record ListLink(String name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}, also when it was not listed: safe to repeat. */
  @JsonTypeName("unlist-link")
  public record UnlistLink(String name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}. */
  @JsonTypeName("get-links")
  public record GetLinks(ActorRef<Reply> replyTo) implements Command {}

  /** Wakes every link. No reply. */
  @JsonTypeName("wake-links")
  public record WakeLinks() implements Command {}

  /** What the directory answers. */
  public sealed interface Reply extends TidemarkMessage {}

  /** In name order. */
  @JsonTypeName("link-listing")
  public record Listing(List<String> names) implements Reply {}

  @JsonTypeName("link-directory-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  /** What has happened to it. */
  public sealed interface Event extends TidemarkMessage {}

  @JsonTypeName("link-listed")
  public record LinkListed(String name) implements Event {}

  @JsonTypeName("link-unlisted")
  public record LinkUnlisted(String name) implements Event {}

  /** In name order. */
  @JsonTypeName("links-listed")
  public record Listed(List<String> names) implements TidemarkMessage {
    static final Listed NONE = new Listed(List.of());

    Listed apply(Event event) {
      TreeSet<String> changed = new TreeSet<>(names);
      if (event instanceof LinkListed e) {
        changed.add(e.name());
      } else if (event instanceof LinkUnlisted e) {
        changed.remove(e.name());
      }
      return new Listed(List.copyOf(changed));
    }
  }

  private final Function<String, RecipientRef<ReplicationLink.Command>> links;

  /**
   * @param links the entity of a name
   */
  public static Behavior<Command> create(
      String site, Function<String, RecipientRef<ReplicationLink.Command>> links) {
    return new LinkDirectory(site, links);
  }

  private LinkDirectory(
      String site, Function<String, RecipientRef<ReplicationLink.Command>> links) {
    super(
        PersistenceId.of(TYPE_KEY.name(), site),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(500), Duration.ofSeconds(10), 0.2));
    this.links = links;
  }

  @Override
  public Listed emptyState() {
    return Listed.NONE;
  }

  @Override
  public CommandHandlerWithReply<Command, Event, Listed> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(ListLink.class, this::onList)
        .onCommand(UnlistLink.class, this::onUnlist)
        .onCommand(GetLinks.class, this::onGet)
        .onCommand(WakeLinks.class, this::onWake)
        .build();
  }

  private ReplyEffect<Event, Listed> onList(Listed state, ListLink c) {
    if (state.names().contains(c.name())) {
      return Effect().reply(c.replyTo(), new Listing(state.names()));
    }
    if (state.names().size() >= LINKS_MAX) {
      return Effect()
          .reply(
              c.replyTo(),
              new Refused(ErrorCode.LIMIT, "a site has at most " + LINKS_MAX + " links"));
    }
    return Effect()
        .persist((Event) new LinkListed(c.name()))
        .thenReply(c.replyTo(), next -> (Reply) new Listing(next.names()));
  }

  private ReplyEffect<Event, Listed> onUnlist(Listed state, UnlistLink c) {
    return state.names().contains(c.name())
        ? Effect()
            .persist((Event) new LinkUnlisted(c.name()))
            .thenReply(c.replyTo(), next -> (Reply) new Listing(next.names()))
        : Effect().reply(c.replyTo(), new Listing(state.names()));
  }

  private ReplyEffect<Event, Listed> onGet(Listed state, GetLinks c) {
    return Effect().reply(c.replyTo(), new Listing(state.names()));
  }

  private ReplyEffect<Event, Listed> onWake(Listed state, WakeLinks c) {
    state.names().forEach(name -> links.apply(name).tell(new ReplicationLink.Wake()));
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
