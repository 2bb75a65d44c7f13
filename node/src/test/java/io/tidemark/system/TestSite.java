package io.tidemark.system;

import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A one-node site with embedded Cassandra in processes of its own; can be killed and restarted. */
final class TestSite implements AutoCloseable {
  private static final Duration START_LIMIT = Duration.ofSeconds(90);
  final Path directory;
  final int httpPort = freePort();
  final int tapLinkPort = freePort();
  final int nbdPort = freePort();
  private final int arteryPort = freePort();
  private final int managementPort = freePort();
  private final int cqlPort = freePort();
  private final int storagePort = freePort();
  final SiteClient client = new SiteClient("http://127.0.0.1:" + httpPort);
  private Forked node;

  TestSite(Path directory) throws IOException {
    this.directory = directory;
    Files.createDirectories(directory);
    Files.writeString(
        directory.resolve("site.conf"),
        """
        tidemark {
          http.port = %d
          tap-link.port = %d
          images.port = %d
          cluster.port = %d
          management.port = %d
          cassandra.embedded-server.native-port = %d
          cassandra.embedded-server.storage-port = %d
          cassandra.embedded-server.heap = 512m
        }
        """
            .formatted(
                httpPort, tapLinkPort, nbdPort, arteryPort, managementPort, cqlPort, storagePort));
  }

  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  /** Starts the node and waits until it is ready. */
  void start() throws Exception {
    node =
        Forked.start(
            directory.resolve("node.log"),
            List.of("-Xmx768m"),
            "up",
            "--config",
            directory.resolve("site.conf").toString(),
            "--data",
            directory.resolve("data").toString());
    awaitReady();
  }

  void awaitReady() throws Exception {
    Await.until(
        "the node is ready, see " + directory.resolve("node.log"),
        START_LIMIT,
        () -> {
          if (!node.alive()) {
            throw new IOException("the node ended: " + node.output());
          }
          return client.ready();
        });
  }

  void kill() {
    node.kill();
  }

  boolean alive() {
    return node != null && node.alive();
  }

  /** The embedded Cassandra's process, a child of the node's. */
  Optional<ProcessHandle> cassandra() {
    return ProcessHandle.of(node.pid()).stream()
        .flatMap(ProcessHandle::descendants)
        .filter(p -> p.info().commandLine().orElse("").contains("CassandraMain"))
        .findFirst();
  }

  TestTap tap(String volume, Path backing, String... more) throws IOException {
    return new TestTap(this, volume, backing, List.of(more));
  }

  @Override
  public void close() throws IOException {
    if (node != null) {
      node.close();
    }
  }

  /** A tap in front of one backing file, on a Unix socket. */
  static final class TestTap implements AutoCloseable {
    private final TestSite site;
    private final String volume;
    private final Path backing;
    private final List<String> more;
    private final Path socket;
    private Forked process;

    private TestTap(TestSite site, String volume, Path backing, List<String> more) {
      this.site = site;
      this.volume = volume;
      this.backing = backing;
      this.more = more;
      this.socket = site.directory.resolve(volume + ".sock");
    }

    String uri() {
      return "nbd+unix:///" + volume + "?socket=" + socket;
    }

    void start() throws IOException {
      List<String> arguments = new ArrayList<>();
      arguments.addAll(List.of("tap", "--volume", volume + "=" + backing));
      arguments.addAll(List.of("--listen", "unix:" + socket));
      arguments.addAll(List.of("--node", "127.0.0.1:" + site.tapLinkPort));
      arguments.addAll(more);
      process =
          Forked.start(
              site.directory.resolve("tap-" + volume + ".log"),
              List.of("-Xmx128m"),
              arguments.toArray(String[]::new));
    }

    /** Waits until the export is served, as a client that retries would. */
    void awaitServed() throws Exception {
      Await.until(
          "the tap serves " + volume,
          Duration.ofSeconds(30),
          () -> {
            NbdClient.connect(NbdUri.parse(uri())).close();
            return true;
          });
    }

    boolean alive() {
      return process.alive();
    }

    void kill() {
      process.kill();
    }

    int exitCode(long seconds) throws InterruptedException {
      return process.exitCode(seconds);
    }

    String output() throws IOException {
      return process.output();
    }

    @Override
    public void close() throws IOException {
      if (process != null) {
        process.close();
      }
    }
  }
}
