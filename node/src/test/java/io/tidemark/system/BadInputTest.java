package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What people get wrong: each mistake has its code, a sentence that helps, and loses nothing. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class BadInputTest {
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private Path directory;
  private TestSite site;

  @BeforeAll
  void startSite(@TempDir Path temporary) throws Exception {
    directory = temporary;
    site = new TestSite(directory.resolve("site"));
    site.start();
  }

  @AfterAll
  void stopSite() throws Exception {
    site.close();
  }

  private Path backing(String name, long bytes) throws Exception {
    Path path = directory.resolve(name + ".img");
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(bytes);
    }
    return path;
  }

  private void refused(SiteClient.Answer answer, int status, String code) {
    assertEquals(status, answer.status(), answer.toString());
    assertEquals(code, answer.code(), answer.toString());
    assertTrue(answer.body().path("detail").asText().length() > 20, answer.toString());
  }

  private int cli(String... arguments) throws Exception {
    List<String> whole = new java.util.ArrayList<>(List.of(arguments));
    whole.addAll(List.of("--node", "http://127.0.0.1:" + site.httpPort));
    Path log = Files.createTempFile(directory, "cli", ".log");
    try (Forked process = Forked.start(log, List.of(), whole.toArray(String[]::new))) {
      return process.exitCode(60);
    }
  }

  @Test
  void shouldRefuseOddSizesAndNames() throws Exception {
    refused(
        site.client.post(
            "/api/v1/volumes", SiteClient.object().put("name", "odd").put("sizeBytes", 1000)),
        400,
        "INVALID");
    refused(
        site.client.post(
            "/api/v1/volumes", SiteClient.object().put("name", "../etc").put("sizeBytes", 1024)),
        400,
        "INVALID");
    refused(site.client.send("POST", "/api/v1/volumes", "{\"name\":"), 400, "INVALID");
    refused(site.client.get("/api/v1/volumes/nobody"), 404, "NOT_FOUND");
    assertEquals(2, cli("volume", "create", "odd", "--size", "1000"));
    assertEquals(4, cli("volume", "show", "nobody"));
  }

  @Test
  void shouldRefusePointsThatDoNotExist() throws Exception {
    site.client.createVolume("points", 1 << 20);
    try (TestSite.TestTap tap = site.tap("points", backing("points", 1 << 20))) {
      tap.start();
      tap.awaitServed();
      try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
        client.write(0, ByteBuffer.allocate(4096));
      }
      Await.until("journaled", LIMIT, () -> site.client.head("points") == 1);
      refused(site.client.openImage("points", "seq:2", false), 409, "BEYOND_HEAD");
      refused(
          site.client.openImage("points", "time:2999-01-01T00:00:00Z", false), 409, "BEYOND_HEAD");
      refused(
          site.client.openImage("points", "time:1999-01-01T00:00:00Z", false),
          409,
          "BEYOND_HORIZON");
      refused(site.client.openImage("points", "yesterday", false), 400, "INVALID");
      assertEquals(3, cli("image", "open", "points", "--at", "seq:2"));
    }
  }

  /** The second tap is refused while the first lives and takes over once it is dead. */
  @Test
  void shouldAdmitOneTapAVolume() throws Exception {
    site.client.createVolume("two", 1 << 20);
    Path first = backing("two-a", 1 << 20);
    Path second = backing("two-b", 1 << 20);
    try (TestSite.TestTap tap = site.tap("two", first);
        TestSite.TestTap other =
            site.tap("two", second, "--listen", "unix:" + directory.resolve("two-b.sock"))) {
      tap.start();
      tap.awaitServed();
      other.start();
      assertEquals(3, other.exitCode(60), other.output());
      assertTrue(other.output().contains("BUSY"), other.output());
      tap.kill();
      other.start();
      Await.until(
          "the other tap took over",
          LIMIT,
          () -> other.alive() && site.client.volume("two").at("/tap/connected").asBoolean());
    }
  }

  @Test
  void shouldRefuseAVolumeLargerThanItsBackingStore() throws Exception {
    site.client.createVolume("large", 4 << 20);
    try (TestSite.TestTap tap = site.tap("large", backing("large", 1 << 20))) {
      tap.start();
      assertEquals(2, tap.exitCode(60), tap.output());
      assertTrue(tap.output().contains("INVALID"), tap.output());
    }
  }

  @Test
  void shouldNameTheWrongConfigurationKey() throws Exception {
    Path config = Files.writeString(directory.resolve("wrong.conf"), "tidemark.htp.port = 1\n");
    Path log = directory.resolve("wrong.log");
    try (Forked node =
        Forked.start(
            log,
            List.of(),
            "up",
            "--config",
            config.toString(),
            "--data",
            directory.resolve("none").toString())) {
      assertEquals(2, node.exitCode(60), node.output());
      assertTrue(node.output().contains("tidemark.htp"), node.output());
    }
  }

  /** Another node on the same data directory is told whose it is; the first goes on. */
  @Test
  void shouldRefuseASecondNodeOnTheSameData() throws Exception {
    Path log = directory.resolve("second.log");
    try (Forked node =
        Forked.start(
            log,
            List.of(),
            "up",
            "--config",
            site.directory.resolve("site.conf").toString(),
            "--data",
            site.directory.resolve("data").toString())) {
      assertTrue(node.exitCode(60) != 0, node.output());
    }
    assertEquals(200, site.client.get("/health/ready").status());
  }
}
