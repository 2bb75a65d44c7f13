package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The hooks that the documents give as examples do what they say, and do it again. */
class HookExamplesTest {
  private static final Path HOOKS = Path.of("../docs/hooks").toAbsolutePath().normalize();
  private static final int SECTOR = 512;

  private static String hook(String name) {
    return HOOKS.resolve(name).toString();
  }

  /** An address goes from one network namespace to another, and a third one reaches it at both. */
  @Test
  void shouldMoveAVirtualAddress() throws Exception {
    Shell.requires("ip", "unshare");
    Shell.requiresRoot(Path.of("/proc/self/ns/net"));
    String run = Long.toString(System.nanoTime() & 0xfffff, 36);
    String here = "tmh" + run;
    String there = "tmt" + run;
    try {
      for (String space : List.of(here, there)) {
        Shell.run("ip", "netns", "add", space).orFail();
      }
      String pair = "tmv" + run;
      Shell.run("ip", "link", "add", pair, "netns", here, "type", "veth", "peer", "name", pair,
              "netns", there)
          .orFail();
      for (String space : List.of(here, there)) {
        in(space, "ip", "link", "set", pair, "up").orFail();
      }
      String address = "10.200.9.50/24";
      for (int time = 0; time < 2; time++) {
        in(here, hook("address.sh"), address, pair).orFail();
      }
      assertTrue(in(here, "ip", "addr").orFail().output().contains(address));
      for (int time = 0; time < 2; time++) {
        in(here, hook("address.sh"), address, pair, "del").orFail();
      }
      assertFalse(in(here, "ip", "addr").orFail().output().contains(address));
      in(there, hook("address.sh"), address, pair).orFail();
      assertTrue(in(there, "ip", "addr").orFail().output().contains(address));
    } finally {
      for (String space : List.of(here, there)) {
        Shell.run("ip", "netns", "del", space);
      }
    }
  }

  private static Shell.Result in(String space, String... command) throws Exception {
    List<String> whole = new ArrayList<>(List.of("ip", "netns", "exec", space));
    whole.addAll(List.of(command));
    return Shell.run(whole);
  }

  @Test
  void shouldReplaceADnsRecord(@TempDir Path directory) throws Exception {
    Path zone = directory.resolve("records");
    Files.writeString(zone, "shop 60 IN A 10.1.0.50\nshopping 60 IN A 10.1.0.51\n");
    for (int time = 0; time < 2; time++) {
      Shell.run(hook("dns.sh"), zone.toString(), "shop", "10.2.0.50").orFail();
    }
    assertEquals(
        List.of("shopping 60 IN A 10.1.0.51", "shop 60 IN A 10.2.0.50"), Files.readAllLines(zone));
    try (var files = Files.list(directory)) {
      assertEquals(1, files.count());
    }
  }

  /** A real machine, without acceleration, whose boot sector says a word on its console. */
  @Test
  void shouldBootAGuest(@TempDir Path directory) throws Exception {
    Shell.requires("qemu-system-x86_64", "nbdkit");
    Path disk = directory.resolve("disk.img");
    Files.write(disk, bootSector("up"));
    Path socket = directory.resolve("nbd.sock");
    Process server =
        new ProcessBuilder("nbdkit", "-f", "-U", socket.toString(), "file", disk.toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("nbdkit.log").toFile())
            .start();
    try {
      Await.until("nbdkit listens", Duration.ofSeconds(20), () -> Files.exists(socket));
      String image = "nbd+unix:///db?socket=" + socket;
      guest(directory, "planned", "unix:" + socket, "", "vm");
      guest(directory, "test", "", "db=" + image + " other=" + image, "vm-test");
    } finally {
      server.destroy();
      assertTrue(server.waitFor(20, TimeUnit.SECONDS));
    }
  }

  private static void guest(
      Path directory, String run, String listen, String images, String machine) throws Exception {
    ProcessBuilder boot =
        new ProcessBuilder(hook("boot-guest.sh"), "vm", "-accel", "tcg")
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("boot.log").toFile());
    boot.environment().put("TIDEMARK_GUESTS", directory.toString());
    boot.environment().put("TIDEMARK_RUN", run);
    boot.environment().put("TIDEMARK_VOLUMES", "db other");
    boot.environment().put("TIDEMARK_LISTEN", listen);
    boot.environment().put("TIDEMARK_IMAGES", images);
    try {
      for (int time = 0; time < 2; time++) {
        Process process = boot.start();
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        assertEquals(0, process.exitValue(), Files.readString(directory.resolve("boot.log")));
      }
      Await.until(
          "the guest says that it is up",
          Duration.ofSeconds(60),
          () -> Files.readString(directory.resolve(machine + ".console")).contains("up"));
    } finally {
      stop(directory, machine);
      stop(directory, machine);
    }
    assertFalse(Files.exists(directory.resolve(machine + ".pid")));
  }

  private static void stop(Path directory, String machine) throws IOException, InterruptedException {
    ProcessBuilder stop = new ProcessBuilder(hook("stop-guest.sh"), machine).inheritIO();
    stop.environment().put("TIDEMARK_GUESTS", directory.toString());
    Process process = stop.start();
    assertTrue(process.waitFor(30, TimeUnit.SECONDS));
    assertEquals(0, process.exitValue());
  }

  /** Writes the word to the first serial line, byte for byte, and halts. */
  private static byte[] bootSector(String word) {
    byte[] sector = new byte[SECTOR * 2048];
    int at = 0;
    sector[at++] = (byte) 0xba; // mov dx, 0x3f8
    sector[at++] = (byte) 0xf8;
    sector[at++] = 0x03;
    for (byte letter : word.getBytes(java.nio.charset.StandardCharsets.US_ASCII)) {
      sector[at++] = (byte) 0xb0; // mov al, letter
      sector[at++] = letter;
      sector[at++] = (byte) 0xee; // out dx, al
    }
    sector[at++] = (byte) 0xf4; // hlt
    sector[at++] = (byte) 0xeb; // jmp to it
    sector[at] = (byte) 0xfd;
    sector[SECTOR - 2] = 0x55;
    sector[SECTOR - 1] = (byte) 0xaa;
    return sector;
  }
}
