package io.tidemark.hook;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.hook.HookResult.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real servers under load, quiesced, and started again from a copy of the quiesced files. */
class DatabaseHooksTest {
  private static final String PG = "/usr/lib/postgresql/15/bin/";
  private static final String SECRET = "h0rse-staple";

  /** The background writer and the vacuum of the catalogs log a little now and then. */
  private static final long IDLE_BYTES_MAX = 16 << 10;

  @TempDir Path directory;

  @BeforeEach
  void tools() throws Exception {
    Host.requires("runuser", "setsid", "timeout");
    Host.requiresRoot();
    Host.run("chmod", "755", directory.toString());
  }

  private Applications applications(String text) throws Exception {
    Path file = Files.writeString(directory.resolve("apps.conf"), text);
    return new Applications(ApplicationsFile.load(file), Set.of());
  }

  private Path secretFile(String text) throws Exception {
    Path file = Files.writeString(directory.resolve("secret"), text);
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  private static HookResult done(HookResult result) {
    assertEquals(Outcome.DONE, result.outcome(), result.output());
    return result;
  }

  /** Under the lock nothing is written, and a copy starts without crash recovery of InnoDB. */
  @Test
  @Timeout(value = 4, unit = TimeUnit.MINUTES)
  void shouldQuiesceMariaDb() throws Exception {
    Host.requires("mariadbd", "mariadb", "mariadb-install-db");
    Path options = secretFile("[client]\nuser=tidemark\npassword=" + SECRET + "\n");
    try (MariaDbServer server = MariaDbServer.make(directory, directory.resolve("my"))) {
      server.sql("CREATE USER tidemark@localhost IDENTIFIED BY '" + SECRET + "'");
      server.sql("GRANT RELOAD, SUPER ON *.* TO tidemark@localhost");
      server.load(4);
      Host.await("there is load", Host.LIMIT, () -> server.number("t.hist") > 500);
      try (Applications applications = applications(mariaDb(server, options, "60 s"))) {
        long ticket = Host.ticket();
        HookResult locked = done(Host.quiesce(applications, ticket).get(0));
        assertTrue(locked.output().contains("nothing logged after it"), locked.output());
        long before = server.number("t.hist");
        Path copy = directory.resolve("copy");
        Host.run("cp", "-a", server.data.toString(), copy.toString());
        assertEquals(before, server.number("t.hist"), "nothing is written");
        done(Host.get(applications.thaw(ticket)).get(0));
        Host.await("writers go on", Host.LIMIT, () -> server.number("t.hist") > before);
        try (MariaDbServer restored = new MariaDbServer(directory, copy)) {
          assertFalse(restored.log().contains("Starting crash recovery"), restored.log());
          assertTrue(restored.log().contains("End of log at LSN"), restored.log());
          restored.assertSound(before);
        }
        shouldBlockCommits(server, options);
        shouldEndWithTheTap(server, options);
        shouldKeepTheSecret(server, options);
      }
    }
  }

  /**
   * In backup stages reads go on and commits and DDL wait; what was committed is what a copy of
   * that moment recovers, as after a crash, and a tap that dies lets them go on.
   */
  private void shouldBlockCommits(MariaDbServer server, Path options) throws Exception {
    String staged =
        mariaDb(server, options, "60 s").replace("mariadb,", "mariadb, mode = backup-stage,");
    try (Applications applications = applications(staged)) {
      long ticket = Host.ticket();
      HookResult blocked = done(Host.quiesce(applications, ticket).get(0));
      assertTrue(blocked.output().contains("commits are blocked"), blocked.output());
      long before = server.number("t.hist");
      Path copy = directory.resolve("staged");
      server.copyAtOnce(copy);
      assertEquals(before, server.number("t.hist"), "nothing is committed");
      assertTrue(server.waits("INSERT INTO t.hist(a, b, d) VALUES(1, 1, 0)"), "commits wait");
      assertTrue(server.waits("CREATE TABLE t.late(x INT)"), "DDL waits");
      HookResult thawed = done(Host.get(applications.thaw(ticket)).get(0));
      assertTrue(thawed.output().contains("no longer blocked"), thawed.output());
      Host.await("writers go on", Host.LIMIT, () -> server.number("t.hist") > before);
      try (MariaDbServer restored = new MariaDbServer(directory, copy)) {
        assertTrue(restored.log().contains("Starting crash recovery"), restored.log());
        restored.assertSound(before);
      }
    }
    Path log = directory.resolve("stage-holder.log");
    Path file = Files.writeString(directory.resolve("stage.conf"), staged);
    Process killed = HolderMain.start(log, file);
    Host.await("blocked", Duration.ofSeconds(40), () -> Files.readString(log).contains("DONE"));
    long held = server.number("t.hist");
    killed.destroyForcibly();
    Host.await("writers go on", Duration.ofSeconds(5), () -> server.number("t.hist") > held);
  }

  private static String mariaDb(MariaDbServer server, Path options, String frozenMax) {
    return """
        frozen-max = %s
        applications { db { kind = mariadb, socket = "%s", option-file = "%s" } }
        """
        .formatted(frozenMax, server.socket, options);
  }

  /** H1: the lock goes with a tap that is killed, and at the limit of one that is stopped. */
  private void shouldEndWithTheTap(MariaDbServer server, Path options) throws Exception {
    Path log = directory.resolve("holder.log");
    Path file = Files.writeString(directory.resolve("held.conf"), mariaDb(server, options, "60 s"));
    Process killed = HolderMain.start(log, file);
    Host.await("locked", Duration.ofSeconds(40), () -> Files.readString(log).contains("DONE"));
    long held = server.number("t.hist");
    killed.destroyForcibly();
    Host.await("unlocked", Duration.ofSeconds(5), () -> server.number("t.hist") > held);

    Files.writeString(log, "");
    Files.writeString(file, mariaDb(server, options, "20 s"));
    Process stopped = HolderMain.start(log, file);
    try {
      Host.await("locked", Duration.ofSeconds(40), () -> Files.readString(log).contains("DONE"));
      Host.run("kill", "-STOP", Long.toString(stopped.pid()));
      long still = server.number("t.hist");
      Host.await(
          "unlocked at the limit", Duration.ofSeconds(25), () -> server.number("t.hist") > still);
    } finally {
      stopped.destroyForcibly();
    }
  }

  /** H5: neither a process list nor the output of a failure has the password. */
  private void shouldKeepTheSecret(MariaDbServer server, Path options) throws Exception {
    try (Applications applications = applications(mariaDb(server, options, "60 s"))) {
      long ticket = Host.ticket();
      done(Host.quiesce(applications, ticket).get(0));
      boolean client = false;
      for (ProcessHandle child : ProcessHandle.current().descendants().toList()) {
        Path proc = Path.of("/proc", Long.toString(child.pid()));
        for (String file : List.of("cmdline", "environ")) {
          String text = new String(Files.readAllBytes(proc.resolve(file)), "ISO-8859-1");
          client |= text.contains("--defaults-file=" + options);
          assertFalse(text.contains(SECRET), file + " has the password");
        }
      }
      assertTrue(client, "the client was looked at");
      done(Host.get(applications.thaw(ticket)).get(0));
      server.sql("ALTER USER tidemark@localhost IDENTIFIED BY 'another'");
      HookResult failed = Host.quiesce(applications, Host.ticket()).get(0);
      assertEquals(Outcome.FAILED, failed.outcome());
      assertTrue(failed.output().contains("Access denied"), failed.output());
      assertEquals(1, failed.exitCode());
    }
  }

  /** What each mode says it does; the copy replays no more than it says. */
  @Test
  @Timeout(value = 4, unit = TimeUnit.MINUTES)
  void shouldQuiescePostgres() throws Exception {
    Host.requires(PG + "initdb", PG + "pgbench", "psql");
    Path data = directory.resolve("pg");
    Path pass = secretFile("*:*:*:tidemark:" + SECRET + "\n");
    try (PostgresServer server = PostgresServer.make(directory, data)) {
      server.sql("CREATE ROLE tidemark LOGIN PASSWORD '" + SECRET + "'");
      server.sql("GRANT pg_checkpoint, pg_write_all_data TO tidemark");
      server.sql("GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop TO tidemark");
      server.pgbench("-i", "-q", "-s", "1");
      Process load = server.load(90);
      try (Applications applications =
          applications(
              """
              frozen-max = 60 s
              applications {
                check { kind = postgresql, %s }
                backup { kind = postgresql, mode = backup, %s }
                lock { kind = postgresql, mode = lock, %s }
              }
              """
                  .replace("%s", "host = \"%s\", user = tidemark, pass-file = \"%s\"")
                  .formatted(server.sockets, pass, server.sockets, pass, server.sockets, pass))) {
        long checkpoint = Host.ticket();
        HookResult checked = done(Host.quiesce(applications, checkpoint, "check").get(0));
        assertTrue(checked.output().contains("bytes to replay"), checked.output());
        done(Host.get(applications.thaw(checkpoint)).get(0));

        long backup = Host.ticket();
        done(Host.quiesce(applications, backup, "backup").get(0));
        HookResult label = done(Host.get(applications.thaw(backup)).get(0));
        assertTrue(label.output().contains("START WAL LOCATION"), label.output());

        long lock = Host.ticket();
        done(Host.quiesce(applications, lock, "lock").get(0));
        long before = server.number("pgbench_history");
        Path copy = directory.resolve("pgcopy");
        Host.run("cp", "-a", data.toString(), copy.toString());
        assertEquals(before, server.number("pgbench_history"), "nothing is written");
        done(Host.get(applications.thaw(lock)).get(0));
        Host.await("writers go on", Host.LIMIT, () -> server.number("pgbench_history") > before);
        assertTrue(load.isAlive());
        Files.delete(copy.resolve("postmaster.pid"));
        try (PostgresServer restored = new PostgresServer(directory, copy)) {
          assertTrue(restored.redoBytes() <= IDLE_BYTES_MAX, restored.log());
          restored.assertSound(before);
        }
      } finally {
        load.destroy();
      }
    }
  }

  /** H2: a session that somebody ends is no lock any more. */
  @Test
  void shouldTellOfALostSession() throws Exception {
    Host.requires(PG + "initdb", "psql");
    try (PostgresServer server = PostgresServer.make(directory, directory.resolve("pg"));
        Applications applications =
            applications(
                "applications { db { kind = postgresql, mode = lock, user = postgres, host = \""
                    + server.sockets
                    + "\" } }")) {
      long ticket = Host.ticket();
      done(Host.quiesce(applications, ticket).get(0));
      server.sql(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ="
              + " 'tidemark'");
      HookResult lost = Host.get(applications.thaw(ticket)).get(0);
      assertEquals(Outcome.EXPIRED, lost.outcome(), lost.output());
    }
  }

  /** A writer waits; a copy has everything in the data base file. */
  @Test
  void shouldQuiesceSqlite() throws Exception {
    Host.requires("sqlite3");
    for (String mode : List.of("wal", "delete")) {
      Path db = directory.resolve(mode + ".db");
      sqlite(db, "PRAGMA journal_mode = " + mode + "; CREATE TABLE t(x);");
      // Each writer is a process of its own: SQLite gives no turns to who waits for its lock.
      String insert = "sqlite3 -cmd '.timeout 20000' '%s' 'INSERT INTO t VALUES(1)'".formatted(db);
      Process load =
          Host.start(directory.resolve("load.log"), "sh", "-c", "while :; do " + insert + "; done");
      Host.await("there is load", Host.LIMIT, () -> count(db) > 20);
      try (Applications applications =
          applications(
              "applications { db { kind = sqlite, time-limit = 30 s, database = \""
                  + db
                  + "\" } }")) {
        long ticket = Host.ticket();
        HookResult locked = done(Host.quiesce(applications, ticket).get(0));
        if (mode.equals("wal")) {
          assertTrue(locked.output().contains("log is empty"), locked.output());
        }
        long before = count(db);
        Path copy = directory.resolve(mode + "-copy.db");
        Files.copy(db, copy); // without what lies beside it
        assertEquals(before, count(db), "nothing is written");
        done(Host.get(applications.thaw(ticket)).get(0));
        Host.await("the writer goes on", Host.LIMIT, () -> count(db) > before);
        assertEquals(before, count(copy));
        assertEquals("ok", sqlite(copy, "PRAGMA integrity_check;"));
      } finally {
        List<ProcessHandle> writers = load.descendants().toList();
        load.destroyForcibly().waitFor();
        writers.forEach(ProcessHandle::destroyForcibly);
        writers.forEach(writer -> writer.onExit().join());
      }
    }
    try (Applications applications =
        applications("applications { db { kind = sqlite, database = /nowhere/x.db } }")) {
      HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
      assertEquals(Outcome.FAILED, result.outcome());
      assertFalse(Files.exists(Path.of("/nowhere")));
    }
  }

  private static String sqlite(Path db, String sql) throws Exception {
    String answer = Host.run("sqlite3", "-cmd", ".timeout 10000", db.toString(), sql);
    return answer.substring(answer.lastIndexOf('\n') + 1);
  }

  private static long count(Path db) throws Exception {
    return Long.parseLong(sqlite(db, "SELECT count(*) FROM t;"));
  }

  /** A PostgreSQL of its own, without password for its superuser. */
  private static final class PostgresServer implements AutoCloseable {
    private static final Pattern REDO =
        Pattern.compile("redo starts at (\\S+).*redo done at (\\S+)", Pattern.DOTALL);

    final Path sockets;
    private final Path data;

    static PostgresServer make(Path directory, Path data) throws Exception {
      Files.createDirectory(data);
      Host.run("chown", "postgres", data.toString());
      as(PG + "initdb", "-D", data.toString(), "-A", "trust", "-U", "postgres");
      Files.writeString(
          data.resolve("pg_hba.conf"), "local all tidemark scram-sha-256\nlocal all all trust\n");
      return new PostgresServer(directory, data);
    }

    PostgresServer(Path directory, Path data) throws Exception {
      this.data = data;
      this.sockets = Files.createTempDirectory(directory, "s");
      Host.run("chmod", "755", sockets.toString());
      Host.run("chown", "postgres", sockets.toString());
      as(
          PG + "pg_ctl",
          "-D",
          data.toString(),
          "-w",
          "-l",
          sockets.resolve("log").toString(),
          "-o",
          "-c listen_addresses='' -c unix_socket_directories=" + sockets,
          "start");
    }

    private static String as(String... command) throws IOException {
      List<String> whole = new ArrayList<>(List.of("runuser", "-u", "postgres", "--"));
      whole.addAll(List.of(command));
      return Host.run(whole.toArray(String[]::new));
    }

    String sql(String statement) throws Exception {
      return as("psql", "-h", sockets.toString(), "-X", "-Atc", statement, "postgres");
    }

    long number(String table) throws Exception {
      return Long.parseLong(sql("SELECT count(*) FROM " + table));
    }

    void pgbench(String... arguments) throws Exception {
      List<String> whole = new ArrayList<>(List.of(PG + "pgbench", "-h", sockets.toString()));
      whole.addAll(List.of(arguments));
      whole.add("postgres");
      as(whole.toArray(String[]::new));
    }

    Process load(int seconds) throws Exception {
      return Host.start(
          sockets.resolve("pgbench"),
          ("runuser -u postgres -- " + PG + "pgbench -n -c 4 -T " + seconds + " -h " + sockets)
              .concat(" postgres")
              .split(" "));
    }

    void assertSound(long history) throws Exception {
      assertEquals(history, number("pgbench_history"));
      assertEquals(
          "t",
          sql(
              "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM"
                  + " pgbench_history) AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT"
                  + " sum(bbalance) FROM pgbench_branches)"));
    }

    String log() throws Exception {
      return Files.readString(sockets.resolve("log"));
    }

    /** What it replayed as it started. */
    long redoBytes() throws Exception {
      if (log().contains("redo is not required")) {
        return 0;
      }
      Matcher redo = REDO.matcher(log());
      assertTrue(redo.find(), log());
      return Long.parseLong(
          sql("SELECT ('%s'::pg_lsn - '%s')::bigint".formatted(redo.group(2), redo.group(1))));
    }

    @Override
    public void close() throws IOException {
      as(PG + "pg_ctl", "-D", data.toString(), "-m", "immediate", "-w", "stop");
    }
  }

  /** A MariaDB of its own, with a load that moves money between accounts. */
  private static final class MariaDbServer implements AutoCloseable {
    private static final String WORK =
        "BEGIN NOT ATOMIC DECLARE a INT; DECLARE b INT; DECLARE d INT; LOOP SET a = 1 +"
            + " FLOOR(RAND() * 5000), b = 1 + FLOOR(RAND() * 5000), d = FLOOR(RAND() * 10); START"
            + " TRANSACTION; UPDATE t.acc SET bal = bal - d WHERE id = a; UPDATE t.acc SET bal ="
            + " bal + d WHERE id = b; INSERT INTO t.hist(a, b, d) VALUES(a, b, d); COMMIT; END"
            + " LOOP; END";

    final Path data;
    final Path socket;
    private final Path log;
    private final Process process;
    private final List<Process> loads = new ArrayList<>();

    static MariaDbServer make(Path directory, Path data) throws Exception {
      Files.createDirectory(data);
      Host.run("chown", "nobody", data.toString());
      Host.run(
          "mariadb-install-db",
          "--no-defaults",
          "--user=nobody",
          "--skip-test-db",
          "--auth-root-authentication-method=normal",
          "--datadir=" + data);
      MariaDbServer server = new MariaDbServer(directory, data);
      server.sql(
          "CREATE DATABASE t; USE t; CREATE TABLE acc(id INT PRIMARY KEY, bal BIGINT NOT NULL);"
              + " CREATE TABLE hist(id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b INT, d INT);"
              + " INSERT INTO acc SELECT seq, 1000 FROM seq_1_to_5000;");
      return server;
    }

    MariaDbServer(Path directory, Path data) throws Exception {
      this.data = data;
      Path run = Files.createTempDirectory(directory, "m");
      Host.run("chmod", "755", run.toString());
      Host.run("chown", "nobody", run.toString());
      socket = run.resolve("s");
      log = run.resolve("log");
      process =
          Host.start(
              log,
              "mariadbd",
              "--no-defaults",
              "--user=nobody",
              "--datadir=" + data,
              "--socket=" + socket,
              "--pid-file=" + run.resolve("pid"),
              "--innodb-buffer-pool-size=32M",
              "--skip-networking");
      try {
        Host.await("MariaDB answers", Host.LIMIT, () -> sqlQuietly("SELECT 1").equals("1"));
      } catch (AssertionError e) {
        process.destroyForcibly();
        throw new AssertionError(log(), e);
      }
    }

    private String sqlQuietly(String statement) throws Exception {
      try {
        return sql(statement);
      } catch (AssertionError e) {
        return ""; // it does not answer yet
      }
    }

    String sql(String statement) throws Exception {
      return Host.run(client(statement));
    }

    private String[] client(String statement) {
      return new String[] {
        "mariadb", "--no-defaults", "-uroot", "-N", "-S", socket.toString(), "-e", statement
      };
    }

    long number(String table) throws Exception {
      return Long.parseLong(sql("SELECT count(*) FROM " + table));
    }

    void load(int clients) throws Exception {
      for (int i = 0; i < clients; i++) {
        loads.add(
            Host.start(socket.resolveSibling("load"), client("DELIMITER //\n" + WORK + "//\n")));
      }
    }

    /** The files as of one moment, as a recovery point has them. */
    void copyAtOnce(Path copy) throws Exception {
      Host.run("kill", "-STOP", Long.toString(process.pid()));
      try {
        Host.run("cp", "-a", data.toString(), copy.toString());
      } finally {
        Host.run("kill", "-CONT", Long.toString(process.pid()));
      }
    }

    /** Whether a statement is still waiting for a lock after a second, which is when it ends. */
    boolean waits(String statement) throws Exception {
      Path output = socket.resolveSibling("waiting");
      Process waiting =
          Host.start(output, client("SET SESSION lock_wait_timeout = 1; " + statement));
      assertTrue(waiting.waitFor(Host.LIMIT.toSeconds(), TimeUnit.SECONDS));
      return waiting.exitValue() != 0
          && Files.readString(output).contains("Lock wait timeout exceeded");
    }

    void assertSound(long history) throws Exception {
      assertEquals(history, number("t.hist"));
      assertEquals("5000000", sql("SELECT sum(bal) FROM t.acc"));
      String checks = sql("CHECK TABLE t.acc, t.hist EXTENDED");
      assertEquals(2, checks.lines().filter(line -> line.endsWith("OK")).count(), checks);
    }

    String log() throws Exception {
      return Files.readString(log);
    }

    @Override
    public void close() throws IOException {
      loads.forEach(Process::destroyForcibly);
      process.destroyForcibly().onExit().join();
    }
  }
}
