package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.metadata.Node;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An external cluster: three nodes, three copies, QUORUM; one is killed during a load. */
@Timeout(600)
class ThreeNodesTest {
  private static final long SEED = Long.getLong("tidemark.seed", 815L);
  private static final int SCHEMA_ROUNDS = 3;

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
        createAtOnce(settings, nodes);
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

  /**
   * K5: several nodes of several sites that start for the first time at the same moment, each with
   * another Cassandra as its contact point: all come up, and every Cassandra has the same tables.
   */
  private static void createAtOnce(CassandraSettings settings, List<EmbeddedCassandra> nodes)
      throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(nodes.size());
    try {
      for (int round = 0; round < SCHEMA_ROUNDS; round++) {
        String keyspace = "round_" + round;
        CyclicBarrier together = new CyclicBarrier(nodes.size());
        List<Future<Void>> starts = new ArrayList<>();
        for (EmbeddedCassandra node : nodes) {
          CassandraSettings own = settings.withContactPoint(node.contactPoint());
          starts.add(threads.submit(() -> create(own, keyspace, together)));
        }
        for (Future<Void> start : starts) {
          start.get(120, TimeUnit.SECONDS);
        }
      }
    } finally {
      threads.shutdownNow();
    }
    try (CqlSession session = CassandraSessions.open(settings)) {
      assertOneSchema(session);
    }
  }

  private static Void create(CassandraSettings settings, String keyspace, CyclicBarrier together)
      throws Exception {
    List<String> statements =
        Schema.statements(settings).stream()
            .map(statement -> statement.replace(settings.keyspace(), keyspace))
            .toList();
    try (CqlSession session = CassandraSessions.open(settings)) {
      together.await(60, TimeUnit.SECONDS);
      Schema.apply(session, keyspace, statements);
      // The first thing that a node does with its tables.
      session.execute(
          "INSERT INTO %s.journal_writer (journal, term) VALUES ('%s', 1)"
              .formatted(keyspace, settings.contactPoints().get(0)));
    }
    return null;
  }

  /** The same id of each table on every node, and every row that was written while they started. */
  private static void assertOneSchema(CqlSession session) {
    List<Set<String>> schemas = new ArrayList<>();
    for (Node node : session.getMetadata().getNodes().values()) {
      schemas.add(
          session
              .execute(
                  SimpleStatement.newInstance(
                          "SELECT keyspace_name, table_name, id FROM system_schema.tables")
                      .setNode(node))
              .all()
              .stream()
              .filter(row -> row.getString("keyspace_name").startsWith("round_"))
              .map(Row::getFormattedContents)
              .collect(Collectors.toSet()));
    }
    assertEquals(1, Set.copyOf(schemas).size(), schemas.toString());
    assertTrue(schemas.get(0).size() >= 6 * SCHEMA_ROUNDS, schemas.toString());
    for (int round = 0; round < SCHEMA_ROUNDS; round++) {
      assertEquals(
          ADDRESSES.size(),
          session
              .execute(
                  SimpleStatement.newInstance(
                          "SELECT journal FROM round_" + round + ".journal_writer")
                      .setConsistencyLevel(ConsistencyLevel.ALL))
              .all()
              .size(),
          "rows of round " + round);
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
