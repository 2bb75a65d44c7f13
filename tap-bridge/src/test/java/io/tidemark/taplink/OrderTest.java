package io.tidemark.taplink;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.ModelDisk;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.OrderDesk;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A node gives a tap orders over loopback TCP. */
class OrderTest {
  private static final int SIZE = 1 << 20;

  @TempDir Path directory;
  private ActorTestKit kit;
  private MemoryJournal journal;
  private TapLinkServer server;
  private TapHarness tap;
  private final AtomicInteger carriedOut = new AtomicInteger();
  private final CompletableFuture<byte[]> slow = new CompletableFuture<>();

  @BeforeEach
  void start() throws Exception {
    kit = ActorTestKit.create("orders");
    journal = new MemoryJournal(SIZE);
    server =
        TapLinkServer.bind(kit.system(), "127.0.0.1", 0, journal, TapHarness.LINK)
            .toCompletableFuture()
            .get(20, TimeUnit.SECONDS);
    tap =
        new TapHarness(
            new ModelDisk(SIZE),
            new CrashingLogFile(),
            directory,
            64 << 20,
            TapHarness.LIMITS,
            TapHarness.LINK,
            server.address());
    tap.orders.handle(
        OrderKind.QUIESCE,
        (id, body, left) -> {
          carriedOut.incrementAndGet();
          return CompletableFuture.completedFuture(("done " + body.length).getBytes(US_ASCII));
        });
    tap.orders.handle(
        OrderKind.THAW,
        (id, body, left) -> {
          carriedOut.incrementAndGet();
          return slow;
        });
    tap.awaitAttached();
  }

  @AfterEach
  void stop() throws Exception {
    tap.close();
    server.close().toCompletableFuture().get(20, TimeUnit.SECONDS);
    journal.close();
    kit.shutdownTestKit();
  }

  private static TapOrder order(long id, OrderKind kind, int bytes) {
    long deadline = MicroClock.system().micros() + TimeUnit.SECONDS.toMicros(20);
    return new TapOrder(id, kind, deadline, new byte[bytes]);
  }

  private static byte[] get(CompletionStage<byte[]> answer) throws Exception {
    return answer.toCompletableFuture().get(30, TimeUnit.SECONDS);
  }

  private static ErrorCode refused(CompletionStage<byte[]> answer) {
    ExecutionException failure = assertThrows(ExecutionException.class, () -> get(answer));
    return ((Refusal) failure.getCause()).code();
  }

  private static void await(String what, BooleanSupplier condition) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** While writes go on: the longest order, the shortest, and one said twice (D1). */
  @Test
  void shouldCarryAnOrderOutOnce() throws Exception {
    Random random = new Random(3);
    for (int i = 0; i < 50; i++) {
      tap.change(random, 32 << 10);
    }
    byte[] answer = get(journal.order(order(1, OrderKind.QUIESCE, TapOrder.BODY_BYTES_MAX)));
    assertEquals("done 65536", new String(answer, US_ASCII));
    assertArrayEquals(answer, get(journal.order(order(1, OrderKind.QUIESCE, 0))));
    assertEquals(1, carriedOut.get());
    assertEquals(
        "done 0", new String(get(journal.order(order(2, OrderKind.QUIESCE, 0))), US_ASCII));
    assertEquals(2, carriedOut.get());
    assertTrue(tap.drain());
  }

  /** The link breaks while an order is carried out: refused; said again, it gets its answer. */
  @Test
  void shouldAnswerARepeatOverTheNextConnection() throws Exception {
    CompletionStage<byte[]> first = journal.order(order(7, OrderKind.THAW, 3));
    await("the order arrived", () -> carriedOut.get() == 1);
    journal.breakSession();
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refused(first));
    await("attached again", journal::attached);
    CompletionStage<byte[]> again = journal.order(order(7, OrderKind.THAW, 3));
    CompletionStage<byte[]> andAgain = journal.order(order(7, OrderKind.THAW, 3));
    slow.complete(new byte[] {42});
    assertArrayEquals(new byte[] {42}, get(again));
    assertArrayEquals(new byte[] {42}, get(andAgain));
    assertEquals(1, carriedOut.get());
  }

  /** Late, of an unknown kind, failed, never answered: each refused, and the link goes on. */
  @Test
  void shouldRefuseWhatCannotBeCarriedOut() throws Exception {
    TapOrder late = new TapOrder(1, OrderKind.QUIESCE, 1, new byte[0]);
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refused(journal.order(late)));
    assertEquals(ErrorCode.INVALID, refused(journal.order(order(2, OrderKind.ROLLBACK, 0))));
    long soon = MicroClock.system().micros() + 100_000;
    TapOrder unanswered = new TapOrder(3, OrderKind.THAW, soon, new byte[0]);
    ExecutionException failure =
        assertThrows(ExecutionException.class, () -> get(journal.order(unanswered)));
    assertTrue(failure.getCause() instanceof java.util.concurrent.TimeoutException);
    tap.orders.handle(
        OrderKind.HOLD,
        (id, body, left) -> {
          throw new Refusal(ErrorCode.BUSY, "held by another");
        });
    assertEquals(ErrorCode.BUSY, refused(journal.order(order(4, OrderKind.HOLD, 0))));
    assertEquals(0, tap.unanswered.get());
    get(journal.order(order(5, OrderKind.QUIESCE, 0)));
    assertEquals(2, carriedOut.get());
  }

  /** A tap of version 2 is attached all the same, and told nothing that it does not know. */
  @Test
  void shouldGiveNoOrdersToAnOldTap() throws Exception {
    tap.close();
    try (SocketChannel old = SocketChannel.open(server.address())) {
      ByteBuffer hello = new LinkMessage.Hello(1, 2, UUID.randomUUID(), SIZE, "v", "old").frame();
      old.write(hello);
      FrameParser parser = new FrameParser(LinkEnd.NODE, header -> {});
      LinkMessage.Welcome welcome = null;
      while (welcome == null) {
        ByteBuffer in = ByteBuffer.allocate(4096);
        assertTrue(old.read(in) >= 0, "let in");
        parser.feed(in.flip());
        FrameParser.Frame frame = parser.next();
        if (frame != null && LinkMessage.decode(frame) instanceof LinkMessage.Welcome w) {
          welcome = w;
        }
      }
      assertEquals(2, welcome.version());
      assertEquals(0, welcome.grant().sinceSession());
      assertEquals(ErrorCode.INVALID, refused(journal.order(order(1, OrderKind.HOLD, 0))));
    }
  }

  /** Sessions that the tap never heard of were its own: nothing is compared (C8). */
  @Test
  void shouldRecogniseItsOwnSessions() throws Exception {
    Random random = new Random(5);
    tap.change(random, 32 << 10);
    assertTrue(tap.drain());
    long compared = journal.hashedBlocks();
    for (int round = 0; round < 3; round++) {
      journal.loseNextGrant();
      journal.breakSession();
      await("attached again", () -> journal.attached() && tap.client.connected());
      tap.change(random, 32 << 10);
      assertTrue(tap.drain());
    }
    assertEquals(compared, journal.hashedBlocks());
    assertTrue(journal.darks().isEmpty());
    assertFalse(journal.syncOpen());
  }

  /** Answers are remembered within bounds, the newest longest (D2). */
  @Test
  void shouldForgetTheOldestAnswers() throws Exception {
    OrderDesk desk = new OrderDesk();
    AtomicInteger times = new AtomicInteger();
    desk.handle(
        OrderKind.HOLD,
        (id, body, left) -> {
          times.incrementAndGet();
          return CompletableFuture.completedFuture(new byte[32 << 10]);
        });
    for (long id = 0; id < 100; id++) {
      get(desk.take(id, 1, 1_000, new byte[0]));
    }
    get(desk.take(99, 1, 1_000, new byte[0]));
    assertEquals(100, times.get());
    get(desk.take(0, 1, 1_000, new byte[0]));
    assertEquals(101, times.get());
  }
}
