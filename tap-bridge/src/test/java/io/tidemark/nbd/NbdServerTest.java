package io.tidemark.nbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.nbd.connection.Frames;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The server with real sockets: addresses, limits, clients that misbehave, and its end. */
class NbdServerTest {
  private static final NbdListenAddress ANY_PORT = NbdListenAddress.parse("127.0.0.1:0");
  private static final NbdServerSettings SETTINGS = NbdServerSettings.defaults();
  @TempDir Path dir;

  private final MemoryExport disk = new MemoryExport("disk", 4 << 20, false, 1);

  private NbdServer start(NbdServerSettings settings) {
    return NbdServer.start(ANY_PORT, MemoryExport.exports(disk), settings);
  }

  private static void await(String what, BooleanSupplier condition) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "in vain awaited: " + what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void shouldServeSeveralAddresses() throws IOException {
    NbdListenAddress unix = new NbdListenAddress.Unix(dir.resolve("s"));
    try (NbdServer server =
        NbdServer.start(List.of(unix, ANY_PORT), MemoryExport.exports(disk), SETTINGS)) {
      byte[] back = new byte[3];
      try (NbdTestClient one = NbdTestClient.connect(server.addresses().get(0), "disk");
          NbdTestClient two = NbdTestClient.connect(server.addresses().get(1), "")) {
        assertEquals(4 << 20, two.size());
        assertEquals(0, one.write(5, new byte[] {1, 2, 3}));
        assertEquals(0, two.read(5, back));
      }
      assertEquals(2, back[1]);
      await("both clients gone", () -> server.clients() == 0);
      assertEquals(0, server.bufferBytes());
    }
    assertFalse(Files.exists(dir.resolve("s")), "the socket file is removed");
  }

  @Test
  void shouldReplaceAStaleSocketAndRefuseALiveOne() throws IOException {
    Path path = dir.resolve("s");
    try (ServerSocketChannel gone = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      gone.bind(UnixDomainSocketAddress.of(path));
    }
    NbdListenAddress address = new NbdListenAddress.Unix(path);
    try (NbdServer server = NbdServer.start(address, MemoryExport.exports(disk), SETTINGS)) {
      assertEquals(
          ErrorCode.BUSY,
          assertThrows(
                  Refusal.class,
                  () -> NbdServer.start(address, MemoryExport.exports(disk), SETTINGS).close())
              .code());
      try (NbdTestClient client = NbdTestClient.connect(address, "disk")) {
        assertEquals(0, client.flush(), "the live server is not harmed");
      }
      assertEquals(List.of(address), server.addresses());
    }
    Files.writeString(path, "precious");
    assertThrows(
        Refusal.class,
        () -> NbdServer.start(address, MemoryExport.exports(disk), SETTINGS).close());
    assertEquals("precious", Files.readString(path));
  }

  @Test
  void shouldRefuseBadAddresses() {
    for (String bad : List.of("", "unix:", "host", ":1", "host:", "host:99999", "host:-1")) {
      assertThrows(Refusal.class, () -> NbdListenAddress.parse(bad), bad);
    }
    assertThrows(
        Refusal.class,
        () ->
            NbdServer.start(
                    NbdListenAddress.parse("0.0.0.0:0"), MemoryExport.exports(disk), SETTINGS)
                .close(),
        "a plain server off the loopback");
    assertEquals("[::1]:7", NbdListenAddress.parse("[::1]:7").toString());
    assertEquals("nbd://127.0.0.1:0/a%20b", ANY_PORT.uri("a b"));
  }

  /** A port in use is BUSY, and the first server goes on. */
  @Test
  void shouldRefuseATakenPort() {
    try (NbdServer server = start(SETTINGS)) {
      NbdListenAddress taken = server.addresses().get(0);
      Refusal refusal =
          assertThrows(
              Refusal.class,
              () -> NbdServer.start(taken, MemoryExport.exports(disk), SETTINGS).close());
      assertEquals(ErrorCode.BUSY, refusal.code());
    }
  }

  @Test
  void shouldLimitClientsAndHandshakes() throws IOException {
    NbdServerSettings few = SETTINGS.withClientsMax(2).withTimes(300, 60_000, 1000);
    try (NbdServer server = start(few);
        NbdTestClient silent = new NbdTestClient(server.addresses().get(0));
        NbdTestClient good = NbdTestClient.connect(server.addresses().get(0), "disk")) {
      silent.in().readFully(new byte[18]);
      try (NbdTestClient third = new NbdTestClient(server.addresses().get(0))) {
        assertEquals(-1, third.in().read(), "one client too many is closed");
      }
      assertEquals(-1, silent.in().read(), "a client without a handshake is dropped");
      assertEquals(0, good.flush());
      await("room for another", () -> server.clients() == 1);
      try (NbdTestClient next = NbdTestClient.connect(server.addresses().get(0), "disk")) {
        assertEquals(0, next.flush());
      }
    }
  }

  /** Requests of one client that are completed late, elsewhere and in another order. */
  @Test
  void shouldAnswerFromOtherThreads() throws Exception {
    Queue<NbdRequest> held = new ConcurrentLinkedQueue<>();
    NbdExport slow = exportOf(held::add);
    try (NbdServer server = NbdServer.start(ANY_PORT, MemoryExport.exports(slow), SETTINGS);
        NbdTestClient client = NbdTestClient.connect(server.addresses().get(0), "slow")) {
      for (int round = 0; round < 50; round++) {
        Frames frames = new Frames();
        for (int i = 0; i < 5; i++) {
          frames.request(0, Nbd.CMD_READ, i, 4096L * i, 4096);
        }
        client.send(frames);
        await("all in flight at once", () -> held.size() == 5);
        NbdRequest[] requests = held.toArray(new NbdRequest[0]);
        held.clear();
        for (int i = 4; i >= 0; i--) {
          ByteBuffer buffer = requests[i].readBuffer();
          while (buffer.hasRemaining()) {
            buffer.put((byte) (i + 1));
          }
          requests[i].succeedRead(buffer.flip(), List.of());
          byte[] data = new byte[4096];
          assertEquals(0, client.reply(i, data));
          assertEquals(i + 1, data[4095]);
        }
      }
    }
  }

  /** Past its limit a client is not read from: the export never sees more, memory stays bounded. */
  @Test
  void shouldStopReadingPastTheLimits() throws Exception {
    Queue<NbdRequest> held = new ConcurrentLinkedQueue<>();
    NbdExport slow = exportOf(held::add);
    NbdServerSettings tight = SETTINGS.withInFlight(8, 1 << 20);
    try (NbdServer server = NbdServer.start(ANY_PORT, MemoryExport.exports(slow), tight);
        NbdTestClient client = NbdTestClient.connect(server.addresses().get(0), "slow")) {
      Frames frames = new Frames();
      for (int i = 0; i < 100; i++) {
        frames.request(0, Nbd.CMD_WRITE, i, 0, 100).raw(new byte[100]);
      }
      client.send(frames);
      await("as many as allowed", () -> held.size() == 8);
      for (int i = 0; i < 100; i++) {
        await("the next one", () -> !held.isEmpty());
        assertTrue(held.size() <= 8);
        held.remove().succeed();
        assertEquals(0, client.reply(i, null));
      }
    }
  }

  /** A client that never reads its replies is not read from, and the others do not notice. */
  @Test
  void shouldBearAClientThatNeverReads() throws Exception {
    NbdServerSettings settings = SETTINGS.withMemory(2 << 20, 1 << 20).withTimes(30_000, 300, 500);
    try (NbdServer server = start(settings);
        NbdTestClient deaf = NbdTestClient.connect(server.addresses().get(0), "disk");
        NbdTestClient good = NbdTestClient.connect(server.addresses().get(0), "disk")) {
      Frames frames = new Frames();
      for (int i = 0; i < 64; i++) {
        frames.request(0, Nbd.CMD_READ, i, 0, 2 << 20);
      }
      deaf.send(frames);
      await("the deaf client is stuck", () -> server.inFlightBytes() == 2 << 20);
      byte[] back = new byte[1 << 20];
      for (int i = 0; i < 20; i++) {
        assertEquals(0, good.read(i, back), "answered once the stalled one is dropped");
      }
      await("the deaf client is dropped", () -> server.clients() == 1);
      assertTrue(server.bufferBytes() < 16 << 20);
    }
  }

  /** A client that stops in the middle of a large write does not keep others from theirs. */
  @Test
  void shouldBearAClientThatStopsInTheMiddle() throws Exception {
    NbdServerSettings settings = SETTINGS.withMemory(8 << 20, 1 << 20).withTimes(30_000, 300, 500);
    try (NbdServer server = start(settings);
        NbdTestClient stuck = NbdTestClient.connect(server.addresses().get(0), "disk");
        NbdTestClient good = NbdTestClient.connect(server.addresses().get(0), "disk")) {
      stuck.send(new Frames().request(0, Nbd.CMD_WRITE, 1, 0, 4 << 20).raw(new byte[1 << 20]));
      await("its memory is taken", () -> server.inFlightBytes() == 4 << 20);
      for (int i = 0; i < 5; i++) {
        assertEquals(0, good.write(i, new byte[4 << 10]), "there is memory for both");
      }
      Frames frames = new Frames().request(0, Nbd.CMD_READ, 77, 0, 4 << 20);
      try (NbdTestClient third = NbdTestClient.connect(server.addresses().get(0), "disk")) {
        third.send(frames);
        assertEquals(0, third.reply(77, new byte[4 << 20]));
        assertEquals(0, third.write(0, new byte[4 << 20]));
      }
    }
  }

  @Test
  void shouldDropGarbageAndServeTheOthers() throws Exception {
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("NbdServerTest.shouldDropGarbage seed " + seed);
    Random random = new Random(seed);
    try (NbdServer server = start(SETTINGS);
        NbdTestClient good = NbdTestClient.connect(server.addresses().get(0), "disk")) {
      for (int i = 0; i < 50; i++) {
        try (NbdTestClient bad = NbdTestClient.connect(server.addresses().get(0), "disk")) {
          byte[] garbage = new byte[28 + random.nextInt(3000)];
          random.nextBytes(garbage);
          bad.send(new Frames().raw((byte) 0).raw(garbage));
          assertEquals(-1, bad.in().read());
        } catch (IOException reset) {
          assertNotNull(reset.getMessage(), "closed with our garbage unread");
        }
        assertEquals(0, good.flush());
      }
    }
  }

  /** Closing ends idle, busy and stuck clients in bounded time, and answers what is finished. */
  @Test
  void shouldEndInBoundedTime() throws Exception {
    Queue<NbdRequest> held = new ConcurrentLinkedQueue<>();
    NbdExport slow = exportOf(held::add);
    NbdServer server =
        NbdServer.start(
            ANY_PORT, MemoryExport.exports(slow), SETTINGS.withTimes(30_000, 60_000, 700));
    NbdListenAddress address = server.addresses().get(0);
    try (NbdTestClient idle = NbdTestClient.connect(address, "slow");
        NbdTestClient finishing = NbdTestClient.connect(address, "slow");
        NbdTestClient stuck = NbdTestClient.connect(address, "slow")) {
      finishing.send(new Frames().request(0, Nbd.CMD_FLUSH, 1, 0, 0));
      await("the flush arrived", () -> held.size() == 1);
      NbdRequest flush = held.remove();
      stuck.send(new Frames().request(0, Nbd.CMD_FLUSH, 2, 0, 0));
      await("the other flush arrived", () -> held.size() == 1);
      Thread closer = new Thread(server::close);
      long began = System.nanoTime();
      closer.start();
      assertEquals(-1, idle.in().read());
      flush.succeed();
      assertEquals(0, finishing.reply(1, null), "what was in flight is answered");
      closer.join(10_000);
      assertFalse(closer.isAlive());
      assertTrue(System.nanoTime() - began < TimeUnit.SECONDS.toNanos(5));
      assertEquals(-1, stuck.in().read());
      held.remove().succeed(); // too late, and harmless
      await("its memory is given back", () -> server.bufferBytes() == 0);
    }
  }

  /** A batch with a flush in it: what comes after the flush does not wait for it. */
  @Test
  void shouldNotLetAFlushHoldUpReads() throws Exception {
    CountDownLatch synced = new CountDownLatch(1);
    NbdExport export =
        exportOf(
            request -> {
              if (request.command() == NbdRequest.Command.FLUSH) {
                awaitLatch(synced);
                request.succeed();
              } else {
                ByteBuffer buffer = request.readBuffer();
                request.succeedRead(buffer, List.of());
              }
            });
    try (NbdServer server = NbdServer.start(ANY_PORT, MemoryExport.exports(export), SETTINGS);
        NbdTestClient client = NbdTestClient.connect(server.addresses().get(0), "slow")) {
      Frames frames = new Frames().request(0, Nbd.CMD_READ, 1, 0, 8);
      frames.request(0, Nbd.CMD_FLUSH, 2, 0, 0).request(0, Nbd.CMD_READ, 3, 0, 8);
      client.send(frames);
      assertEquals(0, client.reply(1, new byte[8]));
      assertEquals(0, client.reply(3, new byte[8]));
      synced.countDown();
      assertEquals(0, client.reply(2, null));
    }
  }

  /** Once reads prove slow, many of one connection are carried out at the same time. */
  @Test
  void shouldRunSlowReadsConcurrently() throws Exception {
    CyclicBarrier together = new CyclicBarrier(4);
    CountDownLatch slowEnough = new CountDownLatch(1);
    NbdExport export =
        exportOf(
            request -> {
              if (request.range().offset() == 0) {
                awaitLatch(slowEnough, 5);
              } else {
                try {
                  together.await(30, TimeUnit.SECONDS);
                } catch (Exception e) {
                  throw new IllegalStateException("no four at once", e);
                }
              }
              request.succeedRead(request.readBuffer(), List.of());
            });
    try (NbdServer server = NbdServer.start(ANY_PORT, MemoryExport.exports(export), SETTINGS);
        NbdTestClient client = NbdTestClient.connect(server.addresses().get(0), "slow")) {
      Frames slow = new Frames();
      for (int i = 0; i < 4; i++) {
        slow.request(0, Nbd.CMD_READ, i, 0, 8);
      }
      client.send(slow);
      for (int i = 0; i < 4; i++) {
        client.in().readFully(new byte[16 + 8]);
      }
      Frames many = new Frames();
      for (int i = 0; i < 4; i++) {
        many.request(0, Nbd.CMD_READ, i, 8, 8);
      }
      client.send(many);
      for (int i = 0; i < 4; i++) {
        byte[] reply = new byte[16 + 8];
        client.in().readFully(reply);
        assertEquals(0, ByteBuffer.wrap(reply).getInt(4));
      }
    }
  }

  private static void awaitLatch(CountDownLatch latch) {
    awaitLatch(latch, 30_000);
  }

  private static void awaitLatch(CountDownLatch latch, long millis) {
    try {
      boolean opened = latch.await(millis, TimeUnit.MILLISECONDS);
      assertTrue(opened || millis < 30_000);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static NbdExport exportOf(java.util.function.Consumer<NbdRequest> handler) {
    NbdExportInfo info = new NbdExportInfo("slow", "", 4 << 20, false, 1, 4096, 32 << 20);
    return new NbdExport() {
      @Override
      public NbdExportInfo info() {
        return info;
      }

      @Override
      public void handle(NbdRequest request) {
        handler.accept(request);
      }
    };
  }
}
