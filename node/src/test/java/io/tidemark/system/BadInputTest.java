package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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

  /**
   * @param words of the sentence: what was wrong, what was expected or what to do
   */
  private void refused(SiteClient.Answer answer, int status, String code, String... words) {
    assertEquals(status, answer.status(), answer.toString());
    assertEquals(code, answer.code(), answer.toString());
    String detail = answer.body().path("detail").asText();
    System.out.println(code + " " + detail);
    assertTrue(detail.length() > 20, answer.toString());
    for (String word : words) {
      assertTrue(detail.contains(word), answer.toString());
    }
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
        "INVALID",
        "multiple of 512",
        "1000");
    refused(
        site.client.post(
            "/api/v1/volumes", SiteClient.object().put("name", "../etc").put("sizeBytes", 1024)),
        400,
        "INVALID",
        "'../etc' is no name",
        "letters, digits");
    refused(
        site.client.post(
            "/api/v1/volumes",
            SiteClient.object().put("name", "a\u0007\u202e\"<b>").put("sizeBytes", 1024)),
        400,
        "INVALID",
        "is no name");
    refused(site.client.send("POST", "/api/v1/volumes", "{\"name\":"), 400, "INVALID");
    refused(site.client.get("/api/v1/volumes/nobody"), 404, "NOT_FOUND", "'nobody'", "volume list");
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
      refused(
          site.client.openImage("points", "seq:2", false),
          409,
          "BEYOND_HEAD",
          "seq:2",
          "newest recovery point is seq:1 at");
      refused(
          site.client.openImage("points", "time:2999-01-01T00:00:00Z", false),
          409,
          "BEYOND_HEAD",
          "in the future",
          "newest recovery point is seq:1 at");
      refused(
          site.client.openImage("points", "time:1999-01-01T00:00:00Z", false),
          409,
          "BEYOND_HORIZON",
          "1999-01-01",
          "older than the horizon",
          "nearest point is seq:0 at");
      refused(
          site.client.openImage("points", "yesterday", false), 400, "INVALID", "use latest, seq:N");
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
        TestSite.TestTap other = site.secondTap("two", second)) {
      tap.start();
      tap.awaitServed();
      other.start();
      assertEquals(3, other.exitCode(60), other.output());
      assertTrue(other.output().contains("BUSY"), other.output());
      assertTrue(other.output().contains("holds volume 'two'; stop it"), other.output());
      try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
        client.write(0, ByteBuffer.wrap(new byte[] {1, 2, 3}));
      }
      Await.until("the first goes on", LIMIT, () -> site.client.head("two") == 1);
      tap.kill();
      other.start();
      Await.until(
          "the other tap took over",
          LIMIT,
          () -> other.alive() && site.client.volume("two").at("/tap/connected").asBoolean());
      assertEquals(200, site.client.point("two", "seq:1").status(), "what the first wrote stays");
    }
  }

  /**
   * No node at the start: a volume that was attached before is served, one that never was waits.
   */
  @Test
  void shouldServeWhileNoNodeIsReached() throws Exception {
    site.client.createVolume("apart", 1 << 20);
    Path backing = backing("apart", 1 << 20);
    try (TestSite.TestTap tap = site.tap("apart", backing)) {
      tap.start();
      tap.awaitServed();
      writeByte(tap, 1);
      Await.until("journaled", LIMIT, () -> site.client.head("apart") == 1);
    }
    TestSite nowhere = new TestSite(directory.resolve("nowhere"));
    try (nowhere;
        TestSite.TestTap known = nowhere.tap("apart", backing);
        TestSite.TestTap unknown = nowhere.tap("never", backing("never", 1 << 20))) {
      known.start();
      unknown.start();
      known.awaitServed();
      Await.until(
          "it says that nothing is journaled",
          LIMIT,
          () -> known.output().contains("no node is reached yet"));
      writeByte(known, 2);
      Await.until(
          "it says what it waits for",
          LIMIT,
          () -> unknown.output().contains("no node at") && unknown.output().contains("again"));
      assertTrue(unknown.alive() && known.alive());
      known.kill();
      unknown.kill();
    }
    try (TestSite.TestTap tap = site.tap("apart", backing)) {
      tap.start();
      tap.awaitServed();
      Await.until(
          "compared",
          LIMIT,
          () ->
              site.client.head("apart") > 1
                  && site.client.volume("apart").path("state").asText().equals("Protected"));
      assertEquals(2, firstByteAt("latest"));
      assertEquals(1, firstByteAt("seq:1"));
    }
  }

  private static void writeByte(TestSite.TestTap tap, int value) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      client.write(0, ByteBuffer.wrap(new byte[] {(byte) value}));
    }
  }

  private int firstByteAt(String at) throws Exception {
    var image = site.client.openImage("apart", at, false).orFail();
    try (NbdClient client = NbdClient.connect(NbdUri.parse(image.path("uri").asText()))) {
      return client.read(0, 1)[0];
    } finally {
      site.client.closeImage(image.path("name").asText());
    }
  }

  @Test
  void shouldRefuseAVolumeLargerThanItsBackingStore() throws Exception {
    site.client.createVolume("large", 4 << 20);
    try (TestSite.TestTap tap = site.tap("large", backing("large", 1 << 20))) {
      tap.start();
      assertEquals(2, tap.exitCode(60), tap.output());
      assertTrue(tap.output().contains("INVALID"), tap.output());
      assertTrue(tap.output().contains("1048576"), tap.output());
      assertTrue(tap.output().contains("4194304"), tap.output());
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
      assertTrue(
          node.output().contains("no setting 'tidemark.htp'; the nearest is 'tidemark.http'"),
          node.output());
    }
  }

  private void refusesToStart(Path config, Path data, String... words) throws Exception {
    Path log = Files.createTempFile(directory, "second", ".log");
    try (Forked node =
        Forked.start(
            log, List.of(), "up", "--config", config.toString(), "--data", data.toString())) {
      assertEquals(3, node.exitCode(60), node.output());
      for (String word : words) {
        assertTrue(node.output().contains(word), node.output());
      }
      assertFalse(node.output().contains("\tat "), node.output());
    }
    assertEquals(200, site.client.get("/health/ready").status(), "the first goes on");
  }

  @Test
  void shouldNameThePortThatIsTaken() throws Exception {
    refusesToStart(
        site.directory.resolve("site.conf"),
        directory.resolve("other"),
        "BUSY",
        "tidemark.http.port",
        Integer.toString(site.httpPort),
        "another node may be running");
  }

  /** Another node on the same data directory is told whose it is; the first goes on. */
  @Test
  void shouldRefuseASecondNodeOnTheSameData() throws Exception {
    TestSite second = new TestSite(directory.resolve("second"));
    refusesToStart(
        second.directory.resolve("site.conf"),
        site.directory.resolve("data"),
        "BUSY",
        "is in use by the process " + site.pid(),
        "another --data");
    second.close();
  }
}
