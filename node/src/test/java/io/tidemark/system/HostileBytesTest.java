package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Garbage on every port of a node at work, and what a node says when it cannot start. */
@Tag("cluster")
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class HostileBytesTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final int CONNECTIONS = 100;
  private static final int IDLE_CONNECTIONS = 60;
  private static final int GARBAGE_BYTES_MAX = 64 << 10;
  private static final long RESIDENT_GROWTH_KIB_MAX = 400 << 10;

  /** The node stays ready, its memory bounded, and the tap's journaling goes on. */
  @Test
  void shouldStayHealthyUnderGarbageAndCleanUpAfterAKill(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path backing = directory.resolve("calm.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    try (TestSite site = new TestSite(directory.resolve("site"));
        TestSite.TestTap tap = site.tap("calm", backing);
        Load load = new Load("calm", tap, SEED)) {
      site.start();
      site.client.createVolume("calm", Load.VOLUME_BYTES);
      tap.start();
      load.begin(site);
      load.awaitMore(site, 50, LIMIT);
      long before = residentKib(site.pid());
      attack(site);
      load.awaitMore(site, 50, LIMIT);
      long grown = residentKib(site.pid()) - before;
      System.out.printf("resident memory grew by %d KiB%n", grown);
      assertTrue(grown < RESIDENT_GROWTH_KIB_MAX, "grew by KiB: " + grown);
      assertEquals(200, site.client.get("/health/ready").status());
      System.out.println(load.end(site) + " writes under garbage");

      ProcessHandle cassandra = site.cassandra().orElseThrow();
      site.kill();
      cassandra.onExit().get(5, TimeUnit.SECONDS);
      site.start();
      load.begin(site);
      load.awaitMore(site, 20, LIMIT);
      System.out.println(load.end(site) + " writes after the kill");

      refusesATakenPort(directory.resolve("second"), site.cqlPort);
    }
  }

  private static void attack(TestSite site) throws IOException {
    Random random = new Random(SEED);
    int[] ports = {site.tapLinkPort, site.httpPort, site.nbdPort};
    List<Socket> idle = new ArrayList<>();
    try {
      for (int i = 0; i < IDLE_CONNECTIONS; i++) {
        Socket socket = new Socket("127.0.0.1", ports[i % ports.length]);
        idle.add(socket);
        // A frame's beginning, or nothing at all, and then silence.
        socket.getOutputStream().write(garbage(random, ports, i % ports.length, i % 8));
      }
      for (int i = 0; i < CONNECTIONS; i++) {
        int port = i % ports.length;
        try (Socket socket = new Socket("127.0.0.1", ports[port])) {
          OutputStream out = socket.getOutputStream();
          out.write(garbage(random, ports, port, 1 + random.nextInt(GARBAGE_BYTES_MAX)));
          out.flush();
        } catch (IOException e) {
          // The node hung up before it had read it all: its right.
          System.out.println("port " + ports[port] + ": " + e.getMessage());
        }
      }
      assertEquals(200, ready(site));
    } finally {
      for (Socket socket : idle) {
        socket.close();
      }
    }
  }

  private static int ready(TestSite site) throws IOException {
    try {
      return site.client.get("/health/ready").status();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  /** Half of it begins as the protocol does. */
  private static byte[] garbage(Random random, int[] ports, int port, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    byte[] start =
        switch (port) {
          case 0 -> "TDTL".getBytes(StandardCharsets.US_ASCII);
          case 1 ->
              "POST /api/v1/volumes HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
                  .getBytes(StandardCharsets.US_ASCII);
          default -> new byte[] {0, 0, 0, 3, 'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0, 0, 0, 7};
        };
    if (random.nextBoolean()) {
      System.arraycopy(start, 0, bytes, 0, Math.min(start.length, length));
    }
    return bytes;
  }

  private static long residentKib(long pid) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc", Long.toString(pid), "status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("no VmRSS of " + pid);
  }

  private static void refusesATakenPort(Path directory, int port) throws Exception {
    TestSite second = new TestSite(directory);
    Path config = directory.resolve("site.conf");
    Files.writeString(
        config,
        Files.readString(config)
            + "tidemark.cassandra.embedded-server.native-port = %d\n".formatted(port));
    try (second) {
      second.launch();
      assertEquals(3, second.exitCode(240), second.output());
      assertTrue(second.output().contains("BUSY"), second.output());
      assertTrue(second.output().contains("port " + port), second.output());
      assertTrue(!second.output().contains("\tat "), second.output());
    }
  }

  /** What is not a directory, and a commit log that Cassandra cannot use. */
  @Test
  void shouldSayWhatIsWrongWithTheDataDirectory(@TempDir Path directory) throws Exception {
    try (TestSite file = new TestSite(directory.resolve("file"))) {
      Files.createDirectories(file.directory.resolve("data"));
      Files.writeString(file.directory.resolve("data/cassandra"), "not a directory");
      file.launch();
      assertEquals(1, file.exitCode(240), file.output());
      assertTrue(file.output().contains("data directory"), file.output());
      assertTrue(!file.output().contains("\tat "), file.output());
    }
    try (TestSite damaged = new TestSite(directory.resolve("damaged"))) {
      Files.createDirectories(damaged.directory.resolve("data/cassandra"));
      Files.writeString(damaged.directory.resolve("data/cassandra/commitlog"), "no directory");
      damaged.launch();
      assertEquals(1, damaged.exitCode(240), damaged.output());
      assertTrue(damaged.output().contains("Cassandra ended during its start"), damaged.output());
      assertTrue(!damaged.output().contains("\tat "), damaged.output());
    }
  }
}
