package io.tidemark.remote;

import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.AbstractBehavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.Receive;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.GatewayMessage.SiteRefusal;
import io.tidemark.remote.GatewayMessage.SiteRequest;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/**
 * Where other sites' commands arrive at a node, at a path that all know; hands each to its handler
 * and sends back what became of it. Keeps nothing.
 */
final class SiteGateway extends AbstractBehavior<SiteRequest> {
  /** Below {@code /system}: the same in every version. */
  static final String NAME = "site-gateway";

  private final Envelopes envelopes;
  private final Handlers handlers;

  /** Who carries out which command; filled while the node starts. */
  static final class Handlers {
    private final Map<Class<?>, Function<Object, CompletionStage<? extends SiteAnswer>>> byClass =
        new ConcurrentHashMap<>();

    <C> void put(Class<C> command, Function<C, ? extends CompletionStage<? extends SiteAnswer>> f) {
      byClass.put(command, given -> f.apply(command.cast(given)));
    }

    Optional<Function<Object, CompletionStage<? extends SiteAnswer>>> of(Object command) {
      return Optional.ofNullable(byClass.get(command.getClass()));
    }
  }

  static Behavior<SiteRequest> create(Envelopes envelopes, Handlers handlers) {
    return Behaviors.setup(context -> new SiteGateway(context, envelopes, handlers));
  }

  private SiteGateway(ActorContext<SiteRequest> context, Envelopes envelopes, Handlers handlers) {
    super(context);
    this.envelopes = envelopes;
    this.handlers = handlers;
  }

  @Override
  public Receive<SiteRequest> createReceive() {
    return newReceiveBuilder().onMessage(SiteRequest.class, this::onRequest).build();
  }

  private Behavior<SiteRequest> onRequest(SiteRequest request) {
    answer(request)
        .handle(
            (answer, failure) ->
                failure == null
                    ? envelopes.reply(answer)
                    : refusal(Failures.cause(failure), request))
        .exceptionally(failure -> refusal(Failures.cause(failure), request))
        .thenAccept(request.replyTo()::tell);
    return this;
  }

  private CompletionStage<? extends SiteAnswer> answer(SiteRequest request) {
    try {
      Object command = envelopes.open(request);
      return handlers
          .of(command)
          .orElseThrow(() -> envelopes.unknown(request.type()))
          .apply(command);
    } catch (RuntimeException e) {
      return CompletableFuture.failedStage(e);
    }
  }

  private GatewayMessage.Reply refusal(Throwable cause, SiteRequest request) {
    if (cause instanceof Refusal refusal) {
      return new SiteRefusal(refusal.code().name(), refusal.getMessage());
    }
    envelopes.log().error("'{}' of site {} failed", request.type(), request.fromSite(), cause);
    return new SiteRefusal(
        ErrorCode.FAILED.name(),
        "site '%s' failed at '%s': %s".formatted(envelopes.here(), request.type(), cause));
  }
}
