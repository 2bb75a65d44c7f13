package io.tidemark.tap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.journal.TapStatus;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.position.VolumeName;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.MemoryJournal;
import io.tidemark.taplink.TapLinkServer;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whole taps of a volume that goes on at another site and comes back: newer content wins byte for
 * byte, whatever the backing store held (T6, T7).
 */
class TapFailbackTest {
  private static final int SIZE = 8 << 20;
  private static final int BLOCK = 64 << 10;
  private static final VolumeName NAME = new VolumeName("v");

  @TempDir Path directory;
  private final long seed = Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private final Random random = new Random(seed);
  private ActorTestKit kit;
  private MemoryJournal journal;
  private TapLinkServer node;
  private Path backing;

  @BeforeEach
  void start() throws Exception {
    System.out.println("seed " + seed);
    kit = ActorTestKit.create("failback");
    journal = new MemoryJournal(SIZE);
    node = listen(0);
    backing = directory.resolve("v.img");
    try (RandomAccessFile sparse = new RandomAccessFile(backing.toFile(), "rw")) {
      sparse.setLength(SIZE);
    }
  }

  private TapLinkServer listen(int port) throws Exception {
    return TapLinkServer.bind(kit.system(), "127.0.0.1", port, journal, LinkSettings.defaults())
        .toCompletableFuture()
        .get(10, TimeUnit.SECONDS);
  }

  @AfterEach
  void stop() throws Exception {
    node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    journal.close();
    kit.shutdownTestKit();
  }

  private TapSettings settings() {
    return TapSettings.of(
        List.of(VolumeSpec.parse("v=" + backing)),
        List.of(NbdListenAddress.parse("127.0.0.1:0")),
        List.of(InetSocketAddress.createUnresolved("127.0.0.1", node.address().getPort())));
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(String what, Condition condition) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < deadline, "waited a minute until " + what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private byte[] random(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  private static NbdClient client(Tap tap) throws IOException {
    return NbdClient.connect(NbdUri.parse(tap.uris().get(NAME)));
  }

  private void write(Tap tap, int offset, byte[] data) throws IOException {
    try (NbdClient client = client(tap)) {
      client.write(offset, ByteBuffer.wrap(data));
    }
  }

  private static byte[] readAll(Tap tap) throws IOException {
    try (NbdClient client = client(tap)) {
      byte[] all = new byte[SIZE];
      for (int at = 0; at < SIZE; at += 1 << 20) {
        System.arraycopy(client.read(at, 1 << 20), 0, all, at, 1 << 20);
      }
      return all;
    }
  }

  private static TapStatus.Mode mode(Tap tap) {
    return tap.status(NAME).orElseThrow().mode();
  }

  private void awaitFilled(Tap tap) throws Exception {
    await("it is filled", () -> mode(tap) == TapStatus.Mode.CONTINUOUS);
    await("the map is gone", () -> !Files.exists(state().resolve("fill")));
  }

  private Path state() {
    return directory.resolve("v.img.tidemark");
  }

  private void elsewhere(int writes) {
    for (int i = 0; i < writes; i++) {
      journal.writeElsewhere(4096 * random.nextInt(SIZE / 4096 - 4), random(4096 * 3));
    }
  }

  /** A tap in front of an empty store stands by, and serves the moment of the promotion. */
  @Test
  void shouldServeFromAnEmptyStoreOnceItsVolumeIsPromoted() throws Exception {
    journal.standStill();
    elsewhere(100);
    try (Tap tap = Tap.start(settings().withFillRate(1 << 20))) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(700));
      assertFalse(tap.ready().isDone());
      assertThrows(IOException.class, () -> client(tap));
      long began = System.nanoTime();
      journal.promote();
      tap.awaitReady();
      write(tap, 5 * BLOCK + 100 * 512, random(1024));
      System.out.printf("written %.3f s after the promotion%n", (System.nanoTime() - began) / 1e9);
      assertEquals(TapStatus.Mode.FILLING, mode(tap));
      await("it is journaled", () -> journal.head() == 101);
      assertArrayEquals(journal.content(), readAll(tap));
      awaitFilled(tap);
      write(tap, 512 * 77, random(512 * 3));
      assertTrue(tap.stop());
    }
    assertArrayEquals(journal.content(), Files.readAllBytes(backing));
    assertEquals(List.of(), journal.darks());
    assertEquals(0, journal.syncBytes());
  }

  /** The hazard: a store of before, with writes that were never journaled, after a failback. */
  @Test
  void shouldLetNewerContentWinOverAnOldStore() throws Exception {
    byte[] lost = random(2 * BLOCK);
    try (Tap tap = Tap.start(settings().withDrain(Duration.ZERO))) {
      tap.awaitReady();
      write(tap, 0, random(SIZE));
      await(
          "all is journaled", () -> Arrays.equals(journal.content(), Files.readAllBytes(backing)));
      int port = node.address().getPort();
      node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
      await("the node is gone", () -> !tap.connected(NAME));
      write(tap, 6 * BLOCK, lost);
      assertFalse(tap.stop());
      node = listen(port);
    }
    journal.standStill();
    elsewhere(10);
    journal.promote();
    byte[] newer = journal.content();
    assertFalse(Arrays.equals(newer, Files.readAllBytes(backing)));
    try (Tap tap = Tap.start(settings())) {
      tap.awaitReady();
      assertArrayEquals(newer, readAll(tap));
      awaitFilled(tap);
      assertArrayEquals(newer, journal.content());
      assertArrayEquals(newer, Files.readAllBytes(backing));
      write(tap, 3 * BLOCK, random(BLOCK));
      assertTrue(tap.stop());
    }
    assertArrayEquals(journal.content(), Files.readAllBytes(backing));
    assertEquals(List.of(), journal.darks());
    assertTrue(journal.contentBytes() < SIZE / 2, journal.contentBytes() + " bytes were fetched");
    assertKept(lost, 6);
  }

  /** A tap that was fenced while it ran needs no restart; its clients have to connect again. */
  @Test
  void shouldPutClientsOutOfATapThatIsBehind() throws Exception {
    try (Tap tap = Tap.start(settings())) {
      tap.awaitReady();
      write(tap, 0, random(2 << 20));
      await(
          "all is journaled", () -> Arrays.equals(journal.content(), Files.readAllBytes(backing)));
      NbdClient before = client(tap);
      journal.standStill();
      await(
          "it is fenced",
          () -> {
            try {
              before.write(0, ByteBuffer.wrap(Arrays.copyOf(journal.content(), 512)));
              return false;
            } catch (IOException fenced) {
              return true;
            }
          });
      elsewhere(50);
      journal.promote();
      await(
          "it serves the newer content",
          () -> {
            try {
              return Arrays.equals(journal.content(), readAll(tap));
            } catch (IOException notYet) {
              return false;
            }
          });
      assertThrows(IOException.class, () -> before.read(0, 512));
      before.abort();
      awaitFilled(tap);
      write(tap, 9 * BLOCK, random(100 * 512));
      assertTrue(tap.stop());
    }
    assertArrayEquals(journal.content(), Files.readAllBytes(backing));
  }

  /** Cut off through a failover and back it served on: what it wrote is kept, and is not newer. */
  @Test
  void shouldKeepWhatATapWroteThatWasCutOff() throws Exception {
    byte[] lost = random(2 * BLOCK);
    byte[] newer;
    try (Tap tap = Tap.start(settings())) {
      tap.awaitReady();
      write(tap, 0, random(SIZE));
      await(
          "all is journaled", () -> Arrays.equals(journal.content(), Files.readAllBytes(backing)));
      int port = node.address().getPort();
      node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
      await("the node is gone", () -> !tap.connected(NAME));
      write(tap, 6 * BLOCK, lost);
      journal.standStill();
      elsewhere(10);
      journal.promote();
      newer = journal.content();
      node = listen(port);
      await(
          "it serves the newer content",
          () -> {
            try {
              return Arrays.equals(newer, readAll(tap));
            } catch (IOException notYet) {
              return false;
            }
          });
      awaitFilled(tap);
      assertTrue(tap.stop());
    }
    assertArrayEquals(newer, journal.content());
    assertArrayEquals(newer, Files.readAllBytes(backing));
    assertKept(lost, 6);
  }

  private void assertKept(byte[] lost, int first) throws IOException {
    byte[] kept = Files.readAllBytes(state().resolve("kept-before-epoch-2.img"));
    byte[] there = Arrays.copyOfRange(kept, first * BLOCK, first * BLOCK + lost.length);
    assertArrayEquals(lost, there);
  }

  /** Nobody else wrote since: what the store has and the journal lacks is sent, as ever. */
  @Test
  void shouldGoOnWithItsOwnStoreWhenNobodyElseWrote() throws Exception {
    try (Tap tap = Tap.start(settings().withDrain(Duration.ZERO))) {
      tap.awaitReady();
      write(tap, 0, random(1 << 20));
      await(
          "all is journaled", () -> Arrays.equals(journal.content(), Files.readAllBytes(backing)));
      int port = node.address().getPort();
      node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
      await("the node is gone", () -> !tap.connected(NAME));
      write(tap, 6 * BLOCK, random(BLOCK));
      assertFalse(tap.stop());
      node = listen(port);
    }
    byte[] own = Files.readAllBytes(backing);
    journal.standStill();
    journal.promote();
    try (Tap tap = Tap.start(settings())) {
      tap.awaitReady();
      await("it is in step", () -> Arrays.equals(own, journal.content()) && !journal.syncOpen());
      assertArrayEquals(own, readAll(tap));
      assertTrue(tap.stop());
    }
    assertArrayEquals(own, Files.readAllBytes(backing));
    assertFalse(Files.exists(state().resolve("fill")));
  }

  /** A tap that is stopped in the middle goes on there, also when the volume moved on again. */
  @Test
  void shouldGoOnFillingAfterARestart() throws Exception {
    journal.standStill();
    elsewhere(100);
    journal.promote();
    for (int i = 0; i < 3; i++) {
      try (Tap tap = Tap.start(settings().withFillRate(1 << 20))) {
        tap.awaitReady();
        write(tap, 4096 * random.nextInt(SIZE / 4096 - 1), random(4096));
        assertEquals(TapStatus.Mode.FILLING, mode(tap));
        tap.stop();
      }
      if (i == 1) {
        journal.standStill();
        elsewhere(20);
        journal.promote();
      }
    }
    try (Tap tap = Tap.start(settings())) {
      tap.awaitReady();
      assertArrayEquals(journal.content(), readAll(tap));
      awaitFilled(tap);
      assertTrue(tap.stop());
    }
    assertArrayEquals(journal.content(), Files.readAllBytes(backing));
  }
}
