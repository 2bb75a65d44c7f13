package io.tidemark.taplink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.CaptureLimits;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.FencedException;
import io.tidemark.capture.ModelDisk;
import io.tidemark.capture.TestPayload;
import io.tidemark.journal.TapStatus;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way from a write to the journal over loopback TCP, against a plain model. */
class CaptureOracleTest {
  private static final int SIZE = 1 << 20;
  private static final long MEMORY = 64L << 20;
  private static ActorTestKit kit;

  @TempDir Path directory;
  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private MemoryJournal journal;
  private TapLinkServer server;
  private FaultyProxy proxy;

  @BeforeAll
  static void startSystem() {
    kit = ActorTestKit.create("tap-link");
  }

  @AfterAll
  static void stopSystem() {
    kit.shutdownTestKit();
  }

  @BeforeEach
  void start() throws Exception {
    System.out.println("seed " + seed);
    journal(SIZE);
  }

  private void journal(int size) throws Exception {
    journal = new MemoryJournal(size);
    server =
        TapLinkServer.bind(kit.system(), "127.0.0.1", 0, journal, TapHarness.LINK)
            .toCompletableFuture()
            .get(10, TimeUnit.SECONDS);
    proxy = new FaultyProxy(server.address(), seed);
  }

  @AfterEach
  void stop() throws Exception {
    proxy.close();
    server.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    journal.close();
  }

  private TapHarness tap(ModelDisk disk, CrashingLogFile log, long memory, CaptureLimits limits)
      throws Exception {
    return new TapHarness(disk, log, directory, memory, limits, TapHarness.LINK, proxy.address());
  }

  private TapHarness freshTap(long memory, CaptureLimits limits) throws Exception {
    return tap(new ModelDisk(SIZE), new CrashingLogFile(), memory, limits).awaitAttached();
  }

  private static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, "waited a minute until " + what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Without a gap, the journal holds exactly the writes, in order, as seqs 1, 2, 3... */
  private void assertEveryWriteJournaled(TapHarness tap) {
    List<MemoryJournal.Entry> entries = journal.entries();
    assertEquals(tap.written.size(), entries.size());
    long time = 0;
    for (int i = 0; i < entries.size(); i++) {
      MemoryJournal.Entry entry = entries.get(i);
      TapHarness.Written write = tap.written.get(i);
      assertEquals(i + 1, entry.seq());
      assertEquals(write.offset(), entry.offset());
      assertEquals(write.length(), entry.length());
      assertArrayEquals(write.data(), entry.data());
      assertTrue(entry.time() > time, "timestamps increase strictly");
      time = entry.time();
    }
    assertArrayEquals(tap.disk.copy(), journal.content());
    assertEquals(List.of(), journal.darks());
  }

  /** Every seq outside the dark intervals replays to a state that the disk was in, in order. */
  private void assertEveryPointWasAState(List<Integer> states) {
    Set<Integer> known = new HashSet<>(states);
    known.add(Arrays.hashCode(new byte[SIZE]));
    byte[] replay = new byte[SIZE];
    for (MemoryJournal.Entry entry : journal.entries()) {
      MemoryJournal.replay(entry, replay);
      long seq = entry.gapTo() == 0 ? entry.seq() : entry.gapTo();
      boolean dark =
          journal.darks().stream()
              .anyMatch(d -> seq >= d.first() && (d.done() < 0 || seq < d.done()));
      if (!dark) {
        assertTrue(known.contains(Arrays.hashCode(replay)), "seq " + seq + " was never a state");
      }
    }
  }

  @Test
  void shouldJournalEveryWriteInOrder() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      for (int i = 0; i < 3000; i++) {
        tap.change(random, 16 << 10);
      }
      assertTrue(tap.drain());
      assertEveryWriteJournaled(tap);
      assertEquals(0, tap.memory.usedBytes());
      assertEquals(0, tap.unanswered.get());
    }
    TestPayload.assertReleased();
  }

  @Test
  void shouldLoseNothingWhenTheLinkIsCutAnywhere() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      proxy.fault(FaultyProxy.Fault.CUT, 300_000);
      for (int i = 0; i < 3000; i++) {
        tap.change(random, 16 << 10);
      }
      proxy.fault(FaultyProxy.Fault.NONE, 1);
      assertTrue(tap.drain());
      assertEveryWriteJournaled(tap);
    }
  }

  @Test
  void shouldDetectDamagedBytesAndSendAgain() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      proxy.fault(FaultyProxy.Fault.CORRUPT, 400_000);
      for (int i = 0; i < 2000; i++) {
        tap.change(random, 16 << 10);
      }
      await(() -> tap.capture.status().pendingBytes() < (8 << 20), "most is journaled");
      proxy.fault(FaultyProxy.Fault.NONE, 1);
      assertTrue(tap.drain());
      assertEveryWriteJournaled(tap);
    }
  }

  @Test
  void shouldSpillWhileTheNodeIsAwayAndLoseNothing() throws Exception {
    try (TapHarness tap = freshTap(8 << 20, TapHarness.LIMITS)) {
      proxy.block(true);
      for (int i = 0; i < 2500; i++) {
        tap.change(random, 16 << 10);
        if (tap.memory.usedBytes() > 6 << 20) {
          await(() -> tap.memory.usedBytes() < 6 << 20, "the keeper has spilled");
        }
      }
      assertEquals(TapStatus.Mode.SPILLING, tap.capture.status().mode());
      assertFalse(journal.attached());
      proxy.block(false);
      for (int i = 0; i < 500; i++) {
        tap.change(random, 16 << 10);
      }
      assertTrue(tap.drain());
      assertEveryWriteJournaled(tap);
      assertEquals(TapStatus.Mode.CONTINUOUS, tap.capture.status().mode());
      assertEquals(0, tap.memory.usedBytes());
    }
    TestPayload.assertReleased();
  }

  @Test
  void shouldCollapseAndResyncWithAnHonestDarkInterval() throws Exception {
    CaptureLimits limits = TapHarness.LIMITS.withSpillBytesMax(1 << 20);
    try (TapHarness tap = freshTap(1 << 20, limits)) {
      for (int i = 0; i < 200; i++) {
        tap.change(random, 4 << 10);
      }
      assertTrue(tap.drain());
      long before = journal.head();
      proxy.block(true);
      await(() -> !tap.client.connected(), "the link is seen broken");
      for (int i = 0; i < 1000; i++) {
        tap.change(random, 16 << 10);
      }
      assertEquals(TapStatus.Mode.COLLAPSED, tap.capture.status().mode());
      proxy.block(false);
      for (int i = 0; i < 500; i++) {
        tap.change(random, 4 << 10);
      }
      assertTrue(tap.drain());
      assertArrayEquals(tap.disk.copy(), journal.content());
      assertFalse(journal.syncOpen());
      assertFalse(journal.darks().isEmpty());
      assertTrue(journal.darks().get(0).first() > before);
      assertEveryPointWasAState(tap.states);
      assertEquals(0, tap.memory.usedBytes());
      assertTrue(tap.activity.state().cleanSeq() < 0);
    }
    TestPayload.assertReleased();
  }

  @RepeatedTest(3)
  void shouldEndInStepWhateverBefalls() throws Exception {
    CaptureLimits limits = TapHarness.LIMITS.withSpillBytesMax(2 << 20);
    try (TapHarness tap = freshTap(1 << 20, limits)) {
      for (int round = 0; round < 40; round++) {
        switch (random.nextInt(7)) {
          case 0 -> proxy.cut();
          case 1 -> proxy.block(true);
          case 2 -> proxy.fault(FaultyProxy.Fault.CUT, 50_000 + random.nextInt(500_000));
          case 3 -> proxy.fault(FaultyProxy.Fault.CORRUPT, 50_000 + random.nextInt(500_000));
          case 4 -> journal.breakSession();
          case 5 -> journal.delay(random.nextInt(20));
          default -> {
            proxy.block(false);
            proxy.fault(FaultyProxy.Fault.NONE, 1);
          }
        }
        int writes = random.nextInt(200);
        for (int i = 0; i < writes; i++) {
          tap.change(random, 16 << 10);
          if (random.nextInt(500) == 0) {
            byte[] data = new byte[4096];
            random.nextBytes(data);
            tap.disk.fail(tap.capture, 4096L * random.nextInt(SIZE / 4096), data);
            tap.states.add(Arrays.hashCode(tap.disk.copy()));
          }
        }
        LockSupport.parkNanos(random.nextInt(20_000_000));
      }
      proxy.block(false);
      proxy.fault(FaultyProxy.Fault.NONE, 1);
      assertTrue(tap.drain(), "drains: " + tap.capture.status());
      assertArrayEquals(tap.disk.copy(), journal.content());
      assertFalse(journal.syncOpen());
      assertEquals(0, tap.memory.usedBytes());
      assertEquals(0, tap.unanswered.get());
    }
    TestPayload.assertReleased();
  }

  @Test
  void shouldSynchroniseAVolumeThatHoldsDataWhileWritesGoOn() throws Exception {
    byte[] content = new byte[SIZE];
    random.nextBytes(content);
    Arrays.fill(content, 0, SIZE / 4, (byte) 0);
    ModelDisk disk = new ModelDisk(content);
    try (TapHarness tap =
        tap(disk, new CrashingLogFile(), MEMORY, TapHarness.LIMITS).awaitAttached()) {
      tap.states.add(Arrays.hashCode(disk.copy()));
      for (int i = 0; i < 500; i++) {
        tap.change(random, 4 << 10);
      }
      assertTrue(tap.drain());
      assertArrayEquals(disk.copy(), journal.content());
      assertEquals(1, journal.darks().get(0).first());
      assertTrue(journal.syncBytes() <= SIZE, "zeroes are not sent");
      assertEveryPointWasAState(tap.states);
    }
  }

  @Test
  void shouldNotSynchroniseAnEmptyVolume() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      tap.change(random, 4096);
      assertTrue(tap.drain());
      assertEquals(List.of(), journal.darks());
      assertEquals(0, journal.hashedBlocks());
    }
  }

  @Test
  void shouldResumeWithoutComparingAfterACleanStop() throws Exception {
    CrashingLogFile log = new CrashingLogFile();
    ModelDisk disk = new ModelDisk(SIZE);
    try (TapHarness tap = tap(disk, log, MEMORY, TapHarness.LIMITS).awaitAttached()) {
      for (int i = 0; i < 100; i++) {
        tap.change(random, 4096);
      }
      assertTrue(tap.drain());
    }
    await(() -> !journal.attached(), "the tap has taken leave");
    try (TapHarness tap = tap(disk, log, MEMORY, TapHarness.LIMITS).awaitAttached()) {
      assertTrue(tap.activity.markedRegions().isEmpty());
      tap.change(random, 4096);
      assertTrue(tap.drain());
      assertEquals(101, journal.head());
      assertEquals(List.of(), journal.darks());
      assertEquals(0, journal.hashedBlocks());
    }
  }

  @Test
  void shouldCompareEverythingWhenTheJournalWentOnWithoutIt() throws Exception {
    CrashingLogFile log = new CrashingLogFile();
    ModelDisk disk = new ModelDisk(SIZE);
    try (TapHarness tap = tap(disk, log, MEMORY, TapHarness.LIMITS).awaitAttached()) {
      for (int i = 0; i < 100; i++) {
        tap.change(random, 4096);
      }
      assertTrue(tap.drain());
    }
    await(() -> !journal.attached(), "the first tap has taken leave");
    ModelDisk other = new ModelDisk(disk.copy());
    try (TapHarness tap = tap(other, new CrashingLogFile(), MEMORY, TapHarness.LIMITS)) {
      tap.awaitAttached();
      for (int i = 0; i < 100; i++) {
        tap.change(random, 4096);
      }
      assertTrue(tap.drain());
    }
    await(() -> !journal.attached(), "the second tap has taken leave");
    try (TapHarness tap = tap(disk, log, MEMORY, TapHarness.LIMITS).awaitAttached()) {
      assertTrue(tap.drain());
      assertArrayEquals(disk.copy(), journal.content());
      assertTrue(journal.hashedBlocks() > 0);
    }
  }

  @Test
  void shouldStartOverWhenTheVolumeWasCreatedAgain() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      for (int i = 0; i < 100; i++) {
        tap.change(random, 4096);
      }
      assertTrue(tap.drain());
      journal.recreate();
      for (int i = 0; i < 100; i++) {
        tap.change(random, 4096);
      }
      await(() -> journal.head() > 0 && !journal.syncOpen(), "the new volume is in step");
      assertTrue(tap.drain());
      assertArrayEquals(tap.disk.copy(), journal.content());
    }
  }

  @Test
  void shouldReplyOnceJournaledInSyncMode() throws Exception {
    journal.synchronous(true);
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      journal.stall(true);
      tap.write(0, new byte[] {1, 2, 3}, 0);
      await(() -> journal.head() == 1, "the write has arrived");
      assertEquals(1, tap.unanswered.get());
      journal.stall(false);
      await(() -> tap.unanswered.get() == 0, "the client is answered");
      proxy.block(true);
      tap.write(0, new byte[] {4, 5, 6}, 0);
      assertEquals(1, tap.unanswered.get());
      proxy.block(false);
      await(() -> tap.unanswered.get() == 0, "the client is answered after the reconnect");
      assertEveryWriteJournaled(tap);
    }
  }

  @Test
  void shouldCompareAndRepairWhatAFailedWriteLeft() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      tap.change(random, 4096);
      byte[] data = new byte[4096];
      random.nextBytes(data);
      tap.disk.fail(tap.capture, 8192, data);
      assertTrue(tap.drain());
      assertArrayEquals(tap.disk.copy(), journal.content());
      assertEquals(1, journal.hashedBlocks());
    }
  }

  /** Damage in the tap's own memory ends in an honest gap, not in a link that stands still. */
  @Test
  void shouldGiveUpWhatTheJournalWillNeverTake() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      tap.change(random, 4096);
      assertTrue(tap.drain());
      journal.spoil(true);
      for (int i = 0; i < 20; i++) {
        tap.change(random, 4096);
      }
      await(() -> !journal.darks().isEmpty(), "a gap is journaled");
      journal.spoil(false);
      assertTrue(tap.drain());
      assertArrayEquals(tap.disk.copy(), journal.content());
      assertEveryPointWasAState(tap.states);
    }
  }

  /** The same while a failed write has opened a gap behind what waits: all of it goes. */
  @Test
  void shouldGiveUpWhatWaitsBeforeAGap() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      tap.change(random, 4096);
      assertTrue(tap.drain());
      journal.spoil(true);
      for (int i = 0; i < 300; i++) {
        tap.change(random, 16 << 10);
        if (i % 50 == 10) {
          byte[] data = new byte[4096];
          random.nextBytes(data);
          tap.disk.fail(tap.capture, 4096L * random.nextInt(SIZE / 4096), data);
          tap.states.add(Arrays.hashCode(tap.disk.copy()));
        }
      }
      await(() -> !journal.darks().isEmpty(), "a gap is journaled");
      journal.spoil(false);
      assertTrue(tap.drain(), "drains: " + tap.capture.status());
      assertArrayEquals(tap.disk.copy(), journal.content());
      assertEveryPointWasAState(tap.states);
      assertEquals(0, tap.memory.usedBytes());
    }
    TestPayload.assertReleased();
  }

  @Test
  void shouldFailWritesOnceFenced() throws Exception {
    try (TapHarness tap = freshTap(MEMORY, TapHarness.LIMITS)) {
      tap.change(random, 4096);
      assertTrue(tap.drain());
      journal.fence(tap.activity.state().tapId());
      await(() -> tap.client.lastRefusal().isPresent(), "the tap hears of it");
      await(() -> tap.activity.state().fenced(), "the tap is fenced");
      assertThrows(FencedException.class, () -> tap.write(0, new byte[512], 0));
    }
  }

  @Test
  void shouldRefuseASecondTapWhileTheFirstLives() throws Exception {
    try (TapHarness first = freshTap(MEMORY, TapHarness.LIMITS);
        TapHarness second =
            tap(new ModelDisk(SIZE), new CrashingLogFile(), MEMORY, TapHarness.LIMITS)) {
      assertEquals(ErrorCode.BUSY, refusal(second));
      assertTrue(first.client.connected());
    }
  }

  @Test
  void shouldRefuseAnUnknownVolumeAndASmallBackingStore() throws Exception {
    try (TapHarness unknown =
        new TapHarness(
            new ModelDisk(SIZE),
            new CrashingLogFile(),
            directory,
            MEMORY,
            TapHarness.LIMITS,
            TapHarness.LINK,
            proxy.address(),
            "nobody")) {
      assertEquals(ErrorCode.NOT_FOUND, refusal(unknown));
    }
    try (TapHarness small =
        tap(new ModelDisk(SIZE / 2), new CrashingLogFile(), MEMORY, TapHarness.LIMITS)) {
      assertEquals(ErrorCode.INVALID, refusal(small));
    }
  }

  private static ErrorCode refusal(TapHarness tap) {
    ExecutionException failure =
        assertThrows(
            ExecutionException.class, () -> tap.client.firstGrant().get(20, TimeUnit.SECONDS));
    return ((Refusal) failure.getCause()).code();
  }

  @Test
  void shouldCompareOnlyMarkedRegionsAfterACrash() throws Exception {
    proxy.close();
    server.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    int size = 64 << 20;
    journal(size);
    CrashingLogFile log = new CrashingLogFile();
    ModelDisk disk = new ModelDisk(size);
    for (int round = 0; round < 12; round++) {
      TapHarness tap =
          tap(disk, log, MEMORY, TapHarness.LIMITS.withSpillBytesMax(0)).withoutStates();
      tap.awaitAttached();
      if (round > 0) {
        assertTrue(tap.drain(), "in step again: " + tap.capture.status());
        assertArrayEquals(disk.copy(), journal.content());
      }
      int region = random.nextInt(16);
      long hashed = journal.hashedBlocks();
      boolean away = random.nextBoolean();
      proxy.block(away);
      for (int i = 0; i < 50; i++) {
        byte[] data = new byte[4096];
        random.nextBytes(data);
        tap.write((long) region * (4 << 20) + 4096L * random.nextInt(1024), data, 0);
      }
      assertEquals(hashed, journal.hashedBlocks());
      log = tap.crash(random, random.nextBoolean());
      proxy.block(false);
      disk = new ModelDisk(disk.copy());
    }
    try (TapHarness tap = tap(disk, log, MEMORY, TapHarness.LIMITS).withoutStates()) {
      int marked = tap.activity.markedRegions().cardinality();
      assertTrue(marked <= 16);
      long hashed = journal.hashedBlocks();
      tap.awaitAttached();
      assertTrue(tap.drain());
      assertArrayEquals(disk.copy(), journal.content());
      assertTrue(journal.hashedBlocks() - hashed <= 64L * marked, "only marked regions");
    }
  }
}
