package io.tidemark.taplink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.CaptureLimits;
import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.FencedException;
import io.tidemark.capture.ModelDisk;
import io.tidemark.capture.TestPayload;
import io.tidemark.journal.SessionGrant;
import io.tidemark.order.Leases;
import io.tidemark.position.ByteRange;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.LeaseOrders;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A tap that needs a lease replies to nothing without one, also after it was restarted (W1). */
class LeaseTest {
  private static final int SIZE = 1 << 20;
  private static final CaptureLimits LIMITS =
      TapHarness.LIMITS.withLeaseWait(Duration.ofMillis(300));

  @TempDir Path directory;
  private final Random random = new Random(7);
  private ActorTestKit kit;
  private MemoryJournal journal;
  private TapLinkServer node;
  private ModelDisk disk;

  @BeforeEach
  void start() throws Exception {
    kit = ActorTestKit.create("lease");
    journal = new MemoryJournal(SIZE);
    journal.leased = true;
    node =
        TapLinkServer.bind(kit.system(), "127.0.0.1", 0, journal, TapHarness.LINK)
            .toCompletableFuture()
            .get(10, TimeUnit.SECONDS);
    disk = new ModelDisk(SIZE);
  }

  @AfterEach
  void stop() throws Exception {
    node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    journal.close();
    kit.shutdownTestKit();
  }

  private TapHarness tap(CrashingLogFile log) throws Exception {
    return new TapHarness(disk, log, directory, 8 << 20, LIMITS, TapHarness.LINK, node.address());
  }

  private static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "waited for " + what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Withheld, given with the lease, withheld after it, refused when it was over for too long. */
  @Test
  void shouldReplyOnlyWithALease() throws Exception {
    CrashingLogFile log = new CrashingLogFile();
    TapHarness tap = tap(log).awaitAttached();
    assertTrue(Files.exists(directory.resolve("lease")));
    tap.change(random, 4096);
    assertEquals(1, tap.unanswered.get());
    tap.capture.grantLease(4, 1_000_000); // of a round that began elsewhere
    assertEquals(1, tap.unanswered.get());
    LeaseOrders orders = new LeaseOrders("v", () -> Optional.of(tap.capture));
    order(orders, new Leases.Mark(5));
    assertEquals(1, tap.unanswered.get());
    order(orders, new Leases.Grant(5, 1_000_000));
    assertEquals(0, tap.unanswered.get());
    tap.change(random, 4096);
    assertEquals(0, tap.unanswered.get());

    await(() -> !tap.capture.lease().orElseThrow().valid(), "the end of the lease");
    tap.change(random, 4096);
    assertEquals(1, tap.unanswered.get());
    CompletableFuture<String> refused = new CompletableFuture<>();
    write(tap, refused);
    await(
        () -> {
          tap.capture.expireLease();
          return refused.isDone();
        },
        "the refusal");
    assertTrue(refused.join().startsWith("LEASE_EXPIRED"), refused.join());
    assertThrows(FencedException.class, () -> tap.capture.beforeWrite(new ByteRange(0, 512)));

    order(orders, new Leases.Mark(6));
    order(orders, new Leases.Grant(6, 60_000_000));
    assertEquals(0, tap.unanswered.get());
    tap.change(random, 4096);
    assertEquals(0, tap.unanswered.get());
    assertTrue(tap.drain(), "what waited for a lease is journaled as ever");
    tap.close();
  }

  private static void order(LeaseOrders orders, Leases.Lease lease) {
    orders.carryOut(1, Leases.encode(lease), Duration.ofSeconds(1)).toCompletableFuture().join();
  }

  private static void write(TapHarness tap, CompletableFuture<String> refused) throws Exception {
    tap.capture.beforeWrite(new ByteRange(0, 512));
    TestPayload payload = new TestPayload(new byte[512], 0);
    tap.capture.wrote(
        new ByteRange(0, 512),
        payload,
        new CaptureSink.Answer() {
          @Override
          public void run() {
            refused.complete("it was given");
          }

          @Override
          public void refuse(String reason) {
            refused.complete(reason);
          }
        });
    payload.release();
  }

  /**
   * A tap that starts where no node can be reached has no lease; one that is told so needs none.
   */
  @Test
  void shouldNeedALeaseAfterARestart() throws Exception {
    CrashingLogFile log = new CrashingLogFile();
    TapHarness first = tap(log).awaitAttached();
    first.capture.markLease(1);
    first.capture.grantLease(1, 60_000_000);
    first.change(random, 4096);
    assertEquals(0, first.unanswered.get());
    CrashingLogFile left = first.crash(random, false);
    journal.leased = false;
    int port = node.address().getPort();
    node.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    TapHarness second = tap(left);
    second.change(random, 4096);
    assertEquals(1, second.unanswered.get());
    node =
        TapLinkServer.bind(kit.system(), "127.0.0.1", port, journal, TapHarness.LINK)
            .toCompletableFuture()
            .get(10, TimeUnit.SECONDS);
    second.awaitAttached();
    await(() -> second.unanswered.get() == 0, "the reply");
    assertFalse(Files.exists(directory.resolve("lease")));
    second.close();
  }

  /** Orders that are none are refused; earlier versions are told of no lease. */
  @Test
  void shouldCarryLeasesOnTheWire() throws Exception {
    for (Leases.Lease lease :
        new Leases.Lease[] {new Leases.Mark(7), new Leases.Grant(7, 9), new Leases.Off()}) {
      assertEquals(lease, Leases.decode(Leases.encode(lease)));
    }
    for (byte[] wrong :
        new byte[][] {
          {},
          {1},
          {2, 0, 0},
          {3, 0},
          {9},
          Leases.encode(new Leases.Grant(1, 0)),
          Leases.encode(new Leases.Grant(1, Leases.LEASE_MICROS_MAX + 1))
        }) {
      assertThrows(Refusal.class, () -> Leases.decode(wrong));
    }
    SessionGrant grant =
        new SessionGrant(
            VolumeId.random(),
            512,
            Epoch.FIRST,
            1,
            new WriteSeq(1),
            new MicroTime(1),
            false,
            true,
            1,
            1,
            true);
    for (int version : new int[] {3, 4}) {
      ByteBuffer bytes = new LinkMessage.Welcome(version, grant, 1, 1, 1).encode();
      assertEquals(version == 4, LinkMessage.Welcome.decode(bytes).grant().leased());
    }
  }
}
