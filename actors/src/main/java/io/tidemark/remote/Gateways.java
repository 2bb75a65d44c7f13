package io.tidemark.remote;

import akka.actor.ActorSelection;
import akka.actor.Address;
import akka.actor.RootActorPath;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Adapter;
import akka.pattern.Patterns;
import io.tidemark.refusal.Failures;
import io.tidemark.remote.GatewayMessage.Reply;
import io.tidemark.remote.GatewayMessage.SiteRequest;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Asks gateways by their nodes' addresses: whoever has such an address may be asked, members or
 * not.
 */
final class Gateways {
  private static final String SYSTEM_NAME = "tidemark";
  private static final Pattern HOST_PORT = Pattern.compile("(.{1,255}):(\\d{1,5})");

  private final ActorSystem<?> system;
  private final Envelopes envelopes;

  Gateways(ActorSystem<?> system, Envelopes envelopes) {
    this.system = system;
    this.envelopes = envelopes;
  }

  /** Where a node of {@code HOST:PORT} is; empty when it is nothing of the kind. */
  static Optional<Address> address(String hostPort) {
    Matcher matcher = HOST_PORT.matcher(hostPort);
    return matcher.matches()
        ? Optional.of(
            new Address("akka", SYSTEM_NAME, matcher.group(1), Integer.parseInt(matcher.group(2))))
        : Optional.empty();
  }

  /** An answer, and when it came by the clock that was given. */
  record Timed<A>(A answer, long sentMicros, long receivedMicros) {}

  /**
   * @return fails with the site's refusal, or with akka.pattern.AskTimeoutException
   */
  <A extends SiteAnswer> CompletionStage<A> ask(
      Address node, SiteCommand<A> command, Duration within) {
    byte[] body = envelopes.body(command);
    String type = envelopes.type(command);
    return send(node, type, body, within)
        .thenApply(
            answer -> {
              @SuppressWarnings("unchecked") // the command's type parameter says so
              A typed = (A) answer;
              return typed;
            });
  }

  /** The same, with the times for {@link ClockOffset}. */
  <A extends SiteAnswer> CompletionStage<Timed<A>> timed(
      Address node, SiteCommand<A> command, Duration within, LongSupplier clock) {
    long sent = clock.getAsLong();
    return ask(node, command, within)
        .thenApply(answer -> new Timed<>(answer, sent, clock.getAsLong()));
  }

  private CompletionStage<SiteAnswer> send(
      Address node, String type, byte[] body, Duration within) {
    ActorSelection gateway =
        Adapter.toClassic(system)
            .actorSelection(new RootActorPath(node, "/").$div("system").$div(SiteGateway.NAME));
    akka.japi.Function<akka.actor.ActorRef, Object> request =
        ref -> {
          ActorRef<Reply> replyTo = Adapter.toTyped(ref);
          return new SiteRequest(type, body, envelopes.here(), replyTo);
        };
    return Patterns.askWithReplyTo(gateway, request, within)
        .thenApply(reply -> envelopes.open((Reply) reply))
        .exceptionallyCompose(
            failure -> {
              throw new CompletionException(Failures.cause(failure));
            });
  }
}
