package io.tidemark.system;

import io.tidemark.certs.CertsCommand;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.tls.TlsFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLContext;

/**
 * A node in a process of its own, by itself with an embedded Cassandra or as settings say; can be
 * killed and restarted.
 */
final class TestSite implements AutoCloseable {
  private static final Duration START_LIMIT = Duration.ofSeconds(240);
  final Path directory;
  final int httpPort = FreePorts.freePort();
  final int tapLinkPort = FreePorts.freePort();
  final int nbdPort = FreePorts.freePort();
  final int arteryPort = FreePorts.freePort();
  final int managementPort = FreePorts.freePort();
  final int cqlPort = FreePorts.freePort();
  private final int storagePort = FreePorts.freePort();
  final SiteClient client = new SiteClient("http://127.0.0.1:" + httpPort);
  private final String command;
  private final List<String> arguments = new ArrayList<>();
  private final List<String> under = new ArrayList<>();
  private Optional<Path> certificates = Optional.empty();
  private Optional<NamespaceDoor> door = Optional.empty();
  private String address = "127.0.0.1";
  private Forked node;

  /** A site of one node with a Cassandra of its own: {@code tidemark up}. */
  TestSite(Path directory) throws IOException {
    this(directory, "");
  }

  /**
   * @param more settings over the test's own; when not empty the node is a {@code tidemark node}
   */
  TestSite(Path directory, String more) throws IOException {
    this.directory = directory;
    this.command = more.isEmpty() ? "up" : "node";
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
          cassandra.embedded-server { heap = 512m, start-timeout = 240 s }
        }
        """
                .formatted(
                    httpPort,
                    tapLinkPort,
                    nbdPort,
                    arteryPort,
                    managementPort,
                    cqlPort,
                    storagePort)
            + more);
  }

  /**
   * The node and its taps run in a network namespace, and are what others reach at its address; the
   * admin interface and images stay on loopback there, which this test reaches. Before {@link
   * #encrypt}, which is due then.
   */
  TestSite in(Namespace namespace) throws IOException, InterruptedException {
    under.addAll(namespace.inside());
    address = namespace.address();
    alsoSet(
        "tidemark { tap-link.address = \"%1$s\", cluster.address = \"%1$s\" }\n"
            .formatted(address));
    door = Optional.of(new NamespaceDoor(namespace, directory.resolve("door"), httpPort, nbdPort));
    return this;
  }

  /**
   * The clock that its processes see is so far ahead, by Debian's package faketime. After {@link
   * #in}; before its start.
   */
  TestSite ahead(Duration by) throws IOException, InterruptedException {
    String library = Shell.read("sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1");
    under.addAll(List.of("env", "LD_PRELOAD=" + library, "FAKETIME=+" + by.toSeconds() + "s"));
    under.addAll(List.of("FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"));
    return this;
  }

  /** {@code HOST:PORT} of the node's cluster address. */
  String artery() {
    return address + ":" + arteryPort;
  }

  /** {@code HOST:PORT} where the node takes taps and links. */
  String tapLink() {
    return address + ":" + tapLinkPort;
  }

  /** Adds to the node's settings, HOCON; before its start. */
  void alsoSet(String settings) throws IOException {
    Files.writeString(
        directory.resolve("site.conf"), settings, java.nio.file.StandardOpenOption.APPEND);
  }

  /** More arguments of {@code tidemark up}, from the next start on. */
  TestSite with(String... more) {
    arguments.addAll(List.of(more));
    return this;
  }

  /**
   * The node and its taps show and ask for certificates; before its start.
   *
   * @param authority directory of {@code tidemark certs init}
   */
  void encrypt(Path authority) throws IOException {
    Path issued = directory.resolve("tls");
    if (CertsCommand.run(
            new String[] {
              "issue",
              authority.toString(),
              "site",
              "--host",
              "127.0.0.1",
              "--host",
              address,
              "--to",
              issued.toString()
            })
        != 0) {
      throw new IOException("no certificate was issued by " + authority);
    }
    certificates = Optional.of(issued);
    TlsFiles files = TlsFiles.in(issued);
    alsoSet(
        "tidemark.tls { authority = \"%s\", certificate = \"%s\", key = \"%s\" }\n"
            .formatted(files.authority(), files.certificate(), files.key()));
  }

  /** For NBD clients of the node. */
  Optional<SSLContext> tls() {
    return certificates.map(files -> TlsFiles.in(files).context());
  }

  /** Starts the node and waits until it is ready. */
  void start() throws Exception {
    launch();
    awaitReady();
  }

  void launch() throws IOException {
    List<String> all = new ArrayList<>(List.of(command));
    all.addAll(List.of("--config", directory.resolve("site.conf").toString()));
    all.addAll(List.of("--data", directory.resolve("data").toString()));
    all.addAll(arguments);
    node =
        Forked.start(
            under, directory.resolve("node.log"), List.of("-Xmx512m"), all.toArray(String[]::new));
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

  /** SIGTERM; waits for the orderly end. */
  void stop() throws IOException {
    node.close();
  }

  int exitCode(long seconds) throws InterruptedException {
    return node.exitCode(seconds);
  }

  String output() throws IOException {
    return node.output();
  }

  long pid() {
    return node.pid();
  }

  /** Entities of the volume type that live on this node, from Akka's own management interface. */
  int volumesHere() throws IOException, InterruptedException {
    int entities = 0;
    for (var region :
        new SiteClient("http://127.0.0.1:" + managementPort)
            .get("/cluster/shards/volume")
            .orFail()
            .path("regions")) {
      entities += region.path("numEntities").asInt();
    }
    return entities;
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
    return new TestTap(this, volume, volume, backing, withCertificates(more));
  }

  /** Another tap for a volume that has one, with a socket and a log of its own. */
  TestTap secondTap(String volume, Path backing) throws IOException {
    return new TestTap(this, volume + "-second", volume, backing, withCertificates());
  }

  private List<String> withCertificates(String... more) {
    List<String> all = new ArrayList<>(List.of(more));
    certificates.ifPresent(files -> all.addAll(List.of("--tls", files.toString())));
    return all;
  }

  /** Where the node takes taps. */
  int tapLinkPort() {
    return tapLinkPort;
  }

  /** A tap that shows no certificate of the site's. */
  TestTap plainTap(String volume, Path backing, String... more) {
    return new TestTap(this, volume, volume, backing, List.of(more));
  }

  @Override
  public void close() throws IOException {
    try {
      if (node != null) {
        node.close();
      }
    } finally {
      if (door.isPresent()) {
        door.get().close();
      }
    }
  }

  /** A tap in front of one backing file, on a Unix socket. */
  static final class TestTap implements AutoCloseable {
    private final TestSite site;
    private final String name;
    private final String volume;
    private final Path backing;
    private final List<String> more;
    private final Path socket;
    private int nodePort;
    private Forked process;

    private TestTap(TestSite site, String name, String volume, Path backing, List<String> more) {
      this.site = site;
      this.name = name;
      this.volume = volume;
      this.backing = backing;
      this.more = more;
      this.socket = site.directory.resolve(name + ".sock");
      this.nodePort = site.tapLinkPort;
    }

    /** Has it connect to this port of the machine, and not to the node's, when it starts. */
    TestTap through(int port) {
      nodePort = port;
      return this;
    }

    String uri() {
      return "nbd+unix:///" + volume + "?socket=" + socket;
    }

    void start() throws IOException {
      List<String> arguments = new ArrayList<>();
      arguments.addAll(List.of("tap", "--volume", volume + "=" + backing));
      arguments.addAll(List.of("--listen", "unix:" + socket));
      arguments.addAll(List.of("--node", site.address + ":" + nodePort));
      arguments.addAll(more);
      process =
          Forked.start(
              site.under,
              site.directory.resolve("tap-" + name + ".log"),
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
