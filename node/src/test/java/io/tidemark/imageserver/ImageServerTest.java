package io.tidemark.imageserver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.image.ImageSpec;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Images over the real NBD server and real clients. */
class ImageServerTest {
  private static final int SIZE = 4 * 1024 * 1024 + 512;
  private static final String PYTHON = "/usr/bin/python3";

  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final ExecutorService io = Executors.newFixedThreadPool(4);
  private final MemoryPoints points = new MemoryPoints(SIZE, io);
  @TempDir Path scratch;
  private ImageServer server;
  private NbdServer nbd;
  private NbdListenAddress address;

  ImageServerTest() {
    System.out.println("ImageServerTest -Dtidemark.seed=" + seed);
  }

  @BeforeEach
  void start() throws IOException {
    for (int i = 0; i < 20; i++) {
      int length = (1 + random.nextInt(i % 5 == 0 ? 1000 : 50)) * 512;
      int offset = random.nextInt((SIZE - length) / 512 + 1) * 512;
      byte[] data = new byte[length];
      random.nextBytes(data);
      points.write(offset, length, i % 4 == 3 ? null : data);
    }
    startServer();
  }

  private void startServer() throws IOException {
    server = new ImageServer(scratch.resolve("images"), points);
    nbd =
        NbdServer.start(
            new NbdListenAddress.Tcp("127.0.0.1", 0),
            server.exports(),
            NbdServerSettings.defaults());
    address = nbd.addresses().get(0);
  }

  @AfterEach
  void stop() throws IOException {
    nbd.close();
    server.close();
    io.shutdown();
  }

  private ImageSpec spec(String name, long seq, boolean writable) {
    Located located = await(points.locate(MemoryPoints.NAME, new At.Seq(new WriteSeq(seq))));
    return new ImageSpec(
        name,
        located.name(),
        located.volume(),
        SIZE,
        located.point(),
        writable,
        "node",
        MicroTime.ZERO);
  }

  private static <T> T await(CompletionStage<T> stage) {
    return stage.toCompletableFuture().orTimeout(60, TimeUnit.SECONDS).join();
  }

  private Path file(String name, byte[] content) throws IOException {
    return Files.write(scratch.resolve(name), content);
  }

  private void assertImageIs(String name, byte[] content) throws IOException {
    Path expected = file("expected", content);
    Tools.run(
        0, "qemu-img", "compare", "-f", "raw", "-F", "raw", address.uri(name), expected.toString());
  }

  /** Any number of points side by side, as nbdinfo, nbdcopy and qemu-img see them. */
  @Test
  void shouldServePointsSideBySide() throws IOException {
    Tools.requires("nbdcopy", "nbdinfo", "qemu-img");
    for (long seq = 0; seq <= 20; seq++) {
      await(server.serve(spec("vol-seq" + seq, seq, false), false));
    }
    assertEquals(21, server.exports().list().size());
    for (long seq = 0; seq <= 20; seq++) {
      Path copy = scratch.resolve("copy" + seq);
      Tools.run(0, "nbdcopy", address.uri("vol-seq" + seq), copy.toString());
      assertArrayEquals(points.content(seq), Files.readAllBytes(copy), "seed " + seed);
    }
    for (long seq : new long[] {0, 7, 20}) {
      assertImageIs("vol-seq" + seq, points.content(seq));
    }
    String info = Tools.run(0, "nbdinfo", address.uri("vol-seq20"));
    assertTrue(info.contains("is_read_only: true"), info);
    assertTrue(info.contains("export-size: " + SIZE), info);
    String map = Tools.run(0, "nbdinfo", "--map", address.uri("vol-seq0"));
    assertTrue(map.trim().matches("(?s)0\\s+" + SIZE + "\\s+3\\s+hole,zero"), map);
  }

  /** Block status says what the journal knows: data, zeroes and what was never written. */
  @Test
  void shouldTellAllocation() throws IOException {
    Tools.requires("nbdinfo");
    byte[] data = new byte[8192];
    random.nextBytes(data);
    MemoryPoints own = new MemoryPoints(1 << 20, io);
    own.write(65536, 8192, data);
    long seq = own.write(65536 + 4096, 8192, null);
    try (ImageServer other = new ImageServer(scratch.resolve("other"), own);
        NbdServer otherNbd =
            NbdServer.start(
                new NbdListenAddress.Tcp("127.0.0.1", 0),
                other.exports(),
                NbdServerSettings.defaults())) {
      Located located = await(own.locate(MemoryPoints.NAME, new At.Seq(new WriteSeq(seq))));
      ImageSpec spec =
          new ImageSpec(
              "w",
              located.name(),
              located.volume(),
              1 << 20,
              located.point(),
              true,
              "node",
              MicroTime.ZERO);
      await(other.serve(spec, false));
      String uri = otherNbd.addresses().get(0).uri("w");
      String map = Tools.run(0, "nbdinfo", "--map", uri).replaceAll("[ \t]+", " ").trim();
      assertEquals(
          """
          0 65536 3 hole,zero
           65536 4096 0 data
           69632 8192 2 zero
           77824 970752 3 hole,zero""",
          map);
      Tools.requires("qemu-io");
      Tools.run(0, "qemu-io", "-f", "raw", "-c", "write -P 9 131072 4096", uri);
      Tools.run(0, "qemu-io", "-f", "raw", "-d", "unmap", "-c", "discard 65536 4096", uri);
      assertEquals(
          """
          0 69632 3 hole,zero
           69632 8192 2 zero
           77824 53248 3 hole,zero
           131072 4096 0 data
           135168 913408 3 hole,zero""",
          Tools.run(0, "nbdinfo", "--map", uri).replaceAll("[ \t]+", " ").trim());
    }
  }

  /** Writes, zeroes and trims of a client land in the overlay and survive a restart of the node. */
  @Test
  void shouldKeepChangesAcrossRestarts() throws IOException {
    Tools.requires("qemu-img", "qemu-io");
    await(server.serve(spec("plain", 20, false), false));
    ImageSpec spec = spec("mine", 20, true);
    await(server.serve(spec, false));
    byte[] model = points.content(20).clone();
    String uri = address.uri("mine");
    Tools.run(
        0,
        "qemu-io",
        "-f",
        "raw",
        "-d",
        "unmap",
        "-c",
        "write -P 17 1000 70000",
        "-c",
        "write -z 200704 8192",
        "-c",
        "write -z -u 300032 100000",
        "-c",
        "discard 1048576 65536",
        "-c",
        "write -f -P 33 4194304 512",
        "-c",
        "flush",
        uri);
    Arrays.fill(model, 1000, 71000, (byte) 17);
    Arrays.fill(model, 200704, 208896, (byte) 0);
    Arrays.fill(model, 300032, 400032, (byte) 0);
    Arrays.fill(model, 1048576, 1048576 + 65536, (byte) 0);
    Arrays.fill(model, 4194304, 4194304 + 512, (byte) 33);
    assertImageIs("mine", model);
    assertImageIs("plain", points.content(20));
    assertTrue(server.condition("mine").orElseThrow().overlayBytes() > 0);

    nbd.close();
    server.close();
    startServer();
    await(server.serve(spec, true));
    assertImageIs("mine", model);

    await(server.drop("mine"));
    assertTrue(server.exports().find("mine").isEmpty());
    assertFalse(Files.exists(scratch.resolve("images/mine")));
    await(server.drop("mine"));
    await(server.serve(spec("mine", 20, true), false));
    assertImageIs("mine", points.content(20));
  }

  /** A client of a read-only image may not write. */
  @Test
  void shouldRefuseWritesToReadOnlyImages() throws IOException {
    Tools.requires("qemu-io");
    await(server.serve(spec("plain", 20, false), false));
    Tools.run(1, "qemu-io", "-f", "raw", "-c", "write 0 512", address.uri("plain"));
    assertImageIs("plain", points.content(20));
  }

  /** Damaged content is an I/O error at the client, counted; what is intact is still read. */
  @Test
  void shouldNotServeCorruptData() throws IOException {
    Tools.requires("qemu-io");
    points.corrupt = List.of(new ByteRange(1 << 20, 4096));
    await(server.serve(spec("plain", 20, false), false));
    String uri = address.uri("plain");
    Tools.run(0, "qemu-io", "-r", "-f", "raw", "-c", "read 0 1048576", uri);
    String failed = Tools.run(1, "qemu-io", "-r", "-f", "raw", "-c", "read 1048576 512", uri);
    assertTrue(failed.contains("Input/output error"), failed);
    ImageServer.Condition condition = server.condition("plain").orElseThrow();
    assertTrue(condition.failedReads() >= 1);
    assertTrue(condition.problem().orElseThrow().startsWith("CORRUPT"), condition.toString());
  }

  /** Many requests in flight over several connections, checked against the oracle. */
  @Test
  void shouldAnswerManyRequestsAtOnce() throws IOException {
    Tools.requires("nbdcopy", "fio");
    await(server.serve(spec("mine", 20, true), false));
    String fio =
        Tools.run(
            0,
            "fio",
            "--name=verify",
            "--ioengine=nbd",
            "--uri=" + address.uri("mine"),
            "--rw=randwrite",
            "--bsrange=512-64k",
            "--iodepth=32",
            "--size=4M",
            "--io_size=16M",
            "--verify=crc32c",
            "--verify_state_save=0",
            "--verify_backlog=64",
            "--norandommap=0",
            "--output-format=terse");
    assertFalse(fio.contains("verify: bad"), fio);
    Path copy = scratch.resolve("copy");
    Tools.run(0, "nbdcopy", "--connections=4", address.uri("mine"), copy.toString());
    Path again = scratch.resolve("again");
    Tools.run(0, "nbdcopy", address.uri("mine"), again.toString());
    assertEquals(-1, Files.mismatch(copy, again));
  }

  /** Clients are counted, and one that is left behind when its image goes gets ESHUTDOWN. */
  @Test
  void shouldCountClientsAndShutThemOut() throws Exception {
    Tools.requires("nbdsh");
    await(server.serve(spec("mine", 20, true), false));
    Path script =
        Files.writeString(
            scratch.resolve("client.py"),
            """
            import nbd, sys
            h = nbd.NBD()
            h.connect_uri(sys.argv[1])
            h.pread(512, 0)
            print('ready', flush=True)
            sys.stdin.readline()
            try:
                h.pread(512, 0)
                print('read')
            except nbd.Error as e:
                print(e.errno)
            """);
    Process client =
        new ProcessBuilder(PYTHON, script.toString(), address.uri("mine"))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (var out = client.inputReader();
        var in = client.outputWriter()) {
      assertEquals("ready", out.readLine());
      assertEquals(1, server.condition("mine").orElseThrow().clients());
      await(server.drop("mine"));
      in.write("\n");
      in.flush();
      assertEquals("ESHUTDOWN", out.readLine());
    } finally {
      client.destroyForcibly();
    }
  }

  /** Overlays that belong to no image are deleted, those that do are not. */
  @Test
  void shouldDeleteOrphans() throws IOException {
    await(server.serve(spec("kept", 20, true), false));
    Files.createDirectories(scratch.resolve("images/orphan"));
    Files.write(scratch.resolve("images/orphan/overlay.map"), new byte[3]);
    server.deleteOverlaysExcept(Set.of("kept", "never-was"));
    assertTrue(Files.exists(scratch.resolve("images/kept/overlay.map")));
    assertFalse(Files.exists(scratch.resolve("images/orphan")));
    CompletionException e =
        assertThrows(
            CompletionException.class,
            () -> await(server.serve(spec("never-was", 20, true), true)));
    assertTrue(e.getCause() instanceof Refusal, e.toString());
  }
}
