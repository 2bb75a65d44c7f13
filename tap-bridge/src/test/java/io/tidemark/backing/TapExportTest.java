package io.tidemark.backing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.capture.CaptureSink;
import io.tidemark.nbd.MemoryExport;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.NbdTestClient;
import io.tidemark.nbd.connection.Frames;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The protected volume over real sockets on a real file, with a capture that keeps accounts. */
class TapExportTest {
  private static final int SIZE = 1 << 20;
  @TempDir Path dir;
  private Path file;

  @BeforeEach
  void createFile() throws IOException {
    file = dir.resolve("disk");
    try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
      made.setLength(SIZE);
    }
  }

  private static NbdServer serve(TapExport export) {
    return NbdServer.start(
        NbdListenAddress.parse("127.0.0.1:0"),
        MemoryExport.exports(export),
        NbdServerSettings.defaults());
  }

  private static NbdTestClient connect(NbdServer server) throws IOException {
    return NbdTestClient.connect(server.addresses().get(0), "v");
  }

  private static TapExport export(BackingStore store, CaptureSink sink) {
    return new TapExport("v", "", SIZE, false, store, sink);
  }

  /** What several clients write over each other is explained by the order that capture heard. */
  private void overlapping(RecordingSink sink) throws Exception {
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("TapExportTest.overlapping seed " + seed);
    int clients = 4;
    int rounds = 400;
    try (FileBackingStore store = FileBackingStore.open(file, SIZE, false);
        TapExport export = export(store, sink);
        NbdServer server = serve(export)) {
      ExecutorService threads = Executors.newFixedThreadPool(clients);
      List<Future<?>> done = new ArrayList<>();
      for (int c = 0; c < clients; c++) {
        Random random = new Random(seed + c);
        done.add(
            threads.submit(
                () -> {
                  try (NbdTestClient client = connect(server)) {
                    for (int i = 0; i < rounds; i++) {
                      changePipelined(client, random);
                    }
                    assertEquals(0, client.flush());
                  }
                  return null;
                }));
      }
      for (Future<?> one : done) {
        one.get(60, TimeUnit.SECONDS);
      }
      threads.shutdown();
      assertEquals(clients * rounds * 4, sink.changes(), "one change for each request");
      assertEquals(0, sink.failures());
      assertTrue(sink.flushes() > 0);
      sink.releaseAll();
      assertArrayEquals(sink.replay(SIZE), Files.readAllBytes(file), "seed " + seed);
    }
  }

  /** Four changes in flight at once in a region of 300 KB that everybody uses. */
  private static void changePipelined(NbdTestClient client, Random random) throws IOException {
    Frames frames = new Frames();
    for (int i = 0; i < 4; i++) {
      int length = 1 + random.nextInt(random.nextInt(8) == 0 ? 100_000 : 3000);
      int at = 200_000 + random.nextInt(300_000 - length);
      int flags = random.nextInt(40) == 0 ? Nbd.CMD_FLAG_FUA : 0;
      switch (random.nextInt(6)) {
        case 0 -> frames.request(flags, Nbd.CMD_TRIM, i, at, length);
        case 1 -> frames.request(flags | 2, Nbd.CMD_WRITE_ZEROES, i, at, length);
        default -> {
          byte[] data = new byte[length];
          random.nextBytes(data);
          frames.request(flags, Nbd.CMD_WRITE, i, at, length).raw(data);
        }
      }
    }
    client.send(frames);
    int answered = 0;
    for (int i = 0; i < 4; i++) {
      assertEquals(Nbd.SIMPLE_REPLY_MAGIC, client.in().readInt());
      assertEquals(0, client.in().readInt());
      answered |= 1 << client.in().readLong();
    }
    assertEquals(15, answered);
  }

  @Test
  void shouldTellCaptureTheOrderOfTheBackingStore() throws Exception { // B1, J1, C1
    overlapping(new RecordingSink(null));
  }

  @Test
  void shouldKeepTheOrderInSyncMode() throws Exception {
    ExecutorService journal = Executors.newFixedThreadPool(2);
    overlapping(new RecordingSink(journal));
    journal.shutdown();
  }

  /** A model fed with the same requests agrees with every read. */
  @Test
  void shouldBehaveAsADisk() throws Exception {
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("TapExportTest.shouldBehaveAsADisk seed " + seed);
    Random random = new Random(seed);
    byte[] model = new byte[SIZE];
    RecordingSink sink = new RecordingSink(null);
    try (FileBackingStore store = FileBackingStore.open(file, SIZE, false);
        TapExport export = export(store, sink);
        NbdServer server = serve(export);
        NbdTestClient client = connect(server)) {
      for (int i = 0; i < 3000; i++) {
        int length = 1 + random.nextInt(random.nextInt(10) == 0 ? 300_000 : 9000);
        int at = random.nextInt(SIZE - length);
        switch (random.nextInt(5)) {
          case 0 -> {
            assertEquals(0, client.trim(at, length));
            Arrays.fill(model, at, at + length, (byte) 0);
          }
          case 1 -> {
            assertEquals(0, client.zero(at, length));
            Arrays.fill(model, at, at + length, (byte) 0);
          }
          case 2 -> {
            byte[] back = new byte[length];
            assertEquals(0, client.read(at, back));
            assertArrayEquals(Arrays.copyOfRange(model, at, at + length), back, "seed " + seed);
          }
          default -> {
            byte[] data = new byte[length];
            random.nextBytes(data);
            assertEquals(0, client.write(at, data));
            System.arraycopy(data, 0, model, at, length);
          }
        }
      }
      sink.releaseAll();
    }
    assertArrayEquals(model, Files.readAllBytes(file));
  }

  @Test
  void shouldReportWhatTheBackingStoreRefuses() throws Exception { // B2
    RecordingSink sink = new RecordingSink(null);
    try (FaultyStore store = new FaultyStore(FileBackingStore.open(file, SIZE, false));
        TapExport export = export(store, sink);
        NbdServer server = serve(export);
        NbdTestClient client = connect(server)) {
      store.writes = NbdError.ENOSPC;
      assertEquals(NbdError.ENOSPC.code(), client.write(0, new byte[100]));
      assertEquals(NbdError.ENOSPC.code(), client.zero(0, 100));
      store.writes = NbdError.EIO;
      assertEquals(NbdError.EIO.code(), client.trim(0, 100));
      assertEquals(3, sink.failures());
      store.writes = null;
      store.reads = NbdError.EIO;
      assertEquals(NbdError.EIO.code(), client.read(0, new byte[100]));
      store.reads = null;
      store.syncs = NbdError.EIO;
      assertEquals(NbdError.EIO.code(), client.flush());
      int fua = client.call(Nbd.CMD_FLAG_FUA, Nbd.CMD_WRITE, 0, 4, new byte[4], null);
      assertEquals(NbdError.EIO.code(), fua);
      store.syncs = null;
      assertEquals(0, sink.flushes(), "nothing was synced yet");
      assertEquals(0, client.flush());
      assertEquals(0, client.write(0, new byte[4]));
      sink.refuseMarks = true;
      assertEquals(NbdError.EIO.code(), client.write(0, new byte[4]));
      assertEquals(NbdError.EIO.code(), client.trim(0, 4));
      assertEquals(3, sink.failures(), "a change that was never begun is not reported failed");
      sink.refuseMarks = false;
      store.slowZeroes = true;
      int fast = client.call(Nbd.CMD_FLAG_FAST_ZERO, Nbd.CMD_WRITE_ZEROES, 0, 4, null, null);
      assertEquals(NbdError.ENOTSUP.code(), fast);
      assertEquals(0, client.zero(0, 4));
      sink.releaseAll();
    }
  }

  /** A file that shrinks under the tap gives EIO, not a hang or made-up bytes. */
  @Test
  void shouldReportATruncatedFile() throws Exception {
    try (FileBackingStore store = FileBackingStore.open(file, SIZE, false);
        TapExport export = export(store, CaptureSink.none());
        NbdServer server = serve(export);
        NbdTestClient client = connect(server)) {
      try (RandomAccessFile shrunk = new RandomAccessFile(file.toFile(), "rw")) {
        shrunk.setLength(SIZE / 2);
      }
      assertEquals(NbdError.EIO.code(), client.read(SIZE - 100, new byte[100]));
      assertEquals(0, client.read(0, new byte[100]));
    }
  }

  @Test
  void shouldServeOnlyTheVolume() throws Exception {
    try (FileBackingStore store = FileBackingStore.open(file, SIZE, false);
        TapExport export = new TapExport("v", "", 512, false, store, CaptureSink.none());
        NbdServer server = serve(export);
        NbdTestClient client = connect(server)) {
      assertEquals(512, client.size());
      assertEquals(NbdError.ENOSPC.code(), client.write(512, new byte[1]));
      assertEquals(NbdError.EINVAL.code(), client.read(511, new byte[2]));
    }
  }

  @Test
  void shouldRefuseWhatCannotHoldTheVolume() throws IOException {
    assertEquals(ErrorCode.INVALID, refused(() -> FileBackingStore.open(file, SIZE + 1, false)));
    assertEquals(
        ErrorCode.NOT_FOUND, refused(() -> FileBackingStore.open(dir.resolve("x"), 1, false)));
    assertEquals(ErrorCode.INVALID, refused(() -> FileBackingStore.open(dir, 1, false)));
    try (FileBackingStore store = FileBackingStore.open(file, SIZE, false)) {
      assertEquals(
          ErrorCode.INVALID,
          refused(() -> new TapExport("v", "", 1000, false, store, CaptureSink.none()).close()));
      assertEquals(
          ErrorCode.INVALID,
          refused(
              () -> new TapExport("v", "", SIZE * 2L, false, store, CaptureSink.none()).close()));
    }
  }

  private static ErrorCode refused(org.junit.jupiter.api.function.Executable act) {
    return assertThrows(Refusal.class, act).code();
  }

  /** B3, and sparse stays sparse: a trimmed range gives its space back. */
  @Test
  void shouldKeepTheFileSparse() throws IOException {
    try (FileBackingStore store = FileBackingStore.open(file, SIZE, false)) {
      ByteRange all = new ByteRange(0, SIZE);
      assertEquals(List.of(new Allocation(SIZE, true, true)), store.allocation(all, 10));
      store.write(ByteBuffer.wrap(new byte[8192]), 65_536);
      List<Allocation> runs =
          List.of(
              new Allocation(65_536, true, true),
              new Allocation(8192, false, false),
              new Allocation(SIZE - 65_536 - 8192, true, true));
      assertEquals(runs, store.allocation(all, 10));
      assertEquals(runs.subList(0, 2), store.allocation(all, 2));
      store.prefetch(all);
      store.write(ByteBuffer.wrap(new byte[] {1, 2, 3, 4}), 65_536);
      store.zero(new ByteRange(65_537, 2), false);
      ByteBuffer back = ByteBuffer.allocate(4);
      store.read(back, 65_536);
      assertArrayEquals(new byte[] {1, 0, 0, 4}, back.array());
      store.zero(new ByteRange(65_536, 8192), false);
      assertEquals(List.of(new Allocation(SIZE, true, true)), store.allocation(all, 10));
      store.sync();
    }
  }

  /** A full file system answers ENOSPC; a small tmpfs is the real thing, where one can be made. */
  @Test
  void shouldReportAFullFileSystem() throws Exception {
    Path mount = Files.createDirectory(dir.resolve("small"));
    org.junit.jupiter.api.Assumptions.assumeTrue(
        run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount.toString()) == 0,
        "mount: tmpfs cannot be mounted here");
    try {
      Path small = mount.resolve("disk");
      try (RandomAccessFile made = new RandomAccessFile(small.toFile(), "rw")) {
        made.setLength(SIZE);
      }
      RecordingSink sink = new RecordingSink(null);
      try (FileBackingStore store = FileBackingStore.open(small, SIZE, false);
          TapExport export = export(store, sink);
          NbdServer server = serve(export);
          NbdTestClient client = connect(server)) {
        assertEquals(0, client.write(0, new byte[100_000]));
        assertEquals(NbdError.ENOSPC.code(), client.write(200_000, new byte[400_000]));
        assertEquals(1, sink.failures());
        assertEquals(0, client.trim(0, SIZE));
        assertEquals(0, client.write(200_000, new byte[100_000]), "room again after a trim");
        sink.releaseAll();
      }
    } finally {
      assertEquals(0, run("umount", mount.toString()));
    }
  }

  private static int run(String... command) throws IOException, InterruptedException {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .waitFor();
  }
}
