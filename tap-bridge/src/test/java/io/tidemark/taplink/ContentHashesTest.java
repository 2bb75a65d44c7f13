package io.tidemark.taplink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.ContentHashes;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.ModelDisk;
import io.tidemark.capture.TestPayload;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A node asks a tap, over loopback TCP, what its backing store holds. */
class ContentHashesTest {
  private static final int SIZE = 1 << 20;
  private static final int BLOCK = 64 << 10;
  private static final ByteRange ALL = new ByteRange(0, SIZE);
  private static final VolumeName NAME = new VolumeName("v");

  @TempDir Path directory;
  private ActorTestKit kit;
  private MemoryJournal journal;
  private TapLinkServer server;
  private ModelDisk disk;
  private TapHarness tap;

  @BeforeEach
  void start() throws Exception {
    kit = ActorTestKit.create("content-hashes");
    journal = new MemoryJournal(SIZE);
    server =
        TapLinkServer.bind(kit.system(), "127.0.0.1", 0, journal, TapHarness.LINK)
            .toCompletableFuture()
            .get(20, TimeUnit.SECONDS);
    disk = new ModelDisk(SIZE);
    tap =
        new TapHarness(
                disk,
                new CrashingLogFile(),
                directory,
                64 << 20,
                TapHarness.LIMITS,
                TapHarness.LINK,
                server.address())
            .awaitAttached();
  }

  @AfterEach
  void stop() throws Exception {
    journal.stall(false);
    tap.close();
    server.close().toCompletableFuture().get(20, TimeUnit.SECONDS);
    journal.close();
    kit.shutdownTestKit();
  }

  private LiveLink link() {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (server.links().of(NAME).isEmpty()) {
      assertTrue(System.nanoTime() < deadline, "the link is registered");
      LockSupport.parkNanos(1_000_000);
    }
    return server.links().of(NAME).get();
  }

  private ContentHashes ask(ByteRange range, int blockBytes) throws Exception {
    return link().contentHashes(range, blockBytes).toCompletableFuture().get(30, TimeUnit.SECONDS);
  }

  private static ByteBuffer hashes(byte[] content, int blockBytes) throws Exception {
    ByteBuffer out = ByteBuffer.allocate(content.length / blockBytes * 32);
    for (int at = 0; at < content.length; at += blockBytes) {
      out.put(
          MessageDigest.getInstance("SHA-256")
              .digest(Arrays.copyOfRange(content, at, at + blockBytes)));
    }
    return out.flip();
  }

  /** Idle: the journal's content at the seq told, and what was changed behind capture's back. */
  @Test
  void shouldTellWhatTheBackingStoreHolds() throws Exception {
    Random random = new Random(1);
    for (int i = 0; i < 50; i++) {
      tap.change(random, 32 << 10);
    }
    assertTrue(tap.drain());
    ContentHashes answer = ask(ALL, BLOCK);
    assertEquals(ContentHashes.State.IDLE, answer.state());
    assertEquals(journal.head(), answer.seq().value());
    assertEquals(hashes(journal.content(), BLOCK), answer.hashes());

    byte flipped = (byte) (disk.copy()[700_000] ^ 1);
    TestPayload behind = new TestPayload(new byte[] {flipped}, 0);
    disk.write(CaptureSink.none(), 700_000, behind, () -> {});
    behind.release();
    ByteBuffer now = ask(ALL, BLOCK).hashes();
    assertEquals(700_000 / BLOCK, now.mismatch(answer.hashes()) / 32);
    ByteRange block = new ByteRange(BLOCK * (700_000L / BLOCK), BLOCK);
    assertEquals(BLOCK / 4096 * 32, ask(block, 4096).hashes().remaining());
  }

  /** What waits to be journaled makes the tap busy until it is. */
  @Test
  void shouldBeBusyWhileWritesWait() throws Exception {
    journal.stall(true);
    tap.write(4096, new byte[512], 0);
    assertEquals(ContentHashes.State.BUSY, ask(ALL, BLOCK).state());
    journal.stall(false);
    assertTrue(tap.drain());
    assertEquals(ContentHashes.State.IDLE, ask(ALL, BLOCK).state());
  }

  /** The node asks within the limits of the protocol only, and a link that ended fails. */
  @Test
  void shouldFailOnceTheLinkIsGone() throws Exception {
    LiveLink link = link();
    tap.client.close();
    ExecutionException e =
        assertThrows(
            ExecutionException.class,
            () -> link.contentHashes(ALL, BLOCK).toCompletableFuture().get(20, TimeUnit.SECONDS));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, ((Refusal) e.getCause()).code());
    assertFalse(server.links().of(NAME).isPresent());
  }
}
