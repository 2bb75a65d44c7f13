package io.tidemark.nbd.client;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;

/**
 * An NBD URI: {@code nbd://HOST[:PORT]/EXPORT}, {@code nbds://} for TLS, or {@code
 * nbd+unix:///EXPORT?socket=PATH} (NBD URI specification).
 *
 * @param address where the server listens
 * @param export name of the export, empty for the default one
 * @param tls whether the connection must be encrypted
 */
public record NbdUri(SocketAddress address, String export, boolean tls) {
  private static final int DEFAULT_PORT = 10809;
  private static final String SOCKET = "socket=";

  /** Refuses with {@code INVALID} when the text is no such URI. */
  public static NbdUri parse(String text) {
    try {
      URI uri = URI.create(text);
      String path = uri.getPath() == null ? "" : uri.getPath();
      String export = path.startsWith("/") ? path.substring(1) : path;
      boolean tls = "nbds".equals(uri.getScheme());
      if ((tls || "nbd".equals(uri.getScheme())) && uri.getHost() != null) {
        int port = uri.getPort() < 0 ? DEFAULT_PORT : uri.getPort();
        return new NbdUri(new InetSocketAddress(uri.getHost(), port), export, tls);
      }
      String query = uri.getRawQuery() == null ? "" : uri.getRawQuery();
      if ("nbd+unix".equals(uri.getScheme()) && query.startsWith(SOCKET)) {
        String socket = URLDecoder.decode(query.substring(SOCKET.length()), StandardCharsets.UTF_8);
        return new NbdUri(UnixDomainSocketAddress.of(socket), export, false);
      }
    } catch (IllegalArgumentException e) {
      throw invalid(text, e);
    }
    throw invalid(text, null);
  }

  private static Refusal invalid(String text, Throwable cause) {
    return new Refusal(
        ErrorCode.INVALID,
        "'"
            + Refusal.printable(text)
            + "' is no NBD URI: use nbd://HOST:PORT/EXPORT, nbds://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH",
        cause);
  }
}
