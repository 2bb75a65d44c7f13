package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A real database on a real file system on a protected volume, recovered at several points. */
class PostgresRecoveryTest {
  private static final Path BIN = Path.of("/usr/lib/postgresql/15/bin");
  private static final long VOLUME_BYTES = 512L << 20;
  private static final int PHASES = 4;

  /** Points recovered of each file system, spread over those that were noted. */
  private static final int POINTS = Integer.getInteger("tidemark.test.postgres.points", 3);

  private static final String BALANCES =
      "select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from"
          + " pgbench_branches) and (select sum(bbalance) from pgbench_branches) = (select"
          + " sum(tbalance) from pgbench_tellers) and (select sum(tbalance) from pgbench_tellers)"
          + " = (select coalesce(sum(delta), 0) from pgbench_history)";

  /** Any moment under pgbench is a moment from which the database starts with its books right. */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs"})
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  void shouldStartPostgresFromAnyPoint(String fileSystem, @TempDir Path directory)
      throws Exception {
    Shell.requires("nbdfuse", "losetup", "fusermount3", "runuser", "mkfs." + fileSystem);
    Shell.requiresRoot(Path.of("/dev/fuse"));
    if (!Files.isExecutable(BIN.resolve("pgbench"))) {
      Shell.requires("pgbench of PostgreSQL 15");
    }
    openToOthers(directory);
    Path backing = directory.resolve("pg.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    try (TestSite site = new TestSite(directory.resolve("site"));
        TestSite.TestTap tap = site.tap("pg", backing)) {
      site.start();
      site.client.createVolume("pg", VOLUME_BYTES);
      tap.start();
      tap.awaitServed();
      List<Long> seqs = runPgbench(directory, tap, fileSystem, site);
      int points = Math.min(POINTS, seqs.size());
      for (int i = 1; i <= points; i++) {
        recover(directory, site, seqs.get(i * seqs.size() / points - 1), fileSystem);
      }
    }
  }

  private static List<Long> runPgbench(
      Path directory, TestSite.TestTap tap, String fileSystem, TestSite site) throws Exception {
    List<Long> seqs = new ArrayList<>();
    try (MountedExport volume = new MountedExport(directory, "live", tap.uri())) {
      Shell.run("mkfs." + fileSystem, fileSystem.equals("ext4") ? "-qF" : "-qf", volume.device())
          .orFail();
      volume.mount();
      Shell.run("chown", "postgres", volume.mountPoint().toString()).orFail();
      Path data = volume.mountPoint().resolve("db");
      Shell.as("postgres", bin("initdb"), "-D", data.toString(), "-A", "trust", "-U", "postgres");
      try (Postgres postgres = new Postgres(directory, data)) {
        Shell.as("postgres", postgres.client("pgbench", "-i", "-q", "-s", "2"));
        for (int i = 0; i < PHASES; i++) {
          Shell.as("postgres", postgres.client("pgbench", "-n", "-c", "4", "-T", "2"));
          seqs.add(site.client.head("pg"));
        }
        Process load =
            new ProcessBuilder(asPostgres(postgres.client("pgbench", "-n", "-c", "4", "-T", "4")))
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("pgbench.log").toFile())
                .start();
        while (load.isAlive()) {
          seqs.add(site.client.head("pg"));
          load.waitFor(1, TimeUnit.SECONDS);
        }
        assertEquals(0, load.exitValue());
      }
    }
    return seqs.stream().distinct().toList();
  }

  private static void recover(Path directory, TestSite site, long seq, String fileSystem)
      throws Exception {
    JsonNode image = site.client.openImage("pg", "seq:" + seq, true).orFail();
    String name = image.at("/name").asText();
    try (MountedExport restored =
        new MountedExport(directory, "at-" + seq, image.at("/uri").asText())) {
      restored.mount();
      restored.unmount();
      if (fileSystem.equals("ext4")) {
        Shell.run("e2fsck", "-fn", restored.device()).orFail();
      } else {
        Shell.run("xfs_repair", "-n", restored.device()).orFail();
      }
      restored.mount();
      Path data = restored.mountPoint().resolve("db");
      Files.deleteIfExists(data.resolve("postmaster.pid"));
      try (Postgres postgres = new Postgres(directory, data)) {
        String right = Shell.as("postgres", postgres.client("psql", "-Atc", BALANCES, "postgres"));
        assertEquals("t", right, "pgbench's balances at seq " + seq);
        String rows =
            Shell.as(
                "postgres",
                postgres.client(
                    "psql", "-Atc", "select count(*) from pgbench_accounts", "postgres"));
        assertTrue(Long.parseLong(rows) == 200_000, "accounts at seq " + seq + ": " + rows);
      }
    }
    site.client.closeImage(name);
  }

  private static void openToOthers(Path directory) throws IOException, InterruptedException {
    Shell.run("chmod", "755", directory.toString()).orFail();
  }

  private static String bin(String program) {
    return BIN.resolve(program).toString();
  }

  private static List<String> asPostgres(String... command) {
    List<String> whole = new ArrayList<>(List.of("runuser", "-u", "postgres", "--"));
    whole.addAll(List.of(command));
    return whole;
  }

  /** A server of its own on a Unix socket. */
  private static final class Postgres implements AutoCloseable {
    private final Path sockets;
    private final Path data;

    Postgres(Path directory, Path data) throws Exception {
      this.sockets = Files.createTempDirectory(directory, "pg");
      this.data = data;
      Shell.run("chown", "postgres", sockets.toString()).orFail();
      Shell.as(
          "postgres",
          bin("pg_ctl"),
          "-D",
          data.toString(),
          "-w",
          "-l",
          sockets.resolve("log").toString(),
          "-o",
          "-c listen_addresses='' -c unix_socket_directories=" + sockets,
          "start");
    }

    String[] client(String program, String... arguments) {
      List<String> whole = new ArrayList<>(List.of(bin(program)));
      whole.addAll(List.of("-h", sockets.toString(), "-U", "postgres"));
      whole.addAll(List.of(arguments));
      return whole.toArray(String[]::new);
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
}
