package io.tidemark.remote;

import io.tidemark.position.MicroTime;
import java.util.Map;
import java.util.Optional;

/**
 * A node of a site as this node knows it.
 *
 * @param address {@code HOST:PORT} of its cluster protocol
 * @param status its member status, such as {@code Up}
 * @param reachable whether it answers
 * @param since since when that is so, by this node's clock
 * @param version of its software; empty until it first answered
 * @param addresses what listens where, by purpose: {@code tap-link}, {@code http}, {@code images};
 *     as it last told
 * @param clock empty until it first answered
 */
public record RemoteNode(
    String address,
    String status,
    boolean reachable,
    MicroTime since,
    Optional<String> version,
    Map<String, String> addresses,
    Optional<ClockOffset> clock) {

  /** {@code HOST:PORT} for taps, once known. */
  public Optional<String> tapLink() {
    return Optional.ofNullable(addresses.get("tap-link"));
  }

  /** Its admin interface, which listens on its own machine's loopback; once known. */
  public Optional<String> http() {
    return Optional.ofNullable(addresses.get("http"));
  }
}
