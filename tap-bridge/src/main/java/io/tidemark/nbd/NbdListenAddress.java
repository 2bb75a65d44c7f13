package io.tidemark.nbd;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Where an NBD server listens. */
public sealed interface NbdListenAddress {
  int PORT_MAX = 65_535;

  /** A unix socket; its file is made when the server starts and removed when it stops. */
  record Unix(Path path) implements NbdListenAddress {
    @Override
    public String toString() {
      return "unix:" + path;
    }
  }

  /**
   * A TCP port.
   *
   * @param port 0 for any free one
   */
  record Tcp(String host, int port) implements NbdListenAddress {
    @Override
    public String toString() {
      return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }

    InetSocketAddress resolve() {
      InetSocketAddress address = new InetSocketAddress(host, port);
      if (address.isUnresolved()) {
        throw new Refusal(
            ErrorCode.INVALID,
            "no such host to listen on: " + Refusal.printable(host) + "; give one of this machine");
      }
      return address;
    }
  }

  /**
   * Reads {@code unix:PATH} or {@code HOST:PORT}, an IPv6 address in brackets.
   *
   * @throws Refusal INVALID for anything else
   */
  static NbdListenAddress parse(String text) {
    if (text.startsWith("unix:") && text.length() > "unix:".length()) {
      return new Unix(Path.of(text.substring("unix:".length())));
    }
    int colon = text.lastIndexOf(':');
    if (colon > 0 && text.substring(colon + 1).matches("[0-9]{1,5}")) {
      int port = Integer.parseInt(text.substring(colon + 1));
      String host = text.substring(0, colon);
      if (host.startsWith("[") && host.endsWith("]")) {
        host = host.substring(1, host.length() - 1);
      }
      if (port <= PORT_MAX && !host.isEmpty()) {
        return new Tcp(host, port);
      }
    }
    throw new Refusal(
        ErrorCode.INVALID,
        "not an address to listen on: "
            + Refusal.printable(text)
            + "; give unix:PATH or HOST:PORT");
  }

  /** The NBD URI of an export there, as libnbd and qemu take it. */
  default String uri(String exportName) {
    String name = escape(exportName);
    if (this instanceof Unix unix) {
      return "nbd+unix:///" + name + "?socket=" + escape(unix.path().toString());
    }
    return "nbd://" + this + "/" + name;
  }

  /** As above, for a server that requires TLS. */
  default String tlsUri(String exportName) {
    String plain = uri(exportName);
    return this instanceof Unix ? plain : "nbds" + plain.substring("nbd".length());
  }

  private static String escape(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20").replace("%2F", "/");
  }
}
