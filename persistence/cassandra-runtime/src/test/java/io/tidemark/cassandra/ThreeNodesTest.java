package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.CqlSession;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An external cluster: three nodes, three copies, QUORUM; one is killed during a load. */
@Timeout(600)
class ThreeNodesTest {
  private static final long SEED = Long.getLong("tidemark.seed", 815L);
  private static final List<String> ADDRESSES = List.of("127.0.0.1", "127.0.0.2", "127.0.0.3");

  @Test
  void shouldGoOnWithoutLossWhenOneOfThreeIsKilled() throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.seed)");
    CassandraSettings settings =
        TestCassandra.settings(
            """
            tidemark.cassandra { replication = 3, consistency = QUORUM
              embedded-server { heap = 384 MiB, memtable = 48 MiB, restart.enabled = off } }""");
    List<Path> directories = new ArrayList<>();
    List<EmbeddedCassandra> nodes = new ArrayList<>();
    try {
      int nativePort = freePort();
      int storagePort = freePort();
      for (String address : ADDRESSES) {
        directories.add(TestCassandra.directory("three"));
        EmbeddedCassandraSettings server =
            settings
                .server()
                .withNode(address, List.of(ADDRESSES.get(0) + ":" + storagePort))
                .withPorts(nativePort, storagePort);
        nodes.add(EmbeddedCassandra.start(server, directories.get(nodes.size())));
      }
      settings = settings.withContactPoint(nodes.get(0).contactPoint());
      try (CqlSession session = CassandraSessions.open(settings)) {
        Await.until(60, "three nodes", () -> session.getMetadata().getNodes().size() == 3);
        Schema.create(session, settings);
        try (CassandraSegmentStore store = new CassandraSegmentStore(session, settings, 2)) {
          killDuringLoad(store, nodes.get(2));
        }
      }
    } finally {
      nodes.forEach(EmbeddedCassandra::close);
      directories.forEach(TestCassandra::delete);
    }
  }

  private static void killDuringLoad(CassandraSegmentStore store, EmbeddedCassandra victim) {
    Load load = new Load(store, SEED);
    try (load) {
      load.awaitMore(60);
      assertTrue(ProcessHandle.of(victim.pid()).orElseThrow().destroyForcibly());
      load.awaitMore(60);
    }
    assertEquals(List.of(), load.failures());
    load.verify(store);
    victim.restart();
    load.verify(store);
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket()) {
      // All three addresses: a port that is free on the wildcard is free on each.
      socket.bind(new InetSocketAddress("0.0.0.0", 0));
      return socket.getLocalPort();
    }
  }
}
