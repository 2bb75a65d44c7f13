package io.tidemark.config;

/**
 * Where something listens.
 *
 * @param host a name or address of this machine
 * @param port 0 for any free one
 */
public record Endpoint(String host, int port) {
  @Override
  public String toString() {
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
  }
}
