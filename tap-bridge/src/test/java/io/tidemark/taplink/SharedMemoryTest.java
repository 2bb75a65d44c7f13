package io.tidemark.taplink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.CaptureMemory;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.ModelDisk;
import io.tidemark.capture.TestPayload;
import io.tidemark.journal.TapStatus;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Volumes of one tap that all have a backlog on disk: none may take the memory of the others. */
class SharedMemoryTest {
  private static final int VOLUMES = 4;
  private static final int SIZE = 4 << 20;
  private static final long BACKLOG_BYTES = 12 << 20;

  private static ActorTestKit kit;

  @TempDir Path directory;
  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());

  /** One volume: its journal, its way there, its tap. */
  private record Member(
      MemoryJournal journal, TapLinkServer server, FaultyProxy proxy, TapHarness tap) {}

  @BeforeAll
  static void startSystem() {
    kit = ActorTestKit.create("shared-memory");
  }

  @AfterAll
  static void stopSystem() {
    kit.shutdownTestKit();
  }

  private Member member(int index, CaptureMemory memory) throws Exception {
    MemoryJournal journal = new MemoryJournal(SIZE);
    TapLinkServer server =
        TapLinkServer.bind(kit.system(), "127.0.0.1", 0, journal, TapHarness.LINK)
            .toCompletableFuture()
            .get(10, TimeUnit.SECONDS);
    FaultyProxy proxy = new FaultyProxy(server.address(), seed);
    TapHarness tap =
        new TapHarness(
                new ModelDisk(SIZE),
                new CrashingLogFile(),
                Files.createDirectory(directory.resolve("v" + index)),
                memory,
                TapHarness.LIMITS,
                TapHarness.LINK,
                proxy.address(),
                "v")
            .awaitAttached()
            .withoutStates();
    return new Member(journal, server, proxy, tap);
  }

  private static void close(Member member) throws Exception {
    member.tap.close();
    member.proxy.close();
    member.server.close().toCompletableFuture().get(10, TimeUnit.SECONDS);
    member.journal.close();
  }

  @Test
  void shouldStayWithinItsMemoryWhenAllVolumesCatchUp() throws Exception {
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    CaptureMemory memory = new CaptureMemory(2 << 20);
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < VOLUMES; i++) {
      members.add(member(i, memory));
    }
    for (Member member : members) {
      member.proxy.block(true);
    }
    for (Member member : members) {
      fall(member, random, memory);
    }
    AtomicBoolean over = new AtomicBoolean();
    long[] most = new long[1];
    Thread watcher = new Thread(() -> watch(memory, over, most));
    watcher.start();
    for (Member member : members) {
      member.journal.delay(20);
      member.proxy.block(false);
    }
    for (Member member : members) {
      assertTrue(member.tap.drain());
    }
    over.set(true);
    watcher.join();
    long bound = memory.bytesMax() + VOLUMES * (256L << 10);
    assertTrue(most[0] <= bound, most[0] + " bytes held, bound " + bound);
    for (Member member : members) {
      assertArrayEquals(member.tap.disk.copy(), member.journal.content());
      assertEquals(member.tap.written.size(), member.journal.entries().size());
      assertEquals(List.of(), member.journal.darks());
      close(member);
    }
    assertEquals(0, memory.usedBytes());
    TestPayload.assertReleased();
  }

  /** Writes until the backlog is on disk. */
  private static void fall(Member member, Random random, CaptureMemory memory) throws Exception {
    long written = 0;
    while (written < BACKLOG_BYTES) {
      member.tap.change(random, 48 << 10);
      written += 24 << 10;
      while (memory.usedBytes() > memory.bytesMax() * 3 / 4) {
        LockSupport.parkNanos(1_000_000);
      }
    }
    assertEquals(TapStatus.Mode.SPILLING, member.tap.capture.status().mode());
  }

  private static void watch(CaptureMemory memory, AtomicBoolean over, long[] most) {
    while (!over.get()) {
      most[0] = Math.max(most[0], memory.usedBytes());
      LockSupport.parkNanos(200_000);
    }
  }
}
