package io.tidemark.tap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.ActivityLog;
import io.tidemark.journal.Journal;
import io.tidemark.journal.TapIdentity;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.MemoryJournal;
import io.tidemark.taplink.TapLinkServer;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A whole tap on a real file, written by a real NBD client, with a journal in memory. */
class TapTest {
  private static final int SIZE = 8 << 20;
  private static final VolumeName NAME = new VolumeName("v");
  private static final int WRITES = 1_000;
  private static final int RESTARTS = 3;

  @TempDir Path directory;
  private ActorTestKit kit;
  private MemoryJournal journal;
  private TapLinkServer node;
  private Path backing;

  @BeforeEach
  void start() throws Exception {
    kit = ActorTestKit.create("tap");
    journal = new MemoryJournal(SIZE);
    node = listen(0);
    backing = directory.resolve("v.img");
    resize(backing, SIZE);
  }

  private TapLinkServer listen(int port) throws Exception {
    return listen(port, journal);
  }

  private TapLinkServer listen(int port, Journal to) throws Exception {
    return TapLinkServer.bind(kit.system(), "127.0.0.1", port, to, LinkSettings.defaults())
        .toCompletableFuture()
        .get(10, TimeUnit.SECONDS);
  }

  @AfterEach
  void stop() throws Exception {
    node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    journal.close();
    kit.shutdownTestKit();
  }

  private static void resize(Path file, long size) throws IOException {
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(size);
    }
  }

  private TapSettings settings(String volume) {
    return settings(List.of(volume), "127.0.0.1:0", node);
  }

  private static TapSettings settings(List<String> volumes, String listen, TapLinkServer to) {
    return TapSettings.of(
        volumes.stream().map(VolumeSpec::parse).toList(),
        List.of(NbdListenAddress.parse(listen)),
        List.of(InetSocketAddress.createUnresolved("127.0.0.1", to.address().getPort())));
  }

  private static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "waited a minute until " + what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Runs qemu-io commands on the volume. */
  private static void qemuIo(Tap tap, String... commands) throws Exception {
    qemuIo(tap, NAME, commands);
  }

  private static void qemuIo(Tap tap, VolumeName volume, String... commands) throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/qemu-io")), "requires qemu-io");
    List<String> line = new ArrayList<>(List.of("qemu-io", "-f", "raw"));
    for (String command : commands) {
      line.add("-c");
      line.add(command);
    }
    line.add(tap.uris().get(volume));
    Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes());
    assertTrue(process.waitFor(60, TimeUnit.SECONDS), "qemu-io ends");
    assertEquals(0, process.exitValue(), output);
    assertFalse(output.contains("failed"), output);
  }

  @Test
  void shouldCaptureWhatARealClientWrites() throws Exception {
    try (Tap tap = Tap.start(settings("v=" + backing))) {
      tap.awaitReady();
      qemuIo(tap, "write -P 1 0 1M", "write -P 2 4096 64k", "write -z 8k 4k", "discard 1M 1M");
      assertTrue(tap.stop());
    }
    assertArrayEquals(Files.readAllBytes(backing), journal.content());
    assertEquals(List.of(), journal.darks());
    assertTrue(journal.head() >= 3);
    try (ActivityLog log = ActivityLog.open(directory.resolve("v.img.tidemark"))) {
      assertTrue(log.markedRegions().isEmpty());
      assertEquals(journal.head(), log.state().cleanSeq());
    }
  }

  @Test
  void shouldServeAKnownVolumeWithoutANodeAndCatchUp() throws Exception {
    try (Tap tap = Tap.start(settings("v=" + backing))) {
      tap.awaitReady();
    }
    int port = node.address().getPort();
    node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    try (Tap tap = Tap.start(settings("v=" + backing))) {
      tap.awaitReady();
      assertFalse(tap.connected(NAME));
      qemuIo(tap, "write -P 7 64k 256k", "flush");
      assertEquals(0, journal.head());
      node = listen(port);
      await(() -> tap.connected(NAME), "the node is found");
      assertTrue(tap.stop());
    }
    assertArrayEquals(Files.readAllBytes(backing), journal.content());
    assertEquals(List.of(), journal.darks());
  }

  @Test
  void shouldSynchroniseAFileThatHoldsData() throws Exception {
    byte[] content = new byte[SIZE];
    java.util.Arrays.fill(content, 1 << 20, 3 << 20, (byte) 9);
    Files.write(backing, content);
    try (Tap tap = Tap.start(settings("v=" + backing))) {
      tap.awaitReady();
      qemuIo(tap, "write -P 3 2M 1M");
      await(
          () -> journal.head() > 0 && !journal.syncOpen() && tap.status(NAME).isPresent(),
          "it is in step");
    }
    assertArrayEquals(Files.readAllBytes(backing), journal.content());
    assertEquals(1, journal.darks().size());
  }

  /** Two volumes of one tap: the export name chooses, and each has a history of its own. */
  @Test
  void shouldServeSeveralVolumes() throws Exception {
    VolumeName name = new VolumeName("w");
    Path file = directory.resolve("w.img");
    resize(file, SIZE);
    try (MemoryJournal other = new MemoryJournal(SIZE)) {
      Journal both =
          tap ->
              tap.volume().equals(NAME)
                  ? journal.attach(tap)
                  : other.attach(new TapIdentity(NAME, tap.tapId(), tap.address(), SIZE));
      TapLinkServer server = listen(0, both);
      try (Tap tap =
          Tap.start(settings(List.of("v=" + backing, "w=" + file), "127.0.0.1:0", server))) {
        tap.awaitReady();
        qemuIo(tap, NAME, "write -P 1 0 64k", "write -P 2 1M 64k");
        qemuIo(tap, name, "write -P 3 0 64k", "read -P 3 0 64k", "read -P 0 1M 64k");
        qemuIo(tap, NAME, "read -P 1 0 64k");
        assertTrue(tap.stop());
      } finally {
        server.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
      }
      assertArrayEquals(Files.readAllBytes(backing), journal.content());
      assertArrayEquals(Files.readAllBytes(file), other.content());
      assertEquals(2, journal.head());
      assertEquals(1, other.head());
    }
  }

  /** A tap that is stopped under a client at work, and started again: the client sees no error. */
  @Test
  void shouldBeStoppedAndStartedUnderAClientThatReconnects() throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/qemu-io")), "requires qemu-io");
    Path socket = directory.resolve("nbd.sock");
    TapSettings settings = settings(List.of("v=" + backing), "unix:" + socket, node);
    List<String> line = new ArrayList<>(List.of("qemu-io", "--image-opts"));
    for (int i = 0; i < WRITES; i++) {
      line.add("-c");
      line.add("write -P %d %dk 4k".formatted(1 + i % 200, 4 * i));
      if (i % 4 == 0) {
        line.addAll(List.of("-c", "sleep 10"));
      }
    }
    line.add(
        "driver=nbd,server.type=unix,server.path=%s,export=v,reconnect-delay=60".formatted(socket));
    Path log = directory.resolve("qemu-io.log");
    Tap tap = Tap.start(settings);
    tap.awaitReady();
    Process client =
        new ProcessBuilder(line).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      for (int round = 1; round <= RESTARTS; round++) {
        long head = round * (long) WRITES / (RESTARTS + 2);
        await(() -> journal.head() >= head || !client.isAlive(), "write " + head + " is journaled");
        assertTrue(client.isAlive(), () -> text(log));
        assertTrue(tap.stop(), "everything is journaled");
        tap.close();
        tap = Tap.start(settings);
        tap.awaitReady();
      }
      assertTrue(client.waitFor(60, TimeUnit.SECONDS), () -> text(log));
      assertEquals(0, client.exitValue(), () -> text(log));
      assertEquals(WRITES, text(log).split("wrote 4096/4096 bytes", -1).length - 1);
      assertTrue(tap.stop());
    } finally {
      tap.close();
      client.destroyForcibly();
    }
    byte[] content = journal.content();
    assertArrayEquals(Files.readAllBytes(backing), content);
    for (int i = 0; i < WRITES; i++) {
      assertEquals((byte) (1 + i % 200), content[4096 * i], "write " + i);
    }
    assertEquals(List.of(), journal.darks());
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ErrorCode refused(String volume) {
    try (Tap tap = Tap.start(settings(volume))) {
      return assertThrows(Refusal.class, tap::awaitReady).code();
    } catch (Refusal e) {
      return e.code();
    }
  }

  @Test
  void shouldRefuseWhatItCannotServe() throws Exception {
    assertEquals(ErrorCode.NOT_FOUND, refused("nobody=" + backing));
    assertEquals(ErrorCode.NOT_FOUND, refused("v=" + directory.resolve("missing")));
    Path small = directory.resolve("small.img");
    resize(small, SIZE / 2);
    assertEquals(ErrorCode.INVALID, refused("v=" + small));
    Path other = directory.resolve("other.img");
    resize(other, SIZE);
    try (Tap first = Tap.start(settings("v=" + backing))) {
      first.awaitReady();
      assertEquals(ErrorCode.BUSY, refused("v=" + other));
      assertEquals(ErrorCode.BUSY, refused("v=" + backing));
    }
    TapSettings none =
        TapSettings.of(settings("v=" + backing).volumes(), settings("v=x").listen(), List.of());
    assertEquals(ErrorCode.INVALID, assertThrows(Refusal.class, () -> Tap.start(none)).code());
  }
}
