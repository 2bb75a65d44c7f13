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
import io.tidemark.image.ImageEvent.ImageClosed;
import io.tidemark.image.ImageEvent.ImageClosingBegan;
import io.tidemark.image.ImageEvent.ImageRequested;
import io.tidemark.image.ImageEvent.ImageServed;
import io.tidemark.image.ImageState.Absent;
import io.tidemark.image.ImageState.Closing;
import io.tidemark.image.ImageState.Opening;
import io.tidemark.image.ImageState.Serving;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;

/**
 * One image by name: which point it shows, which node serves it, how far its opening or closing has
 * come. The node that serves it takes each step after it is persisted here, so that a crash between
 * two steps is finished or undone when the node starts again.
 *
 * <pre>
 *   Absent --Open--> Opening --ConfirmServing--> Serving --Close--> Closing --ConfirmClosed--> Absent
 *                       |                                              ^
 *                       +---------------------Close--------------------+
 * </pre>
 */
public final class ImageEntity
    extends EventSourcedBehaviorWithEnforcedReplies<ImageEntity.Command, ImageEvent, ImageState> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "image");
  static final int SNAPSHOT_EVERY = 100;

  /** All requests are answered with a {@link Reply}. */
  public sealed interface Command extends TidemarkMessage {}

  /**
   * Begins an image. Answers {@link Described}; refuses with {@code ALREADY_EXISTS} when the name
   * is in use by another. Repeating it with the same spec is safe.
   */
  @JsonTypeName("image.open")
  public record Open(ImageSpec spec, ActorRef<Reply> replyTo) implements Command {}

  /**
   * The node serves it now. Answers {@link Described}; refuses with {@code NOT_FOUND} when it is
   * closing or gone. Repeating is safe.
   */
  @JsonTypeName("image.confirm-serving")
  public record ConfirmServing(String uri, long openMillis, ActorRef<Reply> replyTo)
      implements Command {}

  /**
   * Begins its end. Answers {@link Described}; refuses with {@code NOT_FOUND} when there is none.
   * Repeating is safe.
   */
  @JsonTypeName("image.close")
  public record Close(ActorRef<Reply> replyTo) implements Command {}

  /**
   * The node has dropped all of it. Answers {@link Gone}; refuses with {@code BUSY} when it was not
   * asked to close. Repeating is safe.
   */
  @JsonTypeName("image.confirm-closed")
  public record ConfirmClosed(ActorRef<Reply> replyTo) implements Command {}

  /** Answers {@link Described} or {@link Gone}. */
  @JsonTypeName("image.get")
  public record GetImage(ActorRef<Reply> replyTo) implements Command {}

  /** What a command comes back with. */
  public sealed interface Reply extends TidemarkMessage {}

  /**
   * The image as it is after the command.
   *
   * @param state {@code Opening}, {@code Serving} or {@code Closing}
   * @param uri empty before it was served for the first time
   */
  @JsonTypeName("image.described")
  public record Described(ImageSpec spec, String state, String uri, long openMillis)
      implements Reply {}

  /** There is no image of the name. */
  @JsonTypeName("image.gone")
  public record Gone() implements Reply {}

  @JsonTypeName("image.refused")
  public record Refused(ErrorCode code, String message) implements Reply {}

  private final String name;

  private ImageEntity(String name) {
    super(PersistenceId.of(TYPE_KEY.name(), name));
    this.name = name;
  }

  /** Makes the entities of this type available on this node. */
  public static void init(ClusterSharding sharding) {
    sharding.init(Entity.of(TYPE_KEY, context -> create(context.getEntityId())));
  }

  /**
   * @param name the image's, which is its entity id
   */
  public static Behavior<Command> create(String name) {
    return new ImageEntity(name);
  }

  @Override
  public ImageState emptyState() {
    return ImageState.EMPTY;
  }

  @Override
  public CommandHandlerWithReply<Command, ImageEvent, ImageState> commandHandler() {
    var handlers = newCommandHandlerWithReplyBuilder();
    handlers
        .forStateType(Absent.class)
        .onCommand(Open.class, this::onOpen)
        .onCommand(ConfirmServing.class, command -> refuseAbsent(command.replyTo()))
        .onCommand(Close.class, command -> refuseAbsent(command.replyTo()))
        .onCommand(ConfirmClosed.class, command -> replyGone(command.replyTo()))
        .onCommand(GetImage.class, command -> replyGone(command.replyTo()));
    handlers
        .forStateType(Opening.class)
        .onCommand(Open.class, (s, command) -> onOpenAgain(s.spec(), s, command))
        .onCommand(ConfirmServing.class, this::onConfirmServing)
        .onCommand(Close.class, this::onClose)
        .onCommand(ConfirmClosed.class, command -> refuseOpen(command.replyTo()))
        .onCommand(GetImage.class, this::onGet);
    handlers
        .forStateType(Serving.class)
        .onCommand(Open.class, (s, command) -> onOpenAgain(s.spec(), s, command))
        .onCommand(ConfirmServing.class, this::onConfirmServingAgain)
        .onCommand(Close.class, this::onClose)
        .onCommand(ConfirmClosed.class, command -> refuseOpen(command.replyTo()))
        .onCommand(GetImage.class, this::onGet);
    handlers
        .forStateType(Closing.class)
        .onCommand(Open.class, this::onOpenWhileClosing)
        .onCommand(ConfirmServing.class, command -> refuseAbsent(command.replyTo()))
        .onCommand(Close.class, (s, command) -> Effect().reply(command.replyTo(), describe(s)))
        .onCommand(ConfirmClosed.class, this::onConfirmClosed)
        .onCommand(GetImage.class, this::onGet);
    return handlers.build();
  }

  private ReplyEffect<ImageEvent, ImageState> onOpen(Open command) {
    return Effect()
        .persist(new ImageRequested(command.spec()))
        .thenReply(command.replyTo(), ImageEntity::describe);
  }

  private ReplyEffect<ImageEvent, ImageState> onOpenAgain(
      ImageSpec current, ImageState state, Open command) {
    return current.equals(command.spec())
        ? Effect().reply(command.replyTo(), describe(state))
        : Effect()
            .reply(
                command.replyTo(),
                new Refused(
                    ErrorCode.ALREADY_EXISTS,
                    "an image '" + name + "' is open already; choose another name or close it"));
  }

  private ReplyEffect<ImageEvent, ImageState> onOpenWhileClosing(Open command) {
    return Effect()
        .reply(
            command.replyTo(),
            new Refused(
                ErrorCode.BUSY, "the image '" + name + "' is being closed; try again later"));
  }

  private ReplyEffect<ImageEvent, ImageState> onConfirmServing(ConfirmServing command) {
    return Effect()
        .persist(new ImageServed(command.uri(), command.openMillis()))
        .thenReply(command.replyTo(), ImageEntity::describe);
  }

  private ReplyEffect<ImageEvent, ImageState> onConfirmServingAgain(
      Serving state, ConfirmServing command) {
    return state.uri().equals(command.uri())
        ? Effect().reply(command.replyTo(), describe(state))
        : Effect()
            .persist(new ImageServed(command.uri(), state.openMillis()))
            .thenReply(command.replyTo(), ImageEntity::describe);
  }

  private ReplyEffect<ImageEvent, ImageState> onClose(Close command) {
    return Effect()
        .persist(new ImageClosingBegan())
        .thenReply(command.replyTo(), ImageEntity::describe);
  }

  private ReplyEffect<ImageEvent, ImageState> onConfirmClosed(ConfirmClosed command) {
    return Effect().persist(new ImageClosed()).thenReply(command.replyTo(), state -> new Gone());
  }

  private ReplyEffect<ImageEvent, ImageState> onGet(ImageState state, GetImage command) {
    return Effect().reply(command.replyTo(), describe(state));
  }

  private ReplyEffect<ImageEvent, ImageState> replyGone(ActorRef<Reply> replyTo) {
    return Effect().reply(replyTo, new Gone());
  }

  private ReplyEffect<ImageEvent, ImageState> refuseAbsent(ActorRef<Reply> replyTo) {
    return Effect()
        .reply(replyTo, new Refused(ErrorCode.NOT_FOUND, "there is no open image '" + name + "'"));
  }

  private ReplyEffect<ImageEvent, ImageState> refuseOpen(ActorRef<Reply> replyTo) {
    return Effect()
        .reply(
            replyTo,
            new Refused(ErrorCode.BUSY, "the image '" + name + "' was not asked to close"));
  }

  private static Reply describe(ImageState state) {
    if (state instanceof Opening s) {
      return new Described(s.spec(), "Opening", "", 0);
    }
    if (state instanceof Serving s) {
      return new Described(s.spec(), "Serving", s.uri(), s.openMillis());
    }
    if (state instanceof Closing s) {
      return new Described(s.spec(), "Closing", s.uri(), s.openMillis());
    }
    return new Gone();
  }

  @Override
  public EventHandler<ImageState, ImageEvent> eventHandler() {
    return newEventHandlerBuilder().forAnyState().onAnyEvent(ImageState::apply);
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
