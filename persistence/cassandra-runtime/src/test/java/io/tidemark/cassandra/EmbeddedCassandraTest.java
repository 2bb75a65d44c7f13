package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverTimeoutException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Life and death of the embedded Cassandra: real processes, really killed. */
@Timeout(300)
class EmbeddedCassandraTest {
  private static final long SEED = Long.getLong("tidemark.seed", 4711L);

  private final Path directory = TestCassandra.directory("embedded");

  @AfterEach
  void delete() {
    TestCassandra.delete(directory);
  }

  private Refusal refused(String overrides) {
    CassandraSettings settings = TestCassandra.settings(overrides);
    return assertThrows(
        Refusal.class, () -> EmbeddedCassandra.start(settings.server(), directory).close());
  }

  private static void assertSays(Refusal refusal, ErrorCode code, String... words) {
    assertEquals(code, refusal.code(), refusal.getMessage());
    for (String word : words) {
      assertTrue(refusal.getMessage().contains(word), refusal.getMessage());
    }
  }

  /** Killed with -9 under load, it is started again, and every acknowledged chunk is there. */
  @Test
  void shouldLoseNothingAcknowledgedWhenKilled() throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.seed)");
    CassandraSettings settings = TestCassandra.settings("");
    try (EmbeddedCassandra cassandra = EmbeddedCassandra.start(settings.server(), directory)) {
      settings = settings.withContactPoint(cassandra.contactPoint());
      try (CqlSession session = CassandraSessions.open(settings)) {
        Schema.create(session, settings);
        try (CassandraSegmentStore store = new CassandraSegmentStore(session, settings, 2)) {
          Load load = new Load(store, SEED);
          try (load) {
            load.awaitMore(100);
            long killed = cassandra.pid();
            assertTrue(ProcessHandle.of(killed).orElseThrow().destroyForcibly());
            assertNotEquals(0, cassandra.exited().toCompletableFuture().get(10, TimeUnit.SECONDS));
            Await.until(60, "another process", () -> cassandra.pid() != killed);
            load.awaitMore(100);
          }
          load.verify(store);
          cassandra.restart();
          load.verify(store);
        }
      }
      assertFalse(cassandra.givenUp().toCompletableFuture().isDone());
    }
  }

  /** The second node is told who holds the data; a killed node leaves nothing running. */
  @Test
  void shouldEndWithItsNodeAndKeepOthersOut() throws Exception {
    Process owner = owner();
    try {
      long child = childOf(owner);
      assertSays(refused(""), ErrorCode.BUSY, "in use", Long.toString(owner.pid()));
      owner.destroyForcibly().waitFor();
      Await.until(10, "the end of Cassandra", () -> !alive(child));
    } finally {
      owner.destroyForcibly();
    }
    // A leftover that cannot notice that its node is gone is ended by the next start.
    owner = owner();
    try {
      long stopped = childOf(owner);
      assertEquals(
          0, new ProcessBuilder("kill", "-STOP", Long.toString(stopped)).start().waitFor());
      owner.destroyForcibly().waitFor();
      assertTrue(alive(stopped));
      CassandraSettings settings = TestCassandra.settings("");
      try (EmbeddedCassandra cassandra = EmbeddedCassandra.start(settings.server(), directory)) {
        assertFalse(alive(stopped));
        assertTrue(cassandra.alive());
      }
    } finally {
      owner.destroyForcibly();
    }
  }

  private Process owner() throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            OwnerMain.class.getName(),
            directory.toString())
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  private static long childOf(Process owner) throws IOException {
    BufferedReader out =
        new BufferedReader(new InputStreamReader(owner.getInputStream(), StandardCharsets.UTF_8));
    String line = out.readLine();
    while (line != null && !line.startsWith("cassandra ")) {
      line = out.readLine();
    }
    assertTrue(line != null, "the owner ended");
    return Long.parseLong(line.substring("cassandra ".length()));
  }

  private static boolean alive(long pid) {
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }

  @Test
  void shouldNameThePortThatIsTakenAndWhoHasIt() throws Exception {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      String port = Integer.toString(socket.getLocalPort());
      String key = "tidemark.cassandra.embedded-server.native-port";
      assertSays(
          refused(key + " = " + port),
          ErrorCode.BUSY,
          port,
          Long.toString(ProcessHandle.current().pid()));
    }
  }

  /**
   * The disk fills up under load, a real file system: the refusal says so, and once there is room
   * again nothing that was acknowledged is lost.
   */
  @Test
  void shouldSayThatTheDiskHasFilledUp() throws Exception {
    assumeTrue("root".equals(System.getProperty("user.name")), "requires root to mount");
    Path disk = directory.resolve("disk");
    Path mount = Files.createDirectories(directory.resolve("mount")).toAbsolutePath();
    try (java.io.RandomAccessFile file = new java.io.RandomAccessFile(disk.toFile(), "rw")) {
      file.setLength(900L << 20);
    }
    run("mkfs.ext4", "-qF", disk.toString());
    run("mount", "-o", "loop", disk.toString(), mount.toString());
    try {
      run("fallocate", "-l", "400MiB", mount.resolve("ballast").toString());
      fillUp(mount);
    } finally {
      run("umount", mount.toString());
    }
  }

  private static void fillUp(Path mount) throws Exception {
    CassandraSettings settings =
        TestCassandra.settings(
            """
            tidemark.cassandra { write-deadline = 2 s
              embedded-server { minimum-free = 100 MiB, restart { attempts = 2, backoff-max = 1 s } }
            }""");
    try (EmbeddedCassandra cassandra = EmbeddedCassandra.start(settings.server(), mount)) {
      settings = settings.withContactPoint(cassandra.contactPoint());
      try (CqlSession session = CassandraSessions.open(settings)) {
        Schema.create(session, settings);
        try (CassandraSegmentStore store = new CassandraSegmentStore(session, settings, 2)) {
          Load load = new Load(store, SEED);
          try (load) {
            Refusal refusal = cassandra.givenUp().toCompletableFuture().get(150, TimeUnit.SECONDS);
            assertSays(refusal, ErrorCode.FAILED, "is full", "minimum-free", mount.toString());
          }
          System.out.println(load.acknowledged() + " segments fitted");
          assertTrue(load.acknowledged() > 0);
          Files.delete(mount.resolve("ballast"));
          cassandra.restart();
          Await.until(60, "the session has found it again", () -> answers(session));
          load.verify(store);
        }
      }
    }
  }

  private static boolean answers(CqlSession session) {
    try {
      return session.execute("SELECT key FROM system.local").one() != null;
    } catch (AllNodesFailedException | DriverTimeoutException e) {
      return false; // the driver has yet to dial
    }
  }

  private static void run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).inheritIO().start();
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    assertEquals(0, process.exitValue(), String.join(" ", command));
  }

  @Test
  void shouldNotStartOnAFullDisk() {
    assertSays(
        refused("tidemark.cassandra.embedded-server.minimum-free = 100000 GiB"),
        ErrorCode.FAILED,
        "full",
        "minimum-free");
  }

  /** A Java home that is made up of what it says of itself and a program. */
  private Path java(String name, String release, String program) throws IOException {
    Path home = directory.resolve(name);
    Files.createDirectories(home.resolve("bin"));
    Files.writeString(home.resolve("release"), release);
    if (!program.isEmpty()) {
      Path java = Files.writeString(home.resolve("bin/java"), program);
      assertTrue(java.toFile().setExecutable(true));
    }
    return home;
  }

  private Refusal refusedOn(Path java) {
    return refused("tidemark.cassandra.embedded-server.java-home = \"%s\"".formatted(java));
  }

  @Test
  void shouldNotStartWithAnotherJava() throws Exception {
    for (String other : List.of("1.8.0_412", "11.0.22", "21.0.2", "25")) {
      String feature = other.startsWith("1.8") ? "8" : other.replaceAll("\\..*", "");
      assertSays(
          refusedOn(java("java-" + other, "JAVA_VERSION=\"" + other + "\"\n", "")),
          ErrorCode.INVALID,
          "needs Java 17",
          "is Java " + feature,
          "java-home");
    }
    // Another JDK of this machine, where it has one.
    try (Stream<Path> homes = Files.list(Path.of("/usr/lib/jvm"))) {
      for (Path home : homes.filter(h -> Files.isReadable(h.resolve("release"))).toList()) {
        if (!Files.readString(home.resolve("release")).contains("JAVA_VERSION=\"17")) {
          System.out.println("refused: " + home);
          assertSays(refusedOn(home), ErrorCode.INVALID, "needs Java 17", home.toString());
        }
      }
    }
  }

  @Test
  void shouldNameAJavaThatCannotBeRun() throws Exception {
    assertSays(refusedOn(Path.of("/nowhere")), ErrorCode.INVALID, "/nowhere", "java-home");
    assertSays(
        refusedOn(java("odd", "VERSION=17\n", "")), ErrorCode.INVALID, "odd", "which Java it is");
    String seventeen = "JAVA_VERSION=\"17.0.15\"\n";
    assertSays(
        refusedOn(java("empty", seventeen, "")), ErrorCode.INVALID, "empty/bin/java", "java-home");
    assertSays(
        refusedOn(java("broken", seventeen, "#!/nowhere/sh\n")),
        ErrorCode.FAILED,
        "broken/bin/java",
        "java-home");
    // It lies about its version: what the program says is shown.
    assertSays(
        refusedOn(
            java("lying", seventeen, "#!/bin/sh\necho Unrecognized option: --add-opens\nexit 1\n")),
        ErrorCode.FAILED,
        "ended during its start with status 1",
        "Unrecognized option");
  }

  @Test
  void shouldNotStartWithoutTheRuntime() {
    assertSays(
        refused("tidemark.cassandra.embedded-server.lib-directory = /nowhere"),
        ErrorCode.INVALID,
        "/nowhere");
  }

  /** Damaged system tables: the refusal shows Cassandra's own words and where to read more. */
  @Test
  void shouldShowTheLogWhenTheDataIsDamaged() throws Exception {
    CassandraSettings settings = TestCassandra.settings("");
    EmbeddedCassandra.start(settings.server(), directory).close();
    List<Path> damaged;
    try (Stream<Path> files = Files.walk(directory.resolve("cassandra/data/system"))) {
      damaged =
          files
              .filter(file -> file.toString().contains("/local-"))
              .filter(file -> file.toString().matches(".*-(Data|Statistics|Index|Partitions)\\.db"))
              .toList();
    }
    assertFalse(damaged.isEmpty());
    for (Path file : damaged) {
      byte[] bytes = Files.readAllBytes(file);
      java.util.Arrays.fill(bytes, (byte) 0x5a);
      Files.write(file, bytes);
    }
    assertSays(refused(""), ErrorCode.FAILED, "ended during its start", "cassandra.log");
  }
}
