package io.tidemark.imageserver;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.AbstractBehavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.Receive;
import akka.actor.typed.receptionist.Receptionist;
import akka.actor.typed.receptionist.ServiceKey;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * What other nodes ask of the images of this one. Registered with the receptionist under the node's
 * name.
 */
public final class ImageHost extends AbstractBehavior<ImageHost.Command> {
  /** The requests, and what the node made of them. */
  public sealed interface Command {}

  /** What travels between nodes. */
  public sealed interface Request extends Command, TidemarkMessage {}

  /** Answers {@link Closed} or {@link Refused}, as {@code Images.close} does; repeating is safe. */
  @JsonTypeName("image-host.close")
  public record CloseImage(String name, boolean force, ActorRef<Reply> replyTo)
      implements Request {}

  /** Answers {@link Conditions}. */
  @JsonTypeName("image-host.get-conditions")
  public record GetConditions(ActorRef<Reply> replyTo) implements Request {}

  private record CloseEnded(Optional<Throwable> failure, ActorRef<Reply> replyTo)
      implements Command {}

  public sealed interface Reply extends TidemarkMessage {}

  @JsonTypeName("image-host.closed")
  public record Closed() implements Reply {}

  @JsonTypeName("image-host.refused")
  public record Refused(ErrorCode code, String message) implements Reply {}

  /** By image name, those that the node serves now. */
  @JsonTypeName("image-host.conditions")
  public record Conditions(Map<String, Condition> images) implements Reply {}

  /** As {@code ImageSummary} has it. */
  public record Condition(
      long overlayBytes, int clients, long failedReads, Optional<String> problem) {}

  /** What the actor asks of its node. */
  interface Local {
    CompletionStage<Void> close(String name, boolean force);

    Map<String, Condition> conditions();
  }

  private final Local local;

  private ImageHost(ActorContext<Command> context, Local local) {
    super(context);
    this.local = local;
  }

  static ServiceKey<Command> key(String node) {
    return ServiceKey.create(Command.class, "tidemark-images-" + node);
  }

  static Behavior<Command> create(String node, Local local) {
    return Behaviors.setup(
        context -> {
          context
              .getSystem()
              .receptionist()
              .tell(Receptionist.register(key(node), context.getSelf()));
          return new ImageHost(context, local);
        });
  }

  @Override
  public Receive<Command> createReceive() {
    return newReceiveBuilder()
        .onMessage(CloseImage.class, this::onCloseImage)
        .onMessage(GetConditions.class, this::onGetConditions)
        .onMessage(CloseEnded.class, this::onCloseEnded)
        .build();
  }

  private Behavior<Command> onCloseImage(CloseImage command) {
    getContext()
        .pipeToSelf(
            local.close(command.name(), command.force()),
            (done, failure) -> new CloseEnded(Optional.ofNullable(failure), command.replyTo()));
    return this;
  }

  private Behavior<Command> onGetConditions(GetConditions command) {
    command.replyTo().tell(new Conditions(local.conditions()));
    return this;
  }

  private Behavior<Command> onCloseEnded(CloseEnded ended) {
    ended.replyTo().tell(ended.failure().<Reply>map(ImageHost::refused).orElseGet(Closed::new));
    return this;
  }

  private static Reply refused(Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof Refusal refusal
        ? new Refused(refusal.code(), refusal.getMessage())
        : new Refused(ErrorCode.FAILED, String.valueOf(cause.getMessage()));
  }
}
