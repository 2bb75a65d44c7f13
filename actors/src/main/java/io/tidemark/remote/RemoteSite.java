package io.tidemark.remote;

import io.tidemark.position.MicroTime;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Another site as this node knows it.
 *
 * @param reachable whether any of its nodes answers
 * @param since since when that is so, by this node's clock
 * @param nodes in the order of their addresses; none for a site that is only remembered
 */
public record RemoteSite(String name, boolean reachable, MicroTime since, List<RemoteNode> nodes) {
  public RemoteSite {
    nodes = List.copyOf(nodes);
  }

  /** The largest offset of its nodes' clocks; empty until one answered. */
  public Optional<ClockOffset> clock() {
    return nodes.stream()
        .flatMap(node -> node.clock().stream())
        .max(Comparator.comparingLong(offset -> Math.abs(offset.micros())));
  }
}
