package io.tidemark.hook;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.hook.HookResult.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Real file systems on loop devices, really frozen. */
class FreezeTest {
  @TempDir Path directory;

  @BeforeEach
  void tools() {
    Host.requires("fsfreeze", "losetup", "mkfs.ext4", "mkfs.xfs", "setsid", "timeout");
    Host.requiresRoot();
  }

  private Path file(Path mountPoint, String more) throws Exception {
    return Files.writeString(
        directory.resolve("apps.conf"),
        "applications { fs { kind = fsfreeze, mount-point = \"%s\" } }\n%s"
            .formatted(mountPoint, more));
  }

  /** Writers wait, the disk's bytes are a clean file system, then writers go on. */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs"})
  void shouldFreezeAndThaw(String type) throws Exception {
    try (Host.Mounted mounted = Host.Mounted.make(directory, type, 320)) {
      Path inside = mounted.mountPoint.resolve("file");
      Files.writeString(inside, "before");
      ApplicationsFile file = ApplicationsFile.load(file(mounted.mountPoint, ""));
      try (Applications applications = new Applications(file, Set.of(directory))) {
        long ticket = Host.ticket();
        HookResult frozen = Host.quiesce(applications, ticket).get(0);
        assertEquals(Outcome.DONE, frozen.outcome(), frozen.output());
        assertTrue(mounted.frozen());
        Process writer =
            Host.start(
                directory.resolve("writer.log"), "sh", "-c", "echo after > '" + inside + "'");
        Path copy = mounted.copy(type + ".copy");
        assertTrue(writer.isAlive(), "a writer waits while frozen");
        HookResult thawed = Host.get(applications.thaw(ticket)).get(0);
        assertEquals(Outcome.DONE, thawed.outcome(), thawed.output());
        assertTrue(writer.waitFor(10, TimeUnit.SECONDS));
        assertEquals("after\n", Files.readString(inside));
        if (type.equals("ext4")) {
          String header = Host.run("dumpe2fs", "-h", copy.toString());
          assertFalse(header.contains("needs_recovery"), "its journal is empty");
          Host.run("e2fsck", "-fn", copy.toString());
        }
        mounted.unmount(); // XFS does not mount the same identity twice
        try (Host.Mounted restored = new Host.Mounted(directory, "restored", copy)) {
          assertEquals("before", Files.readString(restored.mountPoint.resolve("file")));
          restored.unmount();
          Host.run(type.equals("xfs") ? "xfs_repair" : "e2fsck", "-n", restored.device());
        }
      }
    }
  }

  /** H1: killed with -9, and stopped without being dead. */
  @Test
  void shouldThawWithoutTheTap() throws Exception {
    try (Host.Mounted mounted = Host.Mounted.make(directory, "ext4", 64)) {
      Path log = directory.resolve("holder.log");
      Process killed = HolderMain.start(log, file(mounted.mountPoint, ""));
      Host.await("frozen", Host.LIMIT, () -> Files.readString(log).contains("DONE"));
      assertTrue(mounted.frozen());
      killed.destroyForcibly();
      Host.await("thawed", Duration.ofSeconds(3), () -> !mounted.frozen());

      Files.writeString(log, "");
      Process stopped = HolderMain.start(log, file(mounted.mountPoint, "frozen-max = 3 s"));
      try {
        Host.await("frozen", Host.LIMIT, () -> Files.readString(log).contains("DONE"));
        Host.run("kill", "-STOP", Long.toString(stopped.pid()));
        assertTrue(mounted.frozen());
        Host.await("thawed at the limit", Duration.ofSeconds(6), () -> !mounted.frozen());
      } finally {
        stopped.destroyForcibly();
      }
    }
  }

  /** What somebody else has frozen stays frozen, and what is thawed by somebody else is told. */
  @Test
  void shouldNotTakeOverAForeignFreeze() throws Exception {
    try (Host.Mounted mounted = Host.Mounted.make(directory, "ext4", 64)) {
      ApplicationsFile file = ApplicationsFile.load(file(mounted.mountPoint, ""));
      try (Applications applications = new Applications(file, Set.of())) {
        Host.run("fsfreeze", "-f", mounted.mountPoint.toString());
        HookResult refused = Host.quiesce(applications, Host.ticket()).get(0);
        assertEquals(Outcome.FAILED, refused.outcome());
        assertTrue(refused.output().contains("busy"), refused.output());
        assertTrue(mounted.frozen());
        Host.run("fsfreeze", "-u", mounted.mountPoint.toString());
        long ticket = Host.ticket();
        assertEquals(Outcome.DONE, Host.quiesce(applications, ticket).get(0).outcome());
        Host.run("fsfreeze", "-u", mounted.mountPoint.toString());
        HookResult lost = Host.get(applications.thaw(ticket)).get(0);
        assertEquals(Outcome.EXPIRED, lost.outcome(), lost.output());
        assertTrue(lost.doubtful());
      }
    }
  }

  /** H6, and what is no mount point. */
  @Test
  void shouldRefuseWhatMustNotBeFrozen() throws Exception {
    try (Host.Mounted mounted = Host.Mounted.make(directory, "ext4", 64)) {
      Path own = Files.writeString(mounted.mountPoint.resolve("state"), "of the tap");
      ApplicationsFile file = ApplicationsFile.load(file(mounted.mountPoint, ""));
      try (Applications applications = new Applications(file, Set.of(own))) {
        HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
        assertTrue(result.output().contains("of the tap itself"), result.output());
        assertFalse(mounted.frozen());
      }
      mounted.unmount();
      try (Applications applications = new Applications(file, Set.of())) {
        HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
        assertEquals(Outcome.FAILED, result.outcome());
        assertTrue(result.output().contains("is no mount point"), result.output());
      }
    }
  }
}
