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

  /** A service's address goes from one namespace to another; a client in a third one follows it. */
  @Test
  void shouldMoveAVirtualAddress(@TempDir Path directory) throws Exception {
    Shell.requires("ip", "nbdkit", "nbdinfo");
    Shell.requiresRoot(Path.of("/proc/self/ns/net"));
    String run = Long.toString(System.nanoTime() & 0xfffff, 36);
    String client = "tmc" + run;
    List<String> sites = List.of("tmh" + run, "tmt" + run);
    List<Process> services = new ArrayList<>();
    try {
      Shell.run("ip", "netns", "add", client).orFail();
      in(client, "ip", "link", "add", "lan", "type", "bridge").orFail();
      in(client, "ip", "addr", "add", "10.200.9.1/24", "dev", "lan").orFail();
      in(client, "ip", "link", "set", "lan", "up").orFail();
      for (String site : sites) {
        wire(client, site);
        services.add(serve(directory, site, 1 + sites.indexOf(site)));
      }
      for (String site : List.of(sites.get(0), sites.get(1), sites.get(0))) {
        move(client, sites, site);
      }
    } finally {
      for (Process service : services) {
        service.destroy();
        assertTrue(service.waitFor(20, TimeUnit.SECONDS));
      }
      for (String space : List.of(sites.get(0), sites.get(1), client)) {
        Shell.run("ip", "netns", "del", space);
      }
    }
  }

  /** A namespace with a cable to the client's bridge. */
  private static void wire(String client, String site) throws Exception {
    Shell.run("ip", "netns", "add", site).orFail();
    String cable = "ip link add eth0 netns %s type veth peer name %s netns %s";
    Shell.run(cable.formatted(site, site, client).split(" ")).orFail();
    in(site, "ip", "link", "set", "eth0", "up").orFail();
    in(client, "ip", "link", "set", site, "master", "lan", "up").orFail();
  }

  /** Tells the site by the size of its export. */
  private static Process serve(Path directory, String site, int mebibytes) throws IOException {
    return new ProcessBuilder(
            ("ip netns exec " + site + " nbdkit -f -i 0.0.0.0 memory " + mebibytes + "M")
                .split(" "))
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve(site + ".log").toFile())
        .start();
  }

  /** As a plan does: the site that is left gives the address up, the other one takes it. */
  private static void move(String client, List<String> sites, String to) throws Exception {
    String address = "10.200.9.50/24";
    String from = sites.get(1 - sites.indexOf(to));
    for (int time = 0; time < 2; time++) {
      in(from, hook("address.sh"), address, "eth0", "del").orFail();
    }
    assertFalse(in(from, "ip", "addr").orFail().output().contains(address));
    for (int time = 0; time < 2; time++) {
      in(to, hook("address.sh"), address, "eth0").orFail();
    }
    assertTrue(in(to, "ip", "addr").orFail().output().contains(address));
    long size = (1L + sites.indexOf(to)) << 20;
    Await.until(
        "the client reaches " + to,
        Duration.ofSeconds(60),
        () ->
            in(client, "timeout", "5", "nbdinfo", "--size", "nbd://10.200.9.50")
                .output()
                .trim()
                .endsWith("\n" + size));
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

  private static void stop(Path directory, String machine)
      throws IOException, InterruptedException {
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
