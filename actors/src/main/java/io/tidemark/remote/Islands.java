package io.tidemark.remote;

import akka.actor.Address;
import akka.actor.typed.ActorSystem;
import akka.cluster.Member;
import akka.cluster.MemberStatus;
import akka.cluster.typed.Cluster;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings together sites that formed clusters of their own while they could not reach each other.
 * Clusters cannot be merged: the nodes of the younger one are started anew and join the older one.
 * Both sides compare the same two numbers, so that exactly one of them yields.
 */
final class Islands {
  private static final Logger LOG = LoggerFactory.getLogger(Islands.class);

  /** A node that joins is apart for some moments, too. */
  private static final int SIGHTINGS = 3;

  private final Cluster cluster;
  private final String here;
  private final AtomicLong clusterMicros;
  private final Consumer<String> yield;
  private final Map<Address, Integer> sightings = new HashMap<>();
  private boolean yielded;

  /**
   * @param clusterMicros when the own cluster's first node was started
   * @param yield has all nodes of this site join anew; told the reason
   */
  Islands(ActorSystem<?> system, String here, AtomicLong clusterMicros, Consumer<String> yield) {
    this.cluster = Cluster.get(system);
    this.here = here;
    this.clusterMicros = clusterMicros;
    this.yield = yield;
  }

  /** That node is a member, or does not answer. */
  void together(Address node) {
    sightings.remove(node);
  }

  /** That node answers and is no member of this cluster. */
  void apart(Address node, SiteQuery.Description said) {
    String self = incarnation(cluster.selfMember());
    boolean settled = cluster.selfMember().status().equals(MemberStatus.up());
    if (!settled || said.members().isEmpty() || said.members().contains(self)) {
      sightings.remove(node);
      return;
    }
    if (said.site().equals(here)) {
      if (sightings.merge(node, 1, Integer::sum) == SIGHTINGS) {
        LOG.error(
            "{} belongs to another cluster and calls its site '{}', as this one: two sites must not"
                + " have one name; give one of them another (tidemark.site.name)",
            SiteWatch.hostPort(node),
            here);
      }
      return;
    }
    if (sightings.merge(node, 1, Integer::sum) >= SIGHTINGS && !yielded && leads()) {
      if (yields(said)) {
        yielded = true;
        yield.accept(
            "site '%s' formed a cluster of its own while it could not be reached; this one is the"
                    .formatted(said.site())
                + " younger and joins it");
      } else {
        LOG.info("site '{}' has a younger cluster of its own; it will join this one", said.site());
        sightings.put(node, Integer.MIN_VALUE);
      }
    }
  }

  /** A node that was restarted has the address of its predecessor, and is not that member. */
  static String incarnation(Member member) {
    return SiteWatch.hostPort(member.address()) + "#" + member.uniqueAddress().longUid();
  }

  private boolean yields(SiteQuery.Description other) {
    long own = clusterMicros.get();
    return own > other.clusterMicros()
        || own == other.clusterMicros() && here.compareTo(other.site()) > 0;
  }

  private boolean leads() {
    Member self = cluster.selfMember();
    return self.address().equals(cluster.state().getLeader());
  }
}
