package io.tidemark.site;

import akka.actor.ActorSystem;
import akka.actor.setup.Setup;
import akka.stream.alpakka.cassandra.CqlSessionProvider;
import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.Config;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;
import scala.concurrent.ExecutionContext;
import scala.concurrent.Future;
import scala.jdk.javaapi.FutureConverters;

/**
 * Gives Akka's Cassandra journal a session that is opened like all others of the node: the same
 * contact points, credentials, TLS and consistency.
 */
public final class JournalSessions implements CqlSessionProvider {

  /** Hands the opener to the plugin, which is created by its class name. */
  static final class Opener extends Setup {
    private final Supplier<CompletionStage<CqlSession>> open;

    Opener(Supplier<CompletionStage<CqlSession>> open) {
      this.open = open;
    }
  }

  private final ActorSystem system;

  /** Called by the plugin. */
  public JournalSessions(ActorSystem system, Config config) {
    this.system = system;
  }

  @Override
  public Future<CqlSession> connect(ExecutionContext executor) {
    return FutureConverters.asScala(open(system));
  }

  /** Opens another session; whoever asks closes it. */
  static CompletionStage<CqlSession> open(ActorSystem system) {
    return system
        .settings()
        .setup()
        .get(Opener.class)
        .orElseThrow(() -> new IllegalStateException("no Cassandra session was given"))
        .open
        .get();
  }
}
