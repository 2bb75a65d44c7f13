package io.tidemark.artery;

import akka.actor.ActorSystem;
import akka.remote.artery.tcp.SSLEngineProvider;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tls.TlsFiles;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSession;
import scala.Option;

/**
 * TLS of the cluster's messages: both ends show a certificate of the site's authority, and who is
 * called must be named by its own. Made by Akka from its class name.
 */
public final class ArteryTls implements SSLEngineProvider {
  private static final String[] PROTOCOLS = {"TLSv1.3"};
  private final SSLContext context;
  private final DialledConnections dialled;

  /** Called by Akka. */
  public ArteryTls(ActorSystem system) {
    this.context =
        TlsFiles.of(system.settings().config())
            .orElseThrow(() -> new Refusal(ErrorCode.INVALID, "tidemark.tls is not set"))
            .context();
    this.dialled = DialledConnections.of(system);
  }

  @Override
  public SSLEngine createServerSSLEngine(String hostname, int port) {
    SSLEngine engine = engine(hostname, port);
    engine.setUseClientMode(false);
    engine.setNeedClientAuth(true);
    return engine;
  }

  @Override
  public SSLEngine createClientSSLEngine(String hostname, int port) {
    SSLEngine engine = engine(hostname, port);
    engine.setUseClientMode(true);
    SSLParameters parameters = engine.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    engine.setSSLParameters(parameters);
    return dialled.dialled(engine, hostname, port);
  }

  private SSLEngine engine(String hostname, int port) {
    SSLEngine engine = context.createSSLEngine(hostname, port);
    engine.setEnabledProtocols(PROTOCOLS);
    return engine;
  }

  /** The handshake itself verified the host's name. */
  @Override
  public Option<Throwable> verifyClientSession(String hostname, SSLSession session) {
    return Option.empty();
  }

  /** The handshake itself verified the certificate. */
  @Override
  public Option<Throwable> verifyServerSession(String hostname, SSLSession session) {
    return Option.empty();
  }
}
