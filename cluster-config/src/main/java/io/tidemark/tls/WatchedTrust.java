package io.tidemark.tls;

import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/** Trusts as another does, and notes whom it does not trust. */
final class WatchedTrust extends X509ExtendedTrustManager {
  private final X509ExtendedTrustManager trust;
  private final TlsTroubles troubles;

  /** What the other decides. */
  @FunctionalInterface
  private interface Check {
    void run() throws CertificateException;
  }

  WatchedTrust(X509ExtendedTrustManager trust, TlsTroubles troubles) {
    this.trust = trust;
    this.troubles = troubles;
  }

  private void note(X509Certificate[] chain, String peer, Check check) throws CertificateException {
    try {
      check.run();
    } catch (CertificateException e) {
      if (chain != null && chain.length > 0) {
        troubles.refused(chain[0], peer, e);
      }
      throw e;
    }
  }

  private static String peer(Socket socket) {
    return socket == null || socket.getRemoteSocketAddress() == null
        ? "a peer"
        : socket.getRemoteSocketAddress().toString();
  }

  private static String peer(SSLEngine engine) {
    return engine == null || engine.getPeerHost() == null
        ? "a peer"
        : engine.getPeerHost() + ":" + engine.getPeerPort();
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
      throws CertificateException {
    note(chain, peer(socket), () -> trust.checkClientTrusted(chain, type, socket));
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
      throws CertificateException {
    note(chain, peer(socket), () -> trust.checkServerTrusted(chain, type, socket));
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
      throws CertificateException {
    note(chain, peer(engine), () -> trust.checkClientTrusted(chain, type, engine));
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
      throws CertificateException {
    note(chain, peer(engine), () -> trust.checkServerTrusted(chain, type, engine));
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
    note(chain, "a peer", () -> trust.checkClientTrusted(chain, type));
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
    note(chain, "a peer", () -> trust.checkServerTrusted(chain, type));
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return trust.getAcceptedIssuers();
  }
}
