package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A whole machine: a disk with boot loader and kernel is tapped while a virtual machine runs from
 * it; the machine boots again from an image of an earlier point, and from the disk itself once it
 * was taken back there, and says each time what it finds.
 */
class BareMetalTest {
  private static final String VOLUME = "machine";
  private static final Path SCRIPTS = Path.of("src/test/bare-metal").toAbsolutePath();
  private static final Duration BOOT_LIMIT = Duration.ofSeconds(180);

  @Test
  @Timeout(value = 8, unit = TimeUnit.MINUTES)
  void shouldBootARecoveredMachine(@TempDir Path directory) throws Exception {
    Path kernel = Path.of(System.getProperty("tidemark.test.kernel", "target/test-kernel"));
    assumeTrue(
        Files.isDirectory(kernel.resolve("boot")),
        "needs a kernel: " + SCRIPTS + "/fetch-kernel.sh " + kernel.toAbsolutePath());
    Shell.requires(
        "qemu-system-x86_64",
        "busybox",
        "cpio",
        "mcopy",
        "mkfs.fat",
        "mke2fs",
        "sfdisk",
        "syslinux");
    Path disk = directory.resolve("disk.img");
    Shell.run(
            SCRIPTS.resolve("make-disk.sh").toString(),
            kernel.toAbsolutePath().toString(),
            SCRIPTS.resolve("init.sh").toString(),
            disk.toString())
        .orFail();
    try (TestSite site = new TestSite(directory.resolve("site"));
        TestSite.TestTap tap = site.tap(VOLUME, disk)) {
      site.start();
      site.client.createVolume(VOLUME, Files.size(disk));
      tap.start();
      tap.awaitServed();
      long[] seqs = runAndCutThePower(directory, site, tap);
      bootTheImage(directory, site, seqs[1]);
      takeTheDiskBack(directory, site, tap, seqs[0]);
    }
  }

  /** Three generations; the points after the first and the second. */
  private static long[] runAndCutThePower(Path directory, TestSite site, TestSite.TestTap tap)
      throws Exception {
    long[] seqs = new long[2];
    try (Machine machine = new Machine(directory.resolve("first.log"), tap.uri())) {
      machine.await("GUEST found 0");
      for (int generation = 1; generation <= 3; generation++) {
        machine.order("more");
        machine.await("GUEST wrote " + generation);
        if (generation <= 2) {
          seqs[generation - 1] = settledHead(site);
        }
      }
    }
    settledHead(site);
    return seqs;
  }

  private static long settledHead(TestSite site) throws Exception {
    long[] head = {-1};
    Instant since = Instant.now();
    Await.until(
        "the guest's writes are journaled",
        Duration.ofSeconds(30),
        () -> {
          JsonNode volume = site.client.volume(VOLUME);
          long before = head[0];
          head[0] = volume.at("/head/seq").asLong();
          return head[0] == before
              && volume.path("state").asText().equals("Protected")
              && SiteClient.drained(volume, since);
        });
    return head[0];
  }

  private static void bootTheImage(Path directory, TestSite site, long seq) throws Exception {
    JsonNode image = site.client.openImage(VOLUME, "seq:" + seq, true).orFail();
    try (Machine machine =
        new Machine(directory.resolve("image.log"), image.path("uri").asText())) {
      machine.await("GUEST found 2");
      machine.order("more");
      machine.await("GUEST wrote 3");
      machine.order("enough");
      machine.awaitEnd();
    }
    site.client.closeImage(image.path("name").asText());
  }

  private static void takeTheDiskBack(Path directory, TestSite site, TestSite.TestTap tap, long seq)
      throws Exception {
    SiteClient.Answer[] begun = new SiteClient.Answer[1];
    Await.until(
        "the rollback begins",
        Duration.ofSeconds(30),
        () -> {
          begun[0] =
              site.client.post(
                  "/api/v1/volumes/" + VOLUME + "/rollback",
                  SiteClient.object().put("at", "seq:" + seq));
          return !begun[0].code().equals("BUSY");
        });
    String job = "/api/v1/jobs/" + begun[0].orFail().path("id").asText();
    Await.until(
        "the rollback ends",
        Duration.ofSeconds(60),
        () -> !site.client.get(job).orFail().path("state").asText().equals("running"));
    assertEquals("done", site.client.get(job).orFail().path("state").asText());
    try (Machine machine = new Machine(directory.resolve("back.log"), tap.uri())) {
      machine.await("GUEST found 1");
      machine.order("enough");
      machine.awaitEnd();
    }
  }

  /** A PC whose disk is an NBD export; closing it cuts its power. */
  private static final class Machine implements AutoCloseable {
    private final Path log;
    private final Process process;

    Machine(Path log, String uri) throws IOException {
      this.log = log;
      this.process =
          new ProcessBuilder(
                  List.of(
                      "qemu-system-x86_64",
                      "-machine",
                      "q35",
                      "-accel",
                      "tcg,thread=multi",
                      "-cpu",
                      "max",
                      "-m",
                      "256",
                      "-nographic",
                      "-monitor",
                      "none",
                      "-no-reboot",
                      "-nic",
                      "none",
                      "-drive",
                      "if=none,id=d0,format=raw,cache=none,discard=unmap,file=" + uri,
                      "-device",
                      "virtio-blk-pci,drive=d0"))
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
    }

    void order(String word) throws IOException {
      process.getOutputStream().write((word + "\n").getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
    }

    void await(String line) throws Exception {
      Await.until(
          "the machine says '" + line + "', see " + log,
          BOOT_LIMIT,
          () -> {
            String said = Files.readString(log, StandardCharsets.ISO_8859_1);
            assertTrue(process.isAlive() || said.contains(line), said);
            return said.contains(line);
          });
    }

    void awaitEnd() throws InterruptedException {
      assertTrue(process.waitFor(BOOT_LIMIT.toSeconds(), TimeUnit.SECONDS), "it powers off");
    }

    @Override
    public void close() {
      process.destroyForcibly();
      process.onExit().join();
    }
  }
}
