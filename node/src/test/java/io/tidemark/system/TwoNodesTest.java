package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.certs.CertsCommand;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.tls.TlsFiles;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A site of two nodes over one Cassandra that neither of them owns. */
@Tag("cluster")
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class TwoNodesTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  /** A failed node is noticed, the lease is asked for, its shards are removed and started anew. */
  private static final Duration FAILOVER_LIMIT = Duration.ofSeconds(60);

  private static final Duration LIMIT = Duration.ofSeconds(60);

  @TempDir static Path directory;
  private ExternalCassandra cassandra;
  private final List<TestSite> sites = new ArrayList<>();
  private TestSite first;
  private TestSite second;

  @BeforeAll
  void start() throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    cassandra = new ExternalCassandra(directory, 1);
    first = new TestSite(directory.resolve("first"), cassandra.nodeSettings());
    second = new TestSite(directory.resolve("second"), cassandra.nodeSettings());
    // A node that names nobody else would form a cluster of its own when it comes back.
    String seeds =
        "tidemark.cluster.seeds = [\"127.0.0.1:%d\", \"127.0.0.1:%d\"]\n"
            .formatted(first.arteryPort, second.arteryPort);
    first.alsoSet(seeds);
    second.alsoSet(seeds);
    // Taps, nodes and clients of images know each other by certificates here, as between machines.
    Path authority = directory.resolve("authority");
    assertEquals(0, CertsCommand.run(new String[] {"init", authority.toString()}));
    first.encrypt(authority);
    second.encrypt(authority);
    sites.addAll(List.of(second, first));
    // For the first time and at once: both make the tables, one of them forms the cluster.
    first.launch();
    second.launch();
    first.awaitReady();
    second.awaitReady();
  }

  @AfterAll
  void stop() throws Exception {
    try {
      for (TestSite site : sites) {
        site.close();
      }
    } finally {
      cassandra.close();
    }
  }

  private static void awaitMembers(TestSite site, int count) throws Exception {
    Await.until(
        count + " members up, as " + site.client.base() + " tells",
        LIMIT,
        () -> {
          JsonNode members = site.client.get("/api/v1/site").orFail().path("members");
          int up = 0;
          for (JsonNode member : members) {
            up += member.path("status").asText().equals("Up") ? 1 : 0;
          }
          return up == count && members.size() == count;
        });
  }

  private TestSite.TestTap tap(TestSite near, TestSite far, String volume) throws Exception {
    Path backing = near.directory.resolve(volume + ".img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    return near.tap(volume, backing, "--node", "127.0.0.1:" + far.tapLinkPort);
  }

  /** Without a certificate of the site's authority there is no image to read and no attaching. */
  @Test
  @Order(1)
  void shouldTurnStrangersAway() throws Exception {
    awaitMembers(first, 2);
    first.client.createVolume("strange", Load.VOLUME_BYTES);
    JsonNode image = first.client.openImage("strange", "latest", false).orFail();
    NbdUri uri = NbdUri.parse(image.at("/uri").asText());
    assertTrue(uri.tls(), image.toString());
    NbdUri plain = new NbdUri(uri.address(), uri.export(), false);
    assertThrows(IOException.class, () -> NbdClient.connect(plain));
    Path other = directory.resolve("other");
    assertEquals(0, CertsCommand.run(new String[] {"init", other.toString()}));
    Path forged = directory.resolve("forged");
    assertEquals(
        0,
        CertsCommand.run(
            new String[] {
              "issue", other.toString(), "x", "--host", "127.0.0.1", "--to", forged.toString()
            }));
    assertThrows(
        IOException.class,
        () -> {
          try (NbdClient client =
              NbdClient.connect(uri, Optional.of(TlsFiles.in(forged).context()))) {
            client.read(0, 512);
          }
        });
    try (NbdClient client = NbdClient.connect(uri, first.tls())) {
      assertEquals(Load.VOLUME_BYTES, client.sizeBytes());
    }
    first.client.closeImage(image.at("/name").asText());

    Path backing = directory.resolve("strange.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    for (List<String> wrong : List.of(List.<String>of(), List.of("--tls", forged.toString()))) {
      try (TestSite.TestTap stranger =
          first.plainTap("strange", backing, wrong.toArray(String[]::new))) {
        stranger.start();
        Await.until(
            "no node lets the tap in, see " + first.directory,
            LIMIT,
            () -> stranger.output().contains("waiting: no node at"));
        assertEquals(
            false,
            first.client.get("/api/v1/volumes/strange").orFail().at("/tap/connected").asBoolean());
      }
    }
  }

  /** The certificates' directory is what libnbd looks for, and its client what the node lets in. */
  @Test
  @Order(2)
  void shouldServeRealClientsByTls() throws Exception {
    Shell.requires("nbdinfo");
    first.client.createVolume("real", Load.VOLUME_BYTES);
    JsonNode image = first.client.openImage("real", "latest", false).orFail();
    String uri = image.at("/uri").asText() + "?tls-certificates=" + directory.resolve("first/tls");
    String info = Shell.read("nbdinfo", uri);
    assertTrue(info.contains("with TLS") || info.contains("using TLS"), info);
    assertEquals(Long.toString(Load.VOLUME_BYTES), Shell.read("nbdinfo", "--size", uri));
    first.client.closeImage(image.at("/name").asText());
  }

  /**
   * Volumes work whichever node has the tap and whichever has the entity; images are opened at
   * either. The node with the tap's session is killed, comes back, and is stopped in order: no
   * write fails, no position is lost, nothing is dark.
   */
  @Test
  @Order(3)
  void shouldGoOnWithoutAGapWhicheverNodeGoes() throws Exception {
    awaitMembers(first, 2);
    awaitMembers(second, 2);
    long others = first.volumesHere() + second.volumesHere();
    first.client.createVolume("one", Load.VOLUME_BYTES);
    second.client.createVolume("two", Load.VOLUME_BYTES);
    try (TestSite.TestTap tapOne = tap(first, second, "one");
        TestSite.TestTap tapTwo = tap(second, first, "two");
        Load one = new Load("one", tapOne, SEED);
        Load two = new Load("two", tapTwo, SEED + 1)) {
      tapOne.start();
      tapTwo.start();
      one.begin(first);
      two.begin(second);
      one.awaitMore(second, 100, LIMIT);
      two.awaitMore(first, 100, LIMIT);
      long writes = one.end(first, second) + two.end(second, first);
      System.out.printf(
          "calm: %d writes; volumes on the nodes: %d, %d%n",
          writes, first.volumesHere(), second.volumesHere());
      long here = first.volumesHere() + second.volumesHere();
      // Those of the other tests may have left memory meanwhile.
      assertTrue(here >= 2 && here <= others + 2, here + " volumes, " + others + " before");

      one.begin(second);
      two.begin(second);
      one.awaitMore(first, 50, LIMIT);
      first.kill();
      long resumedOne = one.awaitMore(second, 200, FAILOVER_LIMIT);
      long resumedTwo = two.awaitMore(second, 50, FAILOVER_LIMIT);
      awaitMembers(second, 1);
      writes = one.end(second) + two.end(second);
      System.out.printf(
          "kill -9: %d writes, journaling went on after %d ms, %d ms%n",
          writes, resumedOne, resumedTwo);

      one.begin(second);
      two.begin(second);
      first.start();
      awaitMembers(second, 2);
      one.awaitMore(first, 50, LIMIT);
      two.awaitMore(first, 50, LIMIT);
      writes = one.end(first, second) + two.end(first);
      System.out.printf(
          "joined again: %d writes; volumes on the nodes: %d, %d%n",
          writes, first.volumesHere(), second.volumesHere());

      one.begin(second);
      two.begin(second);
      one.awaitMore(first, 50, LIMIT);
      long began = System.nanoTime();
      second.stop();
      long stopMillis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
      long handedOver = one.awaitMore(first, 50, LIMIT);
      two.awaitMore(first, 50, LIMIT);
      assertTrue(first.volumesHere() >= 2);
      writes = one.end(first) + two.end(first);
      System.out.printf(
          "stopped in order in %d ms: %d writes, journaling went on after another %d ms%n",
          stopMillis, writes, handedOver);
    }
  }
}
