package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
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
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two sites on this machine, each with its own Cassandra, in one cluster: whichever goes or comes
 * back, the other goes on, and in the end they are together again.
 */
@Tag("cluster")
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class TwoSitesTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** Both may have formed a cluster of their own; the younger is started again then. */
  private static final Duration MEETING_LIMIT = Duration.ofSeconds(180);

  @TempDir static Path directory;
  private TestSite a;
  private TestSite b;
  private final long began = System.nanoTime();

  @BeforeAll
  @Timeout(value = 6, unit = TimeUnit.MINUTES)
  void start() throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    a = new TestSite(directory.resolve("a")).with("--site", "a");
    b =
        new TestSite(directory.resolve("b"))
            .with("--site", "b", "--join", "127.0.0.1:" + a.arteryPort);
    // At once: neither waits for the other.
    a.launch();
    b.launch();
    a.awaitReady();
    b.awaitReady();
  }

  @AfterAll
  void stop() throws Exception {
    try {
      a.close();
    } finally {
      b.close();
    }
  }

  private void tell(String what) {
    System.out.printf("%5.1f s: %s%n", (System.nanoTime() - began) / 1e9, what);
  }

  private static JsonNode seen(TestSite by, String name) throws Exception {
    for (JsonNode site : by.client.get("/api/v1/sites").orFail()) {
      if (site.path("name").asText().equals(name)) {
        return site;
      }
    }
    return SiteClient.object();
  }

  private static void awaitSeen(TestSite by, String name, boolean reachable) throws Exception {
    Await.until(
        "site " + name + (reachable ? " is" : " is not") + " reachable, see " + by.directory,
        MEETING_LIMIT,
        () -> {
          try {
            JsonNode site = seen(by, name);
            return site.has("reachable") && site.path("reachable").asBoolean() == reachable;
          } catch (java.net.ConnectException startingAgain) {
            return false;
          }
        });
  }

  private void awaitTogether(String when) throws Exception {
    awaitSeen(a, "b", true);
    awaitSeen(b, "a", true);
    a.awaitReady();
    b.awaitReady();
    tell("together " + when);
  }

  /** A plan over both sites; the sites are as they were afterwards but for their volumes. */
  @Test
  @Order(1)
  void shouldFailOverAndBack() throws Exception {
    awaitTogether("for a failover");
    tell(new FailoverScenario(a, b, directory, SEED).run());
    tidyUp("shop");
  }

  private void tidyUp(String volume) throws Exception {
    for (TestSite site : new TestSite[] {a, b}) {
      for (JsonNode link : site.client.get("/api/v1/links").orFail()) {
        site.client.delete("/api/v1/links/" + link.path("name").asText()).orFail();
      }
    }
    for (TestSite site : new TestSite[] {a, b}) {
      site.client.delete("/api/v1/volumes/" + volume + "?confirm=" + volume).orFail();
    }
  }

  /** Two failovers of the long run, with whatever is killed. */
  @Test
  @Order(2)
  @EnabledIfSystemProperty(named = "tidemark.test.failover.rounds", matches = "[1-9][0-9]*")
  void shouldFailOverWhateverIsKilled() throws Exception {
    awaitTogether("for rounds");
    Path rounds = java.nio.file.Files.createDirectory(directory.resolve("rounds"));
    FailoverRounds oracle = new FailoverRounds(a, b, rounds, SEED, System.out);
    oracle.protect();
    for (int i = 1; i <= Integer.getInteger("tidemark.test.failover.rounds"); i++) {
      oracle.round(i);
    }
    tell(oracle.figures());
    oracle.end();
    tidyUp("oracle");
  }

  /** A data base under load, over and back and over by force; only when it is asked for. */
  @Test
  @Order(3)
  @EnabledIfSystemProperty(named = "tidemark.test.failover.postgres", matches = "true")
  void shouldFailADataBaseOver() throws Exception {
    PostgresFailover.requires();
    awaitTogether("for a data base");
    try (PostgresFailover books = new PostgresFailover(a, b, directory)) {
      tell(books.run());
    }
    tidyUp("ledger");
  }

  @Test
  @Order(9)
  void shouldGoOnAloneAndComeTogetherInAnyOrder() throws Exception {
    awaitTogether("after starting at once");
    Await.until(
        "a knows where b takes taps",
        LIMIT,
        () ->
            seen(a, "b")
                .at("/nodes/0/addresses/tap-link")
                .asText()
                .equals("127.0.0.1:" + b.tapLinkPort));
    JsonNode other = seen(a, "b");
    assertTrue(Math.abs(other.at("/clock/offsetMicros").asLong()) < 1_000_000, "" + other);
    a.client.createVolume("one", Load.VOLUME_BYTES);
    b.client.createVolume("other", Load.VOLUME_BYTES);
    assertEquals(1, a.client.get("/api/v1/volumes").orFail().size());
    assertEquals(409, a.client.delete("/api/v1/sites/b?confirm=b").status());

    Path backing = directory.resolve("one.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    try (TestSite.TestTap tap = a.tap("one", backing);
        Load load = new Load("one", tap, SEED)) {
      tap.start();
      load.begin(a);
      load.awaitMore(a, 50, LIMIT);

      b.kill();
      awaitSeen(a, "b", false);
      tell("b was killed");
      a.client.createVolume("two", Load.VOLUME_BYTES);
      load.awaitMore(a, 50, LIMIT);

      // B starts while A is gone, then A restarts while B lives.
      a.kill();
      b.start();
      tell("b started while a was gone");
      b.client.createVolume("alone", Load.VOLUME_BYTES);
      assertEquals(2, b.client.get("/api/v1/volumes").orFail().size());
      a.start();
      awaitTogether("after both were killed");
      load.awaitMore(a, 50, LIMIT);
      tell(load.end(a) + " writes, none lost");
    }
    b.stop();
    awaitSeen(a, "b", false);
    assertEquals(204, a.client.delete("/api/v1/sites/b?confirm=b").status());
    Await.until("b is forgotten", LIMIT, () -> a.client.get("/api/v1/sites").orFail().size() == 1);
    assertEquals(404, a.client.delete("/api/v1/sites/b?confirm=b").status());
    tell("b is forgotten");
  }
}
