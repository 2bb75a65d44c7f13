package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Random;

/**
 * Drills of a volume with an ext4 file system and the data of a PostgreSQL server: what is good
 * passes and is proven, what is damaged fails, and nothing is left of any of them (N2, N4).
 */
final class DrillScenario {
  private static final String VOLUME = "drilled";
  private static final int VOLUME_BYTES = 160 << 20;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Path POSTGRES = Path.of("/usr/lib/postgresql/15/bin");
  private final TestSite site;
  private final Path directory;

  DrillScenario(TestSite site, Path directory) {
    this.site = site;
    this.directory = directory;
  }

  void run() throws Exception {
    Shell.requires("mke2fs", "e2fsck", "nbdfuse", "fusermount3", "nbdcopy");
    Path backing = directory.resolve("drilled.img");
    Path content = directory.resolve("content.img");
    boolean postgres = makeFileSystem(content);
    site.client.createVolume(VOLUME, VOLUME_BYTES);
    Shell.run("truncate", "-s", Integer.toString(VOLUME_BYTES), backing.toString()).orFail();
    try (TestSite.TestTap tap = site.tap(VOLUME, backing)) {
      tap.start();
      tap.awaitServed();
      Shell.run("nbdcopy", content.toString(), tap.uri()).orFail();
      long good = settledHead();
      proveOnSchedule(good);
      if (postgres) {
        create("pg", "postgresql", 0, 60, "db");
        assertVerdict("passed", "PostgreSQL answers: ", run("pg"));
      }
      runCommands();
      try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
        byte[] damage = new byte[1 << 20];
        new Random(7).nextBytes(damage);
        client.write(4096, ByteBuffer.wrap(damage));
      }
      Await.until("journaled", LIMIT, () -> site.client.head(VOLUME) == good + 1);
      assertVerdict("failed", "ext: ", run("fs"));
      assertEquals(good, site.client.volume(VOLUME).at("/proven/seq").asLong(), "N4");
      assertNothingLeft();
    }
  }

  /** The schedule alone has the checks that need a disk open one: a file system, a data base. */
  void onSchedule() throws Exception {
    Shell.requires("mke2fs", "e2fsck", "nbdfuse", "fusermount3", "nbdcopy");
    Files.createDirectories(directory);
    Path backing = directory.resolve("drilled.img");
    Path content = directory.resolve("content.img");
    boolean postgres = makeFileSystem(content);
    site.client.createVolume(VOLUME, VOLUME_BYTES);
    Shell.run("truncate", "-s", Integer.toString(VOLUME_BYTES), backing.toString()).orFail();
    try (TestSite.TestTap tap = site.tap(VOLUME, backing)) {
      tap.start();
      tap.awaitServed();
      Shell.run("nbdcopy", content.toString(), tap.uri()).orFail();
      proveOnSchedule(settledHead());
      if (postgres) {
        create("pg", "postgresql", 5, 60, "db");
        Await.until(
            "the schedule has started PostgreSQL",
            LIMIT,
            () -> !site.client.get("/api/v1/drills/pg").orFail().path("results").isEmpty());
        assertVerdict("passed", "PostgreSQL answers: ", awaitEnded("pg"));
        site.client.delete("/api/v1/drills/pg").orFail();
      }
      assertNothingLeft();
    }
  }

  private boolean makeFileSystem(Path content) throws Exception {
    Path files = Files.createDirectory(directory.resolve("files"));
    Files.writeString(files.resolve("hello"), "world");
    boolean postgres =
        Files.isExecutable(POSTGRES.resolve("initdb"))
            && "root".equals(System.getProperty("user.name"));
    if (postgres) {
      Path made = Files.createTempDirectory(Path.of("/tmp"), "tidemark-initdb");
      Shell.run("chown", "postgres", made.toString()).orFail();
      Path data = made.resolve("db");
      Shell.as(
          "postgres",
          POSTGRES.resolve("initdb").toString(),
          "-D",
          data.toString(),
          "-A",
          "trust",
          "-U",
          "postgres",
          "--no-sync");
      Shell.run("cp", "-a", data.toString(), files.toString()).orFail();
      Shell.run("rm", "-r", made.toString()).orFail();
    }
    Shell.run(
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-d",
            files.toString(),
            content.toString(),
            (VOLUME_BYTES >> 10) + "k")
        .orFail();
    return postgres;
  }

  private long settledHead() throws Exception {
    long[] head = {-1};
    Instant since = Instant.now();
    Await.until(
        "the head settles",
        LIMIT,
        () -> {
          long before = head[0];
          head[0] = site.client.head(VOLUME);
          return head[0] == before && SiteClient.drained(site.client.volume(VOLUME), since);
        });
    return head[0];
  }

  private void proveOnSchedule(long good) throws Exception {
    create("fs", "fsck", 5, 60);
    Await.until(
        "the schedule has proven the head",
        LIMIT,
        () -> site.client.volume(VOLUME).at("/proven/seq").asLong() == good);
    assertVerdict("passed", "ext: ", awaitEnded("fs"));
    JsonNode point =
        site.client.get("/api/v1/volumes/" + VOLUME + "/points?at=seq:" + good).orFail();
    assertEquals("passed", point.at("/drills/0/verdict").asText(), point.toString());
    site.client.delete("/api/v1/drills/fs").orFail();
    create("fs", "fsck", 0, 60);
  }

  private void runCommands() throws Exception {
    Path checks = site.directory.resolve("data/checks");
    program(checks.resolve("look"), "test \"$1\" = at-$TIDEMARK_SEQ || exit 9; echo seen");
    program(checks.resolve("hang"), "sleep 1234567 & wait");
    create("look", "command", 0, 60, "look", "at-" + site.client.head(VOLUME));
    assertVerdict("passed", "exit code 0: seen", run("look"));
    create("bad", "command", 0, 60, "look", "at-0");
    assertVerdict("failed", "exit code 9", run("bad"));
    create("hang", "command", 0, 1, "hang");
    assertVerdict("failed", "not over within 1 s", run("hang"));
    create("outside", "command", 0, 60, "../site.conf");
    assertVerdict("error", "there is no program", run("outside"));
  }

  private static void program(Path file, String text) throws Exception {
    Files.writeString(file, "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private JsonNode create(String name, String check, long every, long limit, String... arguments)
      throws Exception {
    ObjectNode body =
        SiteClient.object()
            .put("name", name)
            .put("volume", VOLUME)
            .put("check", check)
            .put("everySeconds", every)
            .put("limitSeconds", limit);
    var list = body.putArray("arguments");
    for (String argument : arguments) {
      list.add(argument);
    }
    return site.client.post("/api/v1/drills", body).orFail();
  }

  private JsonNode run(String name) throws Exception {
    site.client.post("/api/v1/drills/" + name + "/run", SiteClient.object()).orFail();
    return awaitEnded(name);
  }

  private JsonNode awaitEnded(String name) throws Exception {
    JsonNode[] drill = new JsonNode[1];
    Await.until(
        "drill " + name + " ends",
        LIMIT,
        () -> {
          drill[0] = site.client.get("/api/v1/drills/" + name).orFail();
          return drill[0].path("running").isNull();
        });
    return drill[0];
  }

  private static void assertVerdict(String verdict, String words, JsonNode drill) {
    JsonNode last = drill.path("results").path(0);
    assertEquals(verdict, last.path("verdict").asText(), last.toString());
    assertTrue(last.path("words").asText().startsWith(words), last.toString());
  }

  private void assertNothingLeft() throws Exception {
    Await.until(
        "the drills' images are closed",
        LIMIT,
        () -> site.client.get("/api/v1/images").orFail().isEmpty());
    String node = Files.readString(site.directory.resolve("data/node-id")).strip();
    try (var left = Files.newDirectoryStream(Path.of("/tmp"), "tidemark-drill-" + node + "-*")) {
      assertFalse(left.iterator().hasNext(), "scratch directories are left");
    }
    assertTrue(
        ProcessHandle.allProcesses()
            .noneMatch(p -> p.info().commandLine().orElse("").contains("sleep 1234567")),
        "a check's process is left");
  }
}
