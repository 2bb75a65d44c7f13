package io.tidemark.image;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.sharding.typed.javadsl.Entity;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;
import java.util.Map;
import java.util.TreeMap;

/**
 * The names of a site's images and the node of each. A name is taken here before its entity opens
 * and freed after it is gone (I3), so every image can be found here.
 */
public final class ImageDirectory
    extends EventSourcedBehaviorWithEnforcedReplies<
        ImageDirectory.Command, ImageDirectory.Event, ImageDirectory.Names> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "image-directory");

  /** The one entity of this type. */
  public static final String ENTITY_ID = "site";

  public static final int IMAGES_MAX = 1_000;
  static final int SNAPSHOT_EVERY = 100;

  public sealed interface Command extends TidemarkMessage {}

  /**
   * Takes a name for an image of the node. Answers {@link Taken}; refuses with {@code
   * ALREADY_EXISTS} or {@code LIMIT}. Not to be repeated: a second call takes a second name.
   *
   * @param exact whether another name will not do; else {@code -2}, {@code -3} ... is appended
   */
  @JsonTypeName("image-directory.take")
  public record TakeName(String name, boolean exact, String node, ActorRef<Reply> replyTo)
      implements Command {}

  /** Frees a name. Answers {@link Listed}; repeating is safe. */
  @JsonTypeName("image-directory.free")
  public record FreeName(String name, ActorRef<Reply> replyTo) implements Command {}

  /** Answers {@link Listed}. */
  @JsonTypeName("image-directory.get")
  public record GetNames(ActorRef<Reply> replyTo) implements Command {}

  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("image-directory.taken")
  public record Taken(String name) implements Reply {}

  /**
   * All names.
   *
   * @param nodes the node of each
   */
  @JsonTypeName("image-directory.listed")
  public record Listed(Map<String, String> nodes) implements Reply {}

  @JsonTypeName("image-directory.refused")
  public record Refused(ErrorCode code, String message) implements Reply {}

  public sealed interface Event extends TidemarkMessage {}

  @JsonTypeName("image-name-taken")
  public record NameTaken(String name, String node) implements Event {}

  @JsonTypeName("image-name-freed")
  public record NameFreed(String name) implements Event {}

  /**
   * The state.
   *
   * @param nodes the node of each image
   */
  @JsonTypeName("image-names")
  public record Names(Map<String, String> nodes) implements TidemarkMessage {
    public Names {
      nodes = Map.copyOf(nodes);
    }

    Names apply(Event event) {
      Map<String, String> changed = new TreeMap<>(nodes);
      if (event instanceof NameTaken e) {
        changed.put(e.name(), e.node());
      } else if (event instanceof NameFreed e) {
        changed.remove(e.name());
      }
      return new Names(changed);
    }

    /** The name itself, or the first of {@code name-2}, {@code name-3} ... that is free. */
    String free(String name) {
      String candidate = name;
      for (int i = 2; nodes.containsKey(candidate); i++) {
        candidate = name + "-" + i;
      }
      return candidate;
    }
  }

  private ImageDirectory() {
    super(PersistenceId.of(TYPE_KEY.name(), ENTITY_ID));
  }

  /** Makes the directory available on this node. */
  public static void init(ClusterSharding sharding) {
    sharding.init(Entity.of(TYPE_KEY, context -> create()));
  }

  public static Behavior<Command> create() {
    return new ImageDirectory();
  }

  @Override
  public Names emptyState() {
    return new Names(Map.of());
  }

  @Override
  public CommandHandlerWithReply<Command, Event, Names> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(TakeName.class, this::onTakeName)
        .onCommand(FreeName.class, this::onFreeName)
        .onCommand(GetNames.class, this::onGetNames)
        .build();
  }

  private ReplyEffect<Event, Names> onTakeName(Names names, TakeName command) {
    if (command.exact() && names.nodes().containsKey(command.name())) {
      return Effect()
          .reply(
              command.replyTo(),
              new Refused(
                  ErrorCode.ALREADY_EXISTS,
                  "an image '"
                      + command.name()
                      + "' is open already; choose another name or close it"));
    }
    if (names.nodes().size() >= IMAGES_MAX) {
      return Effect()
          .reply(
              command.replyTo(),
              new Refused(
                  ErrorCode.LIMIT,
                  IMAGES_MAX + " images are open, the most a site has; close one first"));
    }
    String name = names.free(command.name());
    return Effect()
        .persist(new NameTaken(name, command.node()))
        .thenReply(command.replyTo(), state -> new Taken(name));
  }

  private ReplyEffect<Event, Names> onFreeName(Names names, FreeName command) {
    return names.nodes().containsKey(command.name())
        ? Effect()
            .persist(new NameFreed(command.name()))
            .thenReply(command.replyTo(), state -> new Listed(state.nodes()))
        : Effect().reply(command.replyTo(), new Listed(names.nodes()));
  }

  private ReplyEffect<Event, Names> onGetNames(Names names, GetNames command) {
    return Effect().reply(command.replyTo(), new Listed(names.nodes()));
  }

  @Override
  public EventHandler<Names, Event> eventHandler() {
    return newEventHandlerBuilder().forAnyState().onAnyEvent(Names::apply);
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
