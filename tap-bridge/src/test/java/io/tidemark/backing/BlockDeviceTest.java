package io.tidemark.backing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tidemark.nbd.MemoryExport;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.NbdTestClient;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A block device as backing store: a loop device, so it needs root. */
class BlockDeviceTest {
  private static final long SEED = Long.getLong("tidemark.seed", System.nanoTime());

  /** Whole sectors, but not whole pages. */
  private static final int SIZE = (4 << 20) + 3 * 512;

  @TempDir Path dir;

  private static NbdServer serve(TapExport export) {
    return NbdServer.start(
        NbdListenAddress.parse("127.0.0.1:0"),
        MemoryExport.exports(export),
        NbdServerSettings.defaults());
  }

  private static NbdTestClient connect(NbdServer server) throws IOException {
    return NbdTestClient.connect(server.addresses().get(0), "v");
  }

  private static TapExport export(BackingStore store, RecordingSink sink) {
    return new TapExport("v", "", SIZE, false, store, sink);
  }

  /** Writes, trims and zeroes at any byte, against a model; then what the file below holds. */
  @Test
  void shouldBehaveAsADisk() throws Exception { // B2, B3
    System.out.println("seed " + SEED + " (-Dtidemark.seed)");
    byte[] model = new byte[SIZE];
    RecordingSink sink = new RecordingSink(null);
    try (LoopDevice loop = LoopDevice.create(dir.resolve("disk"), SIZE)) {
      try (FileBackingStore store = FileBackingStore.open(loop.device(), SIZE, false);
          TapExport export = export(store, sink);
          NbdServer server = serve(export);
          NbdTestClient client = connect(server)) {
        assertEquals(SIZE, store.sizeBytes());
        assertEquals(SIZE, client.size());
        changeAtRandom(client, model, new Random(SEED));
        assertEquals(0, client.flush());
        assertTrue(sink.flushes() > 0);
        byte[] back = new byte[SIZE];
        assertEquals(0, client.read(0, back));
        assertArrayEquals(model, back, "seed " + SEED);
        sink.releaseAll();
        assertArrayEquals(model, sink.replay(SIZE), "seed " + SEED);
        // A device does not tell where it has holes, so all of it may hold data.
        assertEquals(
            List.of(new Allocation(SIZE, false, false)),
            store.allocation(new ByteRange(0, SIZE), 10));
        assertTrue(store.zeroesFast());
        assertEquals(0, client.call(Nbd.CMD_FLAG_FUA, Nbd.CMD_TRIM, 0, SIZE, null, null));
        assertTrue(loop.allocatedBytes() <= 8192, "a trim gives its space back");
      }
      assertArrayEquals(new byte[SIZE], Files.readAllBytes(loop.file()));
      assertEquals(
          ErrorCode.INVALID,
          assertThrows(Refusal.class, () -> FileBackingStore.open(loop.device(), SIZE + 512, false))
              .code());
    }
  }

  private static void changeAtRandom(NbdTestClient client, byte[] model, Random random)
      throws IOException {
    for (int i = 0; i < 600; i++) {
      int length = 1 + random.nextInt(random.nextInt(8) == 0 ? 300_000 : 9000);
      int at = random.nextInt(SIZE - length + 1);
      int flags = random.nextInt(20) == 0 ? Nbd.CMD_FLAG_FUA : 0;
      switch (random.nextInt(6)) {
        case 0 -> {
          assertEquals(0, client.call(flags, Nbd.CMD_TRIM, at, length, null, null));
          Arrays.fill(model, at, at + length, (byte) 0);
        }
        case 1 -> {
          int noHole = random.nextInt(2) * Nbd.CMD_FLAG_NO_HOLE;
          assertEquals(
              0, client.call(flags | noHole, Nbd.CMD_WRITE_ZEROES, at, length, null, null));
          Arrays.fill(model, at, at + length, (byte) 0);
        }
        default -> {
          byte[] data = new byte[length];
          random.nextBytes(data);
          assertEquals(0, client.call(flags, Nbd.CMD_WRITE, at, length, data, null));
          System.arraycopy(data, 0, model, at, length);
        }
      }
    }
  }

  /**
   * The file system below is full. The device takes writes into the page cache and loses them,
   * which it says once; no flush succeeds any more (B5), until the store is opened anew with room
   * below.
   */
  @Test
  void shouldNotForgetThatWritesWereLost() throws Exception {
    Path mount = Files.createDirectory(dir.resolve("small"));
    assumeTrue("root".equals(System.getProperty("user.name")), "requires root to mount a tmpfs");
    LoopDevice.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount.toString());
    try (LoopDevice loop = LoopDevice.create(mount.resolve("disk"), SIZE)) {
      RecordingSink sink = new RecordingSink(null);
      byte[] data = new byte[3 << 20];
      new Random(SEED).nextBytes(data);
      try (FileBackingStore store = FileBackingStore.open(loop.device(), SIZE, false);
          TapExport export = export(store, sink);
          NbdServer server = serve(export);
          NbdTestClient client = connect(server)) {
        assertEquals(0, client.write(0, new byte[4096]));
        assertEquals(0, client.flush());
        assertEquals(1, sink.flushes());
        assertEquals(0, client.write(0, data), "into the page cache");
        for (int i = 0; i < 3; i++) {
          assertNotEquals(0, client.flush(), "flush " + i);
        }
        int fua = client.call(Nbd.CMD_FLAG_FUA, Nbd.CMD_WRITE, 0, 512, new byte[512], null);
        assertNotEquals(0, fua);
        assertEquals(1, sink.flushes(), "capture is told of no flush that failed");
        assertEquals(0, client.read(0, new byte[512]), "it still serves");
        sink.releaseAll();
      }
      LoopDevice.run("mount", "-o", "remount,size=16m", mount.toString());
      try (FileBackingStore store = FileBackingStore.open(loop.device(), SIZE, false)) {
        store.write(ByteBuffer.wrap(data), 0);
        store.sync();
      }
      byte[] below = Arrays.copyOf(Files.readAllBytes(loop.file()), data.length);
      assertArrayEquals(data, below);
    } finally {
      LoopDevice.run("umount", mount.toString());
    }
  }

  /** Detached while it serves: it goes on until it is closed. Gone: errors, no hang, no fiction. */
  @Test
  void shouldReportADeviceThatIsGone() throws Exception {
    RecordingSink sink = new RecordingSink(null);
    LoopDevice loop = LoopDevice.create(dir.resolve("disk"), SIZE);
    try (loop;
        FileBackingStore store = FileBackingStore.open(loop.device(), SIZE, false);
        TapExport export = export(store, sink);
        NbdServer server = serve(export);
        NbdTestClient client = connect(server)) {
      LoopDevice.run("losetup", "-d", loop.device().toString());
      assertEquals(0, client.write(0, new byte[] {1, 2, 3}));
      assertEquals(0, client.flush());
      loop.resize(0);
      assertEquals(NbdError.EIO.code(), client.read(0, new byte[512]));
      assertNotEquals(0, client.write(0, new byte[512]));
      assertEquals(1, sink.failures());
      assertNotEquals(0, client.zero(0, 8192));
      assertEquals(2, sink.failures());
      sink.releaseAll();
    }
    awaitTrue(() -> !loop.attached(), "the tap keeps no device that it does not serve");
  }

  private static void awaitTrue(Callable<Boolean> condition, String what) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < deadline, what);
      LockSupport.parkNanos(5_000_000);
    }
  }

  /** The medium fails: EIO for reads and flushes while it does, through a device that fails. */
  @Test
  void shouldReportAMediumThatFails() throws Exception {
    for (String tool : List.of("nbdfuse", "nbdkit", "fusermount3")) {
      assumeTrue(
          java.util.stream.Stream.of(System.getenv("PATH").split(":"))
              .anyMatch(path -> Files.isExecutable(Path.of(path, tool))),
          "requires " + tool);
    }
    Path disk = Files.createFile(dir.resolve("fuse"));
    Path fails = dir.resolve("fails");
    Process fuse =
        new ProcessBuilder(
                List.of(
                    "nbdfuse",
                    disk.toString(),
                    "[",
                    "nbdkit",
                    "--exit-with-parent",
                    "--filter=error",
                    "memory",
                    Integer.toString(SIZE),
                    "error=EIO",
                    "error-pwrite-rate=1",
                    "error-pread-rate=1",
                    "error-file=" + fails,
                    "]"))
            .redirectErrorStream(true)
            .redirectOutput(dir.resolve("fuse.log").toFile())
            .start();
    try {
      awaitTrue(() -> Files.size(disk) > 0 || !fuse.isAlive(), "nbdfuse serves");
      assertTrue(fuse.isAlive(), Files.readString(dir.resolve("fuse.log")));
      try (LoopDevice loop = LoopDevice.create(disk, SIZE);
          FileBackingStore store = FileBackingStore.open(loop.device(), SIZE, false);
          TapExport export = export(store, new RecordingSink(null));
          NbdServer server = serve(export);
          NbdTestClient client = connect(server)) {
        assertEquals(0, client.write(0, new byte[4096]));
        assertEquals(0, client.flush());
        Files.createFile(fails);
        assertEquals(NbdError.EIO.code(), client.read(2 << 20, new byte[512]));
        assertEquals(0, client.write(4096, new byte[4096]), "a whole page: none is read");
        assertEquals(NbdError.EIO.code(), client.flush());
        Files.delete(fails);
        assertEquals(0, client.read(2 << 20, new byte[512]), "well again");
        assertEquals(NbdError.EIO.code(), client.flush(), "but writes were lost (B5)");
      }
    } finally {
      if (fuse.isAlive()) {
        LoopDevice.run("fusermount3", "-u", disk.toString());
      }
      assertTrue(fuse.waitFor(20, TimeUnit.SECONDS), "nbdfuse ends");
    }
  }
}
