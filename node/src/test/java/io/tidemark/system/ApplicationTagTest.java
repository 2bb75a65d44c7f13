package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * PostgreSQL and MariaDB on one protected volume, under load: what an application-consistent tag
 * promises of its image, and what a crash-consistent one does not.
 */
class ApplicationTagTest {
  private static final long VOLUME_BYTES = 640L << 20;
  private static final Duration LIMIT = Duration.ofSeconds(90);

  /** PostgreSQL's background writer and the vacuum of its catalogs log a little now and then. */
  private static final long IDLE_BYTES_MAX = 16 << 10;

  @TempDir Path directory;

  @Test
  @Timeout(value = 8, unit = TimeUnit.MINUTES)
  void shouldRecoverApplicationsFromTheirTag() throws Exception {
    Shell.requires("nbdfuse", "losetup", "fusermount3", "runuser", "mkfs.ext4", "mkfs.xfs");
    Shell.requires("mariadbd", "mariadb", "mariadb-install-db", "psql", "fsfreeze");
    Shell.requiresRoot(Path.of("/dev/fuse"));
    if (!Files.isExecutable(PostgresServer.BIN.resolve("pgbench"))) {
      Shell.requires("pgbench of PostgreSQL 15");
    }
    Shell.run("chmod", "755", directory.toString()).orFail();
    PostgresServer.make(directory.resolve("pg-new"));
    MariaDbServer.make(directory.resolve("my-new"));
    try (TestSite site = new TestSite(directory.resolve("site"))) {
      site.start();
      for (String fileSystem : List.of("ext4", "xfs")) {
        protect(site, fileSystem);
      }
    }
  }

  private void protect(TestSite site, String fileSystem) throws Exception {
    Path work = Files.createDirectory(directory.resolve(fileSystem));
    Path backing = work.resolve("backing.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    Path applications = work.resolve("apps.conf");
    site.client.createVolume(fileSystem, VOLUME_BYTES);
    Servers paths = new Servers(work);
    Files.writeString(applications, paths.applications(work.resolve("live")));
    try (TestSite.TestTap tap = site.tap(fileSystem, backing, "--apps", applications.toString())) {
      tap.start();
      tap.awaitServed();
      ObjectNode group = SiteClient.object().put("name", "g-" + fileSystem);
      group.putArray("volumes").add(fileSystem);
      site.client.post("/api/v1/groups", group).orFail();
      try (MountedExport volume = new MountedExport(work, "live", tap.uri())) {
        Shell.run("mkfs." + fileSystem, fileSystem.equals("ext4") ? "-qF" : "-qf", volume.device())
            .orFail();
        volume.mount();
        tagUnderLoad(site, fileSystem, paths, volume.mountPoint());
      }
      recover(site, fileSystem, work, "calm", true);
      if (fileSystem.equals("ext4")) {
        recover(site, fileSystem, work, "rough", false);
      }
    }
  }

  /** Where the live servers have their sockets, and hooks that fail. */
  private record Servers(Path work) {
    String applications(Path mountPoint) throws IOException {
      return """
          frozen-max = 60 s
          applications {
            fs { kind = fsfreeze, mount-point = "%s" }
            pg { kind = postgresql, mode = lock, host = "%s", user = postgres, on = [fs], time-limit = 55 s }
            my { kind = mariadb, socket = "%s", user = root, on = [fs], time-limit = 55 s }
            bad { kind = scripts, directory = "%s" }
            soft { kind = scripts, directory = ${applications.bad.directory}, on-failure = crash }
            hung { kind = scripts, directory = "%s", time-limit = 1 s }
          }
          """
          .formatted(
              mountPoint,
              work.resolve("pg-live"),
              work.resolve("my-live").resolve("s"),
              hook("bad", "echo sorry\nhead -c 4000000 /dev/zero | tr '\\0' x\nexit 3"),
              hook("hung", "sleep 600"));
    }

    /** Fails to freeze, not to thaw. */
    private Path hook(String name, String freeze) throws IOException {
      Path hooks = Files.createDirectory(work.resolve(name));
      Path script = hooks.resolve("1");
      Files.writeString(script, "#!/bin/sh\n[ \"$1\" = thaw ] && exit 0\n" + freeze + "\n");
      for (Path path : List.of(hooks, script)) {
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
      }
      return hooks;
    }
  }

  private void tagUnderLoad(TestSite site, String fileSystem, Servers paths, Path mountPoint)
      throws Exception {
    Path pg = mountPoint.resolve("pg");
    Path my = mountPoint.resolve("my");
    Shell.run("cp", "-a", directory.resolve("pg-new").toString(), pg.toString()).orFail();
    Shell.run("cp", "-a", directory.resolve("my-new").toString(), my.toString()).orFail();
    Shell.run("sync", "-f", mountPoint.toString()).orFail(); // the servers take it for synced
    try (PostgresServer postgres = new PostgresServer(paths.work().resolve("pg-live"), pg);
        MariaDbServer mariaDb = new MariaDbServer(paths.work().resolve("my-live"), my)) {
      postgres.fill();
      mariaDb.fill();
      Process pgbench = postgres.load();
      mariaDb.load(2);
      awaitLoad(postgres, mariaDb);
      ObjectNode rough = SiteClient.object().put("name", "rough").put("consistency", "crash");
      assertEquals("Committed", tag(site, fileSystem, rough).path("state").asText());
      ObjectNode calm = SiteClient.object().put("name", "calm").put("consistency", "application");
      calm.putArray("applications").add("pg").add("my");
      JsonNode tag = tag(site, fileSystem, calm);
      System.out.println(fileSystem + ": " + tag); // what quiescing took, and found
      assertEquals("Committed", tag.path("state").asText(), tag.toString());
      assertEquals("application", tag.path("consistency").asText(), tag.toString());
      assertFalse(tag.path("downgraded").asBoolean(), tag.toString());
      awaitLoad(postgres, mariaDb);
      if (fileSystem.equals("ext4")) {
        failing(site, fileSystem);
        awaitLoad(postgres, mariaDb);
      }
      pgbench.destroy();
    }
  }

  private static void awaitLoad(PostgresServer postgres, MariaDbServer mariaDb) throws Exception {
    long pg = postgres.number("pgbench_history");
    long my = mariaDb.number("t.hist");
    Await.until(
        "both write",
        LIMIT,
        () -> postgres.number("pgbench_history") > pg + 100 && mariaDb.number("t.hist") > my + 100);
  }

  /** Hooks that fail, hang and print megabytes, and an application that there is not. */
  private static void failing(TestSite site, String volume) throws Exception {
    JsonNode bad = refused(site, volume, "FAILED", "bad", "pg");
    JsonNode result = bad.path("applications").get(0);
    assertEquals("bad", result.path("name").asText(), bad.toString());
    assertEquals(3, result.path("exitCode").asInt(), bad.toString());
    String output = result.path("output").asText();
    assertTrue(output.contains("sorry") && output.contains("left out"), output);
    assertTrue(output.length() <= 512, output.length() + " characters");
    refused(site, volume, "FAILED", "hung", "my");
    refused(site, volume, "NOT_FOUND", "oracle", "pg");

    ObjectNode soft = SiteClient.object().put("name", "soft").put("consistency", "application");
    soft.putArray("applications").add("soft").add("my");
    JsonNode tag = tag(site, volume, soft);
    assertEquals("Committed", tag.path("state").asText(), tag.toString());
    assertEquals("crash", tag.path("consistency").asText(), tag.toString());
    assertTrue(tag.path("downgraded").asBoolean(), tag.toString());
  }

  /** A tag that fails, and says so. */
  private static JsonNode refused(TestSite site, String volume, String code, String... names)
      throws Exception {
    String path = "/api/v1/groups/g-" + volume + "/tags";
    ObjectNode request =
        SiteClient.object().put("name", "not-" + names[0]).put("consistency", "application");
    ArrayNode applications = request.putArray("applications");
    for (String name : names) {
      applications.add(name);
    }
    SiteClient.Answer answer = site.client.post(path, request);
    assertTrue(answer.status() == 202 || answer.code().equals(code), answer.toString());
    Await.until(
        "tag not-" + names[0] + " fails",
        LIMIT,
        () ->
            site.client
                .get(path + "/not-" + names[0])
                .orFail()
                .at("/error/code")
                .asText()
                .equals(code));
    return site.client.get(path + "/not-" + names[0]).orFail();
  }

  /** Asks for a tag, and waits until it is settled. */
  private static JsonNode tag(TestSite site, String volume, ObjectNode request) throws Exception {
    String path = "/api/v1/groups/g-" + volume + "/tags";
    site.client.post(path, request).orFail();
    String name = request.path("name").asText();
    Await.until(
        "tag " + name + " is settled",
        LIMIT,
        () ->
            List.of("Committed", "Failed")
                .contains(site.client.get(path + "/" + name).orFail().path("state").asText()));
    return site.client.get(path + "/" + name).orFail();
  }

  /**
   * Starts both servers from an image.
   *
   * @param quiesced whether the tag is application-consistent
   */
  private static void recover(
      TestSite site, String fileSystem, Path work, String tag, boolean quiesced) throws Exception {
    JsonNode image = site.client.openImage(fileSystem, "tag:" + tag, true).orFail();
    try (MountedExport restored = new MountedExport(work, tag, image.at("/uri").asText())) {
      if (quiesced && fileSystem.equals("ext4")) {
        String header = Shell.read("dumpe2fs", "-h", restored.device());
        assertFalse(header.contains("needs_recovery"), "its journal is empty");
      } else {
        restored.mount(); // XFS marks what is frozen; mounting takes the mark off
        restored.unmount();
      }
      String check = fileSystem.equals("ext4") ? "e2fsck -fn " : "xfs_repair -n ";
      Shell.run((check + restored.device()).split(" ")).orFail();
      restored.mount();
      Path pg = restored.mountPoint().resolve("pg");
      Path my = restored.mountPoint().resolve("my");
      Files.deleteIfExists(pg.resolve("postmaster.pid"));
      try (PostgresServer postgres = new PostgresServer(work.resolve("pg-" + tag), pg);
          MariaDbServer mariaDb = new MariaDbServer(work.resolve("my-" + tag), my)) {
        postgres.assertSound();
        mariaDb.assertSound();
        assertEquals(quiesced, postgres.redoBytes() <= IDLE_BYTES_MAX, postgres.log());
        // The tag tells when InnoDB's purge did not come to rest, or not until the thaw.
        String said =
            site.client.get("/api/v1/groups/g-" + fileSystem + "/tags/" + tag).orFail().toString();
        if (!said.contains("goes on logging") && !said.contains("had logged")) {
          assertEquals(quiesced, !mariaDb.log().contains("Starting crash recovery"), mariaDb.log());
        }
        assertTrue(mariaDb.log().contains("End of log at LSN"), mariaDb.log());
        assertFalse(mariaDb.log().contains("[ERROR]"), mariaDb.log());
      }
    }
    site.client.closeImage(image.at("/name").asText());
  }

  private static Path directoryOf(String user, Path path) throws Exception {
    Files.createDirectories(path);
    Shell.run("chmod", "755", path.toString()).orFail();
    Shell.run("chown", user, path.toString()).orFail();
    return path;
  }

  /** A server of its own on a Unix socket. */
  private static final class PostgresServer implements AutoCloseable {
    private static final Pattern REDO =
        Pattern.compile("redo starts at (\\S+).*redo done at (\\S+)", Pattern.DOTALL);

    static final Path BIN = Path.of("/usr/lib/postgresql/15/bin");
    private static final String BALANCES =
        "select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from"
            + " pgbench_branches) and (select sum(bbalance) from pgbench_branches) = (select"
            + " sum(tbalance) from pgbench_tellers) and (select sum(tbalance) from"
            + " pgbench_tellers) = (select coalesce(sum(delta), 0) from pgbench_history)";

    private final Path run;
    private final Path data;

    static void make(Path data) throws Exception {
      directoryOf("postgres", data);
      Shell.as("postgres", bin("initdb"), "-D", data.toString(), "-A", "trust", "-U", "postgres");
    }

    PostgresServer(Path run, Path data) throws Exception {
      this.run = directoryOf("postgres", run);
      this.data = data;
      Shell.as(
          "postgres",
          bin("pg_ctl"),
          "-D",
          data.toString(),
          "-w",
          "-l",
          run.resolve("log").toString(),
          "-o",
          "-c listen_addresses='' -c max_wal_size=96MB -c unix_socket_directories=" + run,
          "start");
    }

    private static String bin(String program) {
      return BIN.resolve(program).toString();
    }

    void fill() throws Exception {
      Shell.as("postgres", bin("pgbench"), "-i", "-q", "-s", "1", "-h", run.toString(), "postgres");
    }

    Process load() throws IOException {
      return new ProcessBuilder(
              List.of(
                  ("runuser -u postgres -- " + bin("pgbench") + " -n -c 2 -T 300 -h " + run)
                      .concat(" postgres")
                      .split(" ")))
          .redirectErrorStream(true)
          .redirectOutput(run.resolve("pgbench.log").toFile())
          .start();
    }

    String sql(String statement) throws Exception {
      return Shell.as(
          "postgres", "psql", "-X", "-h", run.toString(), "-Atc", statement, "postgres");
    }

    long number(String table) throws Exception {
      return Long.parseLong(sql("select count(*) from " + table));
    }

    void assertSound() throws Exception {
      assertEquals("t", sql(BALANCES), "pgbench's balances");
      assertEquals(100_000, number("pgbench_accounts"));
      assertTrue(number("pgbench_history") > 0);
    }

    String log() throws IOException {
      return Files.readString(run.resolve("log"));
    }

    /** What it replayed as it started. */
    long redoBytes() throws Exception {
      if (log().contains("redo is not required")) {
        return 0;
      }
      Matcher redo = REDO.matcher(log());
      assertTrue(redo.find(), log());
      return Long.parseLong(
          sql("select ('%s'::pg_lsn - '%s')::bigint".formatted(redo.group(2), redo.group(1))));
    }

    @Override
    public void close() throws IOException {
      try {
        Shell.as("postgres", bin("pg_ctl"), "-D", data.toString(), "-m", "fast", "-w", "stop");
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while stopping the server", e);
      }
    }
  }

  /** A server of its own; its load moves money between accounts. */
  private static final class MariaDbServer implements AutoCloseable {
    private static final String WORK =
        "BEGIN NOT ATOMIC DECLARE a INT; DECLARE b INT; DECLARE d INT; LOOP SET a = 1 +"
            + " FLOOR(RAND() * 5000), b = 1 + FLOOR(RAND() * 5000), d = FLOOR(RAND() * 10); START"
            + " TRANSACTION; UPDATE t.acc SET bal = bal - d WHERE id = a; UPDATE t.acc SET bal ="
            + " bal + d WHERE id = b; INSERT INTO t.hist(a, b, d) VALUES(a, b, d); COMMIT; END"
            + " LOOP; END";

    private final Path run;
    private final Process server;
    private final List<Process> loads = new ArrayList<>();

    static void make(Path data) throws Exception {
      directoryOf("nobody", data);
      Shell.read(
          "mariadb-install-db",
          "--no-defaults",
          "--user=nobody",
          "--skip-test-db",
          "--auth-root-authentication-method=normal",
          "--innodb-log-file-size=32M",
          "--datadir=" + data);
    }

    MariaDbServer(Path run, Path data) throws Exception {
      this.run = directoryOf("nobody", run);
      server =
          start(
              "log",
              "mariadbd",
              "--no-defaults",
              "--user=nobody",
              "--datadir=" + data,
              "--socket=" + run.resolve("s"),
              "--pid-file=" + run.resolve("pid"),
              "--innodb-buffer-pool-size=32M",
              "--innodb-log-file-size=32M",
              "--skip-networking");
      Await.until(
          "MariaDB answers, see " + run.resolve("log"),
          LIMIT,
          () -> {
            if (!server.isAlive()) {
              throw new AssertionError(log());
            }
            return Shell.run(client("select 1")).exitCode() == 0;
          });
    }

    private Process start(String log, String... command) throws IOException {
      return new ProcessBuilder(command)
          .redirectErrorStream(true)
          .redirectOutput(run.resolve(log).toFile())
          .start();
    }

    private String[] client(String statement) {
      return new String[] {
        "mariadb",
        "--no-defaults",
        "-uroot",
        "-N",
        "-S",
        run.resolve("s").toString(),
        "-e",
        statement
      };
    }

    String sql(String statement) throws Exception {
      return Shell.read(client(statement));
    }

    long number(String table) throws Exception {
      return Long.parseLong(sql("select count(*) from " + table));
    }

    void fill() throws Exception {
      sql(
          "CREATE DATABASE t; USE t; CREATE TABLE acc(id INT PRIMARY KEY, bal BIGINT NOT NULL);"
              + " CREATE TABLE hist(id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b INT, d INT);"
              + " INSERT INTO acc SELECT seq, 1000 FROM seq_1_to_5000;");
    }

    void load(int clients) throws IOException {
      for (int i = 0; i < clients; i++) {
        loads.add(start("load-" + i, client("DELIMITER //\n" + WORK + "//\n")));
      }
    }

    void assertSound() throws Exception {
      assertEquals("5000000", sql("SELECT sum(bal) FROM t.acc"), "no money is lost");
      String checks = sql("CHECK TABLE t.acc, t.hist EXTENDED");
      assertEquals(2, checks.lines().filter(line -> line.endsWith("OK")).count(), checks);
      assertTrue(number("t.hist") > 0);
    }

    String log() throws IOException {
      return Files.readString(run.resolve("log"));
    }

    /** SIGTERM, and wait for the orderly end: the file system is unmounted next. */
    @Override
    public void close() throws IOException {
      loads.forEach(Process::destroyForcibly);
      server.destroy();
      try {
        if (!server.waitFor(30, TimeUnit.SECONDS)) {
          server.destroyForcibly();
          throw new IOException("MariaDB did not end: " + log());
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while stopping the server", e);
      }
    }
  }
}
