package io.tidemark.system;

import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.cassandra.CassandraSessions;
import io.tidemark.cassandra.CassandraSettings;
import io.tidemark.cassandra.EmbeddedCassandra;
import io.tidemark.cassandra.EmbeddedCassandraSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** A Cassandra cluster that no Tidemark node owns: one to three nodes on loopback addresses. */
final class ExternalCassandra implements AutoCloseable {
  private static final Path LIB =
      Path.of("../persistence/cassandra-runtime/target/cassandra-lib").toAbsolutePath().normalize();

  private final List<EmbeddedCassandra> nodes = new ArrayList<>();
  private final int replication;
  private final CassandraSettings settings;

  ExternalCassandra(Path directory, int count) throws Exception {
    replication = count;
    int nativePort = FreePorts.freePort();
    int storagePort = FreePorts.freePort();
    settings = settings(nativePort);
    boolean started = false;
    try {
      for (int i = 1; i <= count; i++) {
        EmbeddedCassandraSettings server =
            settings
                .server()
                .withNode("127.0.0." + i, List.of("127.0.0.1:" + storagePort))
                .withPorts(nativePort, storagePort);
        Path data = Files.createDirectories(directory.resolve("cassandra-" + i));
        nodes.add(EmbeddedCassandra.start(server, data));
      }
      awaitMembers();
      started = true;
    } finally {
      if (!started) {
        close();
      }
    }
  }

  private CassandraSettings settings(int nativePort) {
    Config config =
        ConfigFactory.parseString(
                """
                tidemark.cassandra {
                  embedded = off
                  contact-points = ["127.0.0.1:%d"]
                  embedded-server {
                    lib-directory = "%s", heap = 384 MiB, memtable = 48 MiB, restart.enabled = off
                    start-timeout = 240 s, jvm-options = ["-XX:TieredStopAtLevel=1"]
                  }
                }\
                """
                    .formatted(nativePort, LIB))
            .withFallback(ConfigFactory.defaultReference())
            .resolve();
    return CassandraSettings.of(config);
  }

  private void awaitMembers() throws Exception {
    try (CqlSession session = session()) {
      Await.until(
          replication + " Cassandra nodes",
          Duration.ofSeconds(60),
          () -> session.getMetadata().getNodes().size() == replication);
    }
  }

  /** What a Tidemark node's settings say to use it, HOCON. */
  String nodeSettings() {
    String contactPoints =
        nodes.stream()
            .map(node -> "\"" + node.contactPoint().getAddress().getHostAddress() + ":")
            .map(host -> host + nodes.get(0).contactPoint().getPort() + "\"")
            .collect(Collectors.joining(", "));
    return """
    tidemark.cassandra {
      embedded = off
      contact-points = [%s]
      replication = %d
      consistency = LOCAL_QUORUM
    }
    """
        .formatted(contactPoints, replication);
  }

  CqlSession session() {
    return CassandraSessions.open(settings);
  }

  /** SIGKILL. */
  void kill(int index) throws Exception {
    ProcessHandle process = ProcessHandle.of(nodes.get(index).pid()).orElseThrow();
    process.destroyForcibly();
    process.onExit().get(30, java.util.concurrent.TimeUnit.SECONDS);
  }

  void restart(int index) {
    nodes.get(index).restart();
  }

  @Override
  public void close() {
    nodes.forEach(EmbeddedCassandra::close);
  }
}
