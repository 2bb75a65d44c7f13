package io.tidemark.taplink;

import akka.Done;
import akka.NotUsed;
import akka.actor.ClassicActorSystemProvider;
import akka.stream.KillSwitches;
import akka.stream.Materializer;
import akka.stream.SharedKillSwitch;
import akka.stream.SystemMaterializer;
import akka.stream.javadsl.Flow;
import akka.stream.javadsl.Keep;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import akka.stream.javadsl.Tcp;
import akka.util.ByteString;
import io.tidemark.journal.Journal;
import io.tidemark.replication.OlderContent;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The node's end of all tap links: one listening address, one independent stream per tap. */
public final class TapLinkServer {
  private static final Logger log = LoggerFactory.getLogger(TapLinkServer.class);

  private final Tcp.ServerBinding binding;
  private final SharedKillSwitch connections;
  private final LiveLinks links;

  private TapLinkServer(Tcp.ServerBinding binding, SharedKillSwitch connections, LiveLinks links) {
    this.binding = binding;
    this.connections = connections;
    this.links = links;
  }

  /**
   * Listens; fails when the address cannot be bound.
   *
   * @param port 0 for any free one
   */
  public static CompletionStage<TapLinkServer> bind(
      ClassicActorSystemProvider system,
      String host,
      int port,
      Journal journal,
      LinkSettings settings) {
    return bind(system, host, port, journal, settings, Optional.empty());
  }

  /**
   * The same, for links from other sites, whose segments may be packed.
   *
   * @param content what they are unpacked with
   */
  public static CompletionStage<TapLinkServer> bind(
      ClassicActorSystemProvider system,
      String host,
      int port,
      Journal journal,
      LinkSettings settings,
      Optional<OlderContent> content) {
    Materializer materializer = SystemMaterializer.get(system).materializer();
    SharedKillSwitch connections = KillSwitches.shared("tap-links");
    LiveLinks links = new LiveLinks();
    AtomicInteger open = new AtomicInteger();
    Source<Tcp.IncomingConnection, CompletionStage<Tcp.ServerBinding>> incoming =
        settings.tls().isPresent()
            ? Tcp.get(system).bindWithTls(host, port, () -> engine(settings.tls().get()))
            : Tcp.get(system).bind(host, port);
    return incoming
        .toMat(
            Sink.foreach(
                c -> accept(c, journal, settings, links, content, connections, open, materializer)),
            Keep.left())
        .run(materializer)
        .thenApply(binding -> new TapLinkServer(binding, connections, links));
  }

  private static SSLEngine engine(SSLContext context) {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(false);
    engine.setEnabledProtocols(new String[] {"TLSv1.3"});
    engine.setNeedClientAuth(true);
    return engine;
  }

  private static void accept(
      Tcp.IncomingConnection connection,
      Journal journal,
      LinkSettings settings,
      LiveLinks links,
      Optional<OlderContent> content,
      SharedKillSwitch connections,
      AtomicInteger open,
      Materializer materializer) {
    String peer = connection.remoteAddress().toString();
    if (open.incrementAndGet() > LinkSettings.CONNECTIONS_MAX) {
      open.decrementAndGet();
      log.warn("tap {}: turned away, {} links are open", peer, LinkSettings.CONNECTIONS_MAX);
      connection.handleWith(
          Flow.fromSinkAndSourceCoupled(Sink.cancelled(), Source.<ByteString>empty()),
          materializer);
      return;
    }
    Flow<ByteString, ByteString, CompletionStage<Done>> link =
        Flow.<ByteString>create()
            .via(connections.flow())
            .via(new TapSessionStage(journal, settings, links, content, peer))
            .watchTermination((NotUsed ignored, CompletionStage<Done> done) -> done);
    connection
        .handleWith(link, materializer)
        .whenComplete((done, failure) -> ended(peer, failure, open));
  }

  private static void ended(String peer, Throwable failure, AtomicInteger open) {
    open.decrementAndGet();
    if (failure != null) {
      log.info("tap {}: the link broke: {}", peer, failure.toString());
    }
  }

  /** Where it listens. */
  public InetSocketAddress address() {
    return binding.localAddress();
  }

  /** The volumes whose taps are connected here. */
  public LiveLinks links() {
    return links;
  }

  /** Stops listening and takes leave of every tap, which go on with another node. */
  public CompletionStage<Void> close() {
    connections.shutdown();
    return binding.unbind().thenApply(done -> null);
  }
}
