package io.tidemark.artery;

import akka.actor.AbstractExtensionId;
import akka.actor.ActorSystem;
import akka.actor.ExtendedActorSystem;
import akka.actor.Extension;
import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.WeakHashMap;
import javax.net.ssl.SSLEngine;

/**
 * The connections with TLS that this node has opened for the cluster's messages, by whom they lead
 * to. Those that have ended are forgotten with their memory. Thread-safe.
 */
public final class DialledConnections implements Extension {
  private static final Id ID = new Id();

  private static final class Id extends AbstractExtensionId<DialledConnections> {
    @Override
    public DialledConnections createExtension(ExtendedActorSystem system) {
      return new DialledConnections();
    }
  }

  private final Map<String, Set<BreakableEngine>> byPeer = new HashMap<>();

  DialledConnections() {}

  /** Those of the system. */
  public static DialledConnections of(ActorSystem system) {
    return ID.get(system);
  }

  /** What its connection is to use in the place of {@code engine}. */
  synchronized SSLEngine dialled(SSLEngine engine, String host, int port) {
    BreakableEngine breakable = new BreakableEngine(engine, System.nanoTime());
    byPeer
        .computeIfAbsent(peer(host, port), p -> Collections.newSetFromMap(new WeakHashMap<>()))
        .add(breakable);
    return breakable;
  }

  private static String peer(String host, int port) {
    return host + ":" + port;
  }

  /**
   * Breaks off the connections to a node that has been silent for so long, unless they are younger
   * (A1). Safe to repeat.
   *
   * @return how many
   */
  public synchronized int breakOff(String host, int port, Duration silence) {
    long limit = System.nanoTime() - silence.toNanos();
    int count = 0;
    for (BreakableEngine one : byPeer.getOrDefault(peer(host, port), Set.of())) {
      if (!one.broken() && one.madeNanos() - limit < 0) {
        one.breakOff(
            "%s said nothing for %d s: the connection is broken off and dialled anew"
                .formatted(peer(host, port), silence.toSeconds()));
        count++;
      }
    }
    return count;
  }
}
