package io.tidemark.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a tool that a hostile disk has taken over can see, take and do: as little as possible. */
class SandboxTest {
  private static final int DISK_BYTES = 1 << 20;

  /** Anything that a tool might do, by a shell in its place. */
  private static final String SHELL = "sh";

  @TempDir static Path directory;
  private static final List<Process> SERVERS = new ArrayList<>();
  private static Sandbox sandbox;

  @BeforeAll
  static void start() throws Exception {
    io.tidemark.imageserver.Tools.requires("nbdkit", "nbdfuse", "unshare", "nsenter", "setpriv");
    assumeTrue(Files.isWritable(Path.of("/dev/fuse")), "needs /dev/fuse");
    Files.writeString(directory.resolve("secret"), "of the node");
    sandbox = open("sandbox");
  }

  /** Each on a disk of its own. */
  private static Sandbox open(String name) throws Exception {
    Path socket = directory.resolve(name + ".sock");
    SERVERS.add(
        new ProcessBuilder("nbdkit", "-f", "-U", socket.toString(), "memory", "" + DISK_BYTES)
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("nbdkit.log").toFile())
            .start());
    await("nbdkit serves", () -> Files.exists(socket));
    return Sandbox.open(
        directory, directory.resolve(name), "nbd+unix:///?socket=" + socket, Duration.ofSeconds(3));
  }

  @AfterAll
  static void stop() throws Exception {
    if (sandbox != null) {
      sandbox.close();
      assertFalse(Files.exists(directory.resolve("sandbox")));
      assertFalse(Files.readString(Path.of("/proc/mounts")).contains(directory.toString()));
    }
    for (Process server : SERVERS) {
      server.destroy();
      server.waitFor();
    }
  }

  private static String shell(String script) throws Exception {
    Tools.Answer answer = sandbox.run(List.of(SHELL, "-c", script), "", 10_000);
    return answer.output().strip();
  }

  /** B1: the disk, the programs, and nothing of people, other programs or the node. */
  @Test
  void shouldShowTheDiskOnly() throws Exception {
    assertEquals("" + DISK_BYTES, shell("stat -c %s disk"));
    String places = "/home /root /var /run /srv /opt /media /mnt /boot /tmp";
    assertEquals("/tmp/disk", shell("find " + places + " -mindepth 1 2>&-"));
    assertEquals("none", shell("cat " + directory.resolve("secret") + " 2>&- || echo none"));
    assertEquals("lo", shell("tail -n +3 /proc/net/dev | cut -d: -f1"));
  }

  /** B1: nobody, who can do nothing. */
  @Test
  void shouldGiveNoPrivileges() throws Exception {
    boolean root = "root".equals(System.getProperty("user.name"));
    assertEquals(root ? "65534" : "0", shell("id -u"));
    assertEquals(
        "CapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1",
        shell("grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -d '\\t'"));
    assertEquals("no", shell("mount -t tmpfs tmpfs /mnt 2>&- || echo no"));
    assertEquals("no", shell("(echo x >/tmp/x) 2>&- || echo no"));
    assertEquals("2097152 1000", shell("echo $(ulimit -v; cat /proc/self/oom_score_adj)"));
  }

  /** B3: output past its limit, errors without end, no end at all. */
  @Test
  void shouldEndWhatGoesOn() throws Exception {
    Tools.Answer flood = sandbox.run(List.of("yes"), "", 1_000);
    assertEquals(-1, flood.exitCode());
    assertEquals("y\n".repeat(500), flood.output());
    Tools.Answer errors = sandbox.run(List.of(SHELL, "-c", "yes | head -c 50000000 >&2"), "", 1);
    assertEquals(0, errors.exitCode());
    assertTrue(errors.errors().length() <= 2_000);
    assertLate(() -> sandbox.run(List.of("sleep", "1000"), "", 10));
    try (Tools.Output silent = sandbox.start(List.of("sleep", "1000"), "")) {
      assertLate(() -> silent.stream().read());
    }
    try (Tools.Output endless = sandbox.answer(List.of("yes"), "")) {
      assertLate(() -> endless.stream().skip(Long.MAX_VALUE));
    }
    try (Tools.Output long_ = sandbox.start(List.of("yes"), "")) {
      assertEquals('y', long_.stream().read());
    }
    await("all are gone", () -> shell("cat /proc/[0-9]*/comm | grep -xE 'yes|sleep'").isEmpty());
    assertTrue(sandbox.alive());
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < deadline, what);
      Thread.onSpinWait();
    }
  }

  private static void assertLate(org.junit.jupiter.api.function.Executable work) {
    Refusal refusal = assertThrows(Refusal.class, work);
    assertEquals(ErrorCode.LIMIT, refusal.code(), refusal.getMessage());
  }

  /** A tool that the machine lacks is named with its package. */
  @Test
  void shouldNameWhatIsMissing() {
    Refusal refusal =
        assertThrows(Refusal.class, () -> sandbox.run(List.of("no-such-tool"), "", 10));
    assertEquals(ErrorCode.UNREADABLE, refusal.code());
    assertTrue(refusal.getMessage().contains("install the package"), refusal.getMessage());
  }

  /** B2: without its disk a sandbox is over; one that cannot open leaves nothing. */
  @Test
  void shouldEndWithItsDisk() throws Exception {
    Sandbox other = open("other");
    List<ProcessHandle> clients =
        ProcessHandle.current()
            .descendants()
            .filter(p -> p.info().commandLine().orElse("").contains("nbdfuse"))
            .filter(p -> p.info().commandLine().orElse("").contains("/other/"))
            .toList();
    assertFalse(clients.isEmpty());
    clients.forEach(ProcessHandle::destroyForcibly);
    await("it ends", () -> !other.alive());
    other.close();
    Path nowhere = directory.resolve("nowhere");
    Refusal refusal =
        assertThrows(
            Refusal.class,
            () ->
                Sandbox.open(
                    directory, nowhere, "nbd+unix:///?socket=/no/such", Duration.ofSeconds(3)));
    assertEquals(ErrorCode.UNREADABLE, refusal.code());
    assertFalse(Files.exists(nowhere));
  }
}
