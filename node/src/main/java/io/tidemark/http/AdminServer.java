package io.tidemark.http;

import akka.Done;
import akka.actor.CoordinatedShutdown;
import akka.actor.typed.ActorSystem;
import akka.http.javadsl.Http;
import akka.http.javadsl.ServerBinding;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/** Binds the admin interface and takes it down with the actor system. */
public final class AdminServer {
  private static final Duration DRAIN = Duration.ofSeconds(3);

  private AdminServer() {}

  /**
   * Binds.
   *
   * @param port 0 for any free one
   * @return the bound address; fails with {@code FAILED} when the port is taken
   */
  public static CompletionStage<InetSocketAddress> bind(
      ActorSystem<?> system, AdminRoutes routes, String host, int port) {
    return Http.get(system)
        .newServerAt(host, port)
        .withSettings(UnparsableRequests.settings(system.settings().config()))
        .bind(routes.route())
        .handle(
            (binding, failure) -> {
              if (failure != null) {
                throw new CompletionException(
                    new Refusal(
                        ErrorCode.FAILED,
                        "the admin address "
                            + host
                            + ":"
                            + port
                            + " cannot be used ("
                            + rootMessage(failure)
                            + "): another node may be running; set tidemark.http.port to another",
                        failure));
              }
              stopWith(system, routes, binding);
              return binding.localAddress();
            });
  }

  private static void stopWith(ActorSystem<?> system, AdminRoutes routes, ServerBinding binding) {
    CoordinatedShutdown.get(system)
        .addTask(
            CoordinatedShutdown.PhaseServiceUnbind(),
            "admin-http",
            () -> {
              routes.endEventStreams();
              return binding.terminate(DRAIN).thenApply(terminated -> Done.getInstance());
            });
  }

  private static String rootMessage(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause.getMessage();
  }
}
