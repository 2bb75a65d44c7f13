package io.tidemark.taplink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.ModelDisk;
import io.tidemark.capture.TestPayload;
import io.tidemark.order.Holds;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.HoldOrders;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Holds of taps over real links: what is withheld, for how long, and what marks are worth. */
class HoldTest {
  private static final int SIZE = 256 << 10;
  private static final int VOLUMES = 3;
  private static final int SECTOR = 512;
  private static final int LIMIT_MICROS = 2_000_000;

  /** One volume with its journal, node and tap. */
  private static final class Volume {
    MemoryJournal journal;
    TapLinkServer server;
    ModelDisk disk;
    TapHarness tap;
    HoldOrders holds;
  }

  @TempDir Path directory;
  private ActorTestKit kit;
  private final List<Volume> volumes = new ArrayList<>();
  private final Map<String, HoldOrders> process = new ConcurrentHashMap<>();
  private final AtomicLong ids = new AtomicLong(1);
  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());

  @BeforeEach
  void start() throws Exception {
    System.out.println("seed " + seed);
    kit = ActorTestKit.create("holds");
    for (int i = 0; i < VOLUMES; i++) {
      Volume v = new Volume();
      v.journal = new MemoryJournal(SIZE);
      v.server =
          TapLinkServer.bind(kit.system(), "127.0.0.1", 0, v.journal, TapHarness.LINK)
              .toCompletableFuture()
              .get(20, TimeUnit.SECONDS);
      v.disk = new ModelDisk(SIZE);
      v.tap =
          new TapHarness(
                  v.disk,
                  new CrashingLogFile(),
                  Files.createDirectory(directory.resolve("v" + i)),
                  16 << 20,
                  TapHarness.LIMITS,
                  TapHarness.LINK,
                  v.server.address())
              .withoutStates();
      v.holds =
          new HoldOrders("v" + volumes.size(), () -> Optional.ofNullable(v.tap.capture), process);
      v.holds.register(v.tap.orders);
      v.tap.awaitAttached();
      volumes.add(v);
    }
  }

  @AfterEach
  void stop() throws Exception {
    for (Volume v : volumes) {
      v.holds.close();
      v.tap.close();
      v.server.close().toCompletableFuture().get(20, TimeUnit.SECONDS);
      v.journal.close();
    }
    kit.shutdownTestKit();
  }

  private CompletionStage<byte[]> order(Volume v, OrderKind kind, byte[] body) {
    long deadline = MicroClock.system().micros() + TimeUnit.SECONDS.toMicros(20);
    return v.journal.order(new TapOrder(ids.getAndIncrement(), kind, deadline, body));
  }

  private CompletionStage<byte[]> askHold(Volume v, long owner, int limitMicros) {
    return order(v, OrderKind.HOLD, new Holds.Hold(owner, limitMicros).encode());
  }

  private Holds.Held hold(Volume v, long owner, int limitMicros) throws Exception {
    return Holds.Held.decode(get(askHold(v, owner, limitMicros)));
  }

  private Holds.Released release(Volume v, long owner) throws Exception {
    return Holds.Released.decode(
        get(order(v, OrderKind.RELEASE, new Holds.Release(owner).encode())));
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
      LockSupport.parkNanos(200_000);
    }
  }

  /** A write of one sector that begins with the number; the stage completes with its reply. */
  private static CompletableFuture<Void> write(Volume v, int sector, long number) throws Exception {
    CompletableFuture<Void> replied = new CompletableFuture<>();
    TestPayload payload =
        new TestPayload(ByteBuffer.allocate(SECTOR).putLong(number).array(), SECTOR);
    v.disk.write(v.tap.capture, (long) sector * SECTOR, payload, () -> replied.complete(null));
    payload.release();
    return replied;
  }

  /** Writes go on while their replies wait; those before the mark are not withheld. */
  @Test
  void shouldWithholdRepliesAndNothingElse() throws Exception {
    Volume v = volumes.get(0);
    write(v, 0, 1).get(10, TimeUnit.SECONDS);
    Holds.Held held = hold(v, 7, LIMIT_MICROS);
    assertEquals(1, held.mark().value());
    CompletableFuture<Void> second = write(v, 0, 2);
    CompletableFuture<Void> third = write(v, 1, 3);
    await("captured and journaled all the same", () -> v.journal.head() == 3);
    assertEquals(2, ByteBuffer.wrap(v.disk.copy()).getLong(0));
    assertFalse(second.isDone() || third.isDone());
    assertEquals(ErrorCode.BUSY, refused(askHold(v, 8, LIMIT_MICROS)));
    Holds.Released released = release(v, 7);
    assertTrue(released.unbroken());
    assertEquals(2, released.withheld());
    assertTrue(released.heldMicros() > 0 && released.heldMicros() < LIMIT_MICROS);
    second.get(10, TimeUnit.SECONDS);
    third.get(10, TimeUnit.SECONDS);
    assertEquals(released, release(v, 7), "attested the same again (H3)");
    write(v, 0, 4).get(10, TimeUnit.SECONDS);
    assertFalse(release(v, 8).unbroken(), "never began");
    assertEquals(ErrorCode.HOLD_TIMEOUT, refused(askHold(v, 8, LIMIT_MICROS)));
  }

  /** One order holds all volumes of a process, or none; others are told apart. */
  @Test
  void shouldHoldTheVolumesOfAProcessTogether() throws Exception {
    Volume first = volumes.get(0);
    Volume second = volumes.get(1);
    write(second, 0, 1).get(10, TimeUnit.SECONDS);
    write(second, 1, 2).get(10, TimeUnit.SECONDS);
    List<String> companions = List.of("v1", "elsewhere", "v2");
    byte[] answer =
        get(order(first, OrderKind.HOLD, new Holds.Hold(7, LIMIT_MICROS, companions).encode()));
    List<Optional<Holds.Held>> held = Holds.Held.decode(answer, 3);
    assertEquals(0, held.get(0).orElseThrow().mark().value());
    assertEquals(2, held.get(1).orElseThrow().mark().value());
    assertTrue(held.get(2).isEmpty());
    assertTrue(held.get(3).isPresent());
    List<CompletableFuture<Void>> writes = new ArrayList<>();
    for (Volume v : volumes) {
      writes.add(write(v, 0, 9));
      await("journaled", () -> v.journal.head() >= 1);
    }
    assertTrue(writes.stream().noneMatch(CompletableFuture::isDone));
    assertEquals(ErrorCode.BUSY, refused(askHold(second, 8, LIMIT_MICROS)));
    byte[] attested =
        get(order(first, OrderKind.RELEASE, new Holds.Release(7, companions).encode()));
    List<Holds.Released> released = Holds.Released.decode(attested, 3);
    assertEquals(
        List.of(true, true, false, true), released.stream().map(Holds.Released::unbroken).toList());
    for (CompletableFuture<Void> write : writes) {
      write.get(10, TimeUnit.SECONDS);
    }

    hold(second, 20, LIMIT_MICROS);
    byte[] all = new Holds.Hold(21, LIMIT_MICROS, List.of("v2", "v1")).encode();
    assertEquals(ErrorCode.BUSY, refused(order(first, OrderKind.HOLD, all)));
    write(first, 0, 10).get(10, TimeUnit.SECONDS);
    write(volumes.get(2), 0, 10).get(10, TimeUnit.SECONDS);
    assertTrue(release(second, 20).unbroken());
  }

  /** Nobody releases: the tap does, within its limit, and attests no hold (H2). */
  @Test
  void shouldEndAHoldByItself() throws Exception {
    Volume v = volumes.get(0);
    long begun = System.nanoTime();
    hold(v, 1, 300_000);
    CompletableFuture<Void> reply = write(v, 0, 1);
    v.server.close().toCompletableFuture().get(20, TimeUnit.SECONDS); // and the node is gone
    reply.get(10, TimeUnit.SECONDS);
    long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
    assertTrue(millis >= 290 && millis < 2_000, "withheld for " + millis + " ms");
    byte[] late =
        get(v.tap.orders.take(99, OrderKind.RELEASE.code(), 1_000, new Holds.Release(1).encode()));
    assertFalse(Holds.Released.decode(late).unbroken());
  }

  /** Out of bounds, malformed, or while capture is down: refused, and nothing is held. */
  @Test
  void shouldRefuseAHoldThatMakesNoSense() throws Exception {
    Volume v = volumes.get(0);
    assertEquals(ErrorCode.INVALID, refused(askHold(v, 1, 0)));
    assertEquals(ErrorCode.INVALID, refused(askHold(v, 1, Holds.LIMIT_MICROS_MAX + 1)));
    assertEquals(ErrorCode.INVALID, refused(order(v, OrderKind.HOLD, new byte[11])));
    assertEquals(ErrorCode.INVALID, refused(order(v, OrderKind.RELEASE, new byte[9])));
    write(v, 0, 1).get(10, TimeUnit.SECONDS);
    v.disk.fail(v.tap.capture, 0, new byte[SECTOR]);
    ErrorCode code = refusedOrNone(v);
    assertTrue(code == null || code == ErrorCode.DARK_INTERVAL, "refused by " + code);
    write(v, 0, 2).get(10, TimeUnit.SECONDS);
  }

  /** The resynchronisation may be over before the question comes. */
  private ErrorCode refusedOrNone(Volume v) throws Exception {
    try {
      get(askHold(v, 5, 1_000));
      return null;
    } catch (ExecutionException e) {
      return ((Refusal) e.getCause()).code();
    }
  }

  /** A synchronous volume replies once the write is journaled and the hold over. */
  @Test
  void shouldWithholdRepliesOfSynchronousVolumes() throws Exception {
    Volume v = volumes.get(0);
    v.journal.synchronous(true);
    v.journal.breakSession();
    await("attached again", () -> v.journal.attached() && v.tap.client.connected());
    v.journal.stall(true);
    CompletableFuture<Void> before = write(v, 0, 1);
    Holds.Held held = hold(v, 1, LIMIT_MICROS);
    assertEquals(1, held.mark().value());
    CompletableFuture<Void> after = write(v, 1, 2);
    v.journal.stall(false);
    before.get(10, TimeUnit.SECONDS);
    await("journaled", () -> v.journal.head() == 2);
    assertFalse(after.isDone());
    assertEquals(1, release(v, 1).withheld());
    after.get(10, TimeUnit.SECONDS);
  }

  /**
   * J7: writers that write n to one volume, await the reply, then n to the next; tags all the
   * while. At no tag does a volume show a number that the one before it in the chain lacks.
   */
  @Test
  void shouldNeverShowAnEffectWithoutItsCause() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    List<Thread> writers = new ArrayList<>();
    List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
    int writerCount = 4;
    for (int w = 0; w < writerCount; w++) {
      int sector = w;
      Thread writer =
          new Thread(
              () -> {
                try {
                  for (long n = 1; !stop.get(); n++) {
                    for (Volume v : volumes) {
                      write(v, sector, n).get(20, TimeUnit.SECONDS);
                    }
                  }
                } catch (Exception e) {
                  failures.add(e);
                }
              });
      writers.add(writer);
      writer.start();
    }
    Random random = new Random(seed);
    List<long[]> tags = new ArrayList<>();
    for (int round = 0; round < 120; round++) {
      long owner = ids.getAndIncrement();
      long[] marks = new long[VOLUMES];
      List<CompletionStage<byte[]>> asked = new ArrayList<>();
      for (Volume v : volumes) {
        asked.add(askHold(v, owner, LIMIT_MICROS));
        LockSupport.parkNanos(random.nextInt(1_500_000)); // skew between the volumes
      }
      for (int i = 0; i < VOLUMES; i++) {
        marks[i] = Holds.Held.decode(get(asked.get(i))).mark().value();
      }
      boolean unbroken = true;
      for (Volume v : volumes) {
        unbroken &= release(v, owner).unbroken();
        LockSupport.parkNanos(random.nextInt(1_000_000));
      }
      if (unbroken) {
        tags.add(marks);
      }
      LockSupport.parkNanos(random.nextInt(3_000_000));
    }
    stop.set(true);
    for (Thread writer : writers) {
      writer.join();
    }
    assertEquals(List.of(), failures);
    assertTrue(tags.size() > 60, tags.size() + " tags");
    for (Volume v : volumes) {
      assertTrue(v.tap.drain());
    }
    boolean moved = false;
    for (long[] marks : tags) {
      for (int sector = 0; sector < writerCount; sector++) {
        long last = Long.MAX_VALUE;
        long first = -1;
        for (int i = 0; i < VOLUMES; i++) {
          long number = at(volumes.get(i), marks[i], sector);
          first = first < 0 ? number : first;
          assertTrue(number <= last, "volume %d shows %d, its cause %d".formatted(i, number, last));
          last = number;
        }
        assertTrue(
            last >= first - 1, "the chain's end shows %d, its begin %d".formatted(last, first));
        moved |= first > 1;
      }
    }
    assertTrue(moved, "the writers went on");
  }

  /** What the volume's image at that seq shows in the sector. */
  private static long at(Volume v, long seq, int sector) {
    long number = 0;
    for (MemoryJournal.Entry entry : v.journal.entries()) {
      if (entry.seq() <= seq && entry.offset() == (long) sector * SECTOR && entry.data() != null) {
        number = ByteBuffer.wrap(entry.data()).getLong();
      }
    }
    return number;
  }
}
