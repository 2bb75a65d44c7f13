package io.tidemark.taplink;

import akka.actor.ClassicActorSystemProvider;
import akka.stream.javadsl.BidiFlow;
import akka.stream.javadsl.Flow;
import akka.stream.javadsl.Tcp;
import akka.util.ByteString;
import io.tidemark.config.Endpoint;
import io.tidemark.journal.SessionGrant;
import io.tidemark.replication.LineIdentity;
import io.tidemark.replication.Lines;
import io.tidemark.replication.LinkNews;
import io.tidemark.replication.Parcel;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;

/** Lines to other sites over TCP or TLS: the tap link, with packed segments. */
public final class SiteLines implements Lines {
  private final ClassicActorSystemProvider system;
  private final LinkSettings settings;

  public SiteLines(ClassicActorSystemProvider system, LinkSettings settings) {
    this.system = system;
    this.settings = settings;
  }

  @Override
  public Flow<Parcel, LinkNews, CompletionStage<SessionGrant>> open(
      Endpoint address, LineIdentity who) {
    return BidiFlow.fromGraph(new SiteLinkStage(who, settings)).join(connection(address));
  }

  private Flow<ByteString, ByteString, ?> connection(Endpoint address) {
    InetSocketAddress remote = new InetSocketAddress(address.host(), address.port());
    Tcp tcp = Tcp.get(system);
    return settings.tls().isPresent()
        ? tcp.outgoingConnectionWithTls(remote, () -> engine(settings.tls().get(), address))
        : tcp.outgoingConnection(
            remote,
            Optional.empty(),
            List.of(),
            true,
            Optional.of(settings.connectTimeout()),
            Optional.empty());
  }

  /** The other site's certificate has to name the address that was asked for. */
  private static SSLEngine engine(SSLContext context, Endpoint address) {
    SSLEngine engine = context.createSSLEngine(address.host(), address.port());
    engine.setUseClientMode(true);
    engine.setEnabledProtocols(new String[] {"TLSv1.3"});
    SSLParameters parameters = engine.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    engine.setSSLParameters(parameters);
    return engine;
  }
}
