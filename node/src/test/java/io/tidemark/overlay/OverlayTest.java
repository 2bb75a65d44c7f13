package io.tidemark.overlay;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OverlayTest {
  private static final int SIZE = 300 * 1024 + 512;
  private static final int SECTOR = 512;

  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final ExecutorService io = Executors.newFixedThreadPool(4);
  private final byte[] base = new byte[SIZE];
  private final OverlayBase identity = new OverlayBase(VolumeId.random(), new WriteSeq(7), SIZE);
  @TempDir Path scratch;

  OverlayTest() {
    System.out.println("OverlayTest -Dtidemark.seed=" + seed);
    random.nextBytes(base);
  }

  @AfterEach
  void stop() throws InterruptedException {
    io.shutdown();
    assertTrue(io.awaitTermination(30, TimeUnit.SECONDS));
  }

  private Overlay open(Path directory, boolean mustExist) throws IOException {
    return Overlay.open(
        directory,
        identity,
        mustExist,
        (offset, length) ->
            CompletableFuture.supplyAsync(
                () -> ByteBuffer.wrap(base, (int) offset, length).slice().asReadOnlyBuffer(), io),
        io);
  }

  private static void await(java.util.concurrent.CompletionStage<?> stage) {
    stage.toCompletableFuture().orTimeout(60, TimeUnit.SECONDS).join();
  }

  private static byte[] read(Overlay overlay, int offset, int length) {
    ByteBuffer into = ByteBuffer.allocateDirect(length);
    await(overlay.read(into, offset));
    assertEquals(0, into.position());
    byte[] bytes = new byte[length];
    into.get(bytes);
    return bytes;
  }

  private static byte[] all(Overlay overlay) {
    return read(overlay, 0, SIZE);
  }

  private ByteRange randomRange(int granule) {
    int offset = random.nextInt(SIZE / granule) * granule;
    int lengthMax = random.nextInt(4) == 0 ? SIZE - offset : Math.min(SIZE - offset, 12 * 1024);
    int length = Math.max(granule, random.nextInt(lengthMax + 1) / granule * granule);
    return new ByteRange(offset, Math.min(length, SIZE - offset));
  }

  /** One random change of the overlay and of the model alike. */
  private void change(Overlay overlay, byte[] model, int granule) {
    ByteRange range = randomRange(granule);
    int from = (int) range.offset();
    int to = (int) range.end();
    if (random.nextInt(3) > 0) {
      byte[] data = new byte[to - from];
      random.nextBytes(data);
      int cut = random.nextInt(data.length);
      await(
          overlay.write(
              from,
              List.of(
                  ByteBuffer.wrap(data, 0, cut), ByteBuffer.wrap(data, cut, data.length - cut))));
      System.arraycopy(data, 0, model, from, data.length);
    } else {
      await(overlay.zero(range, random.nextInt(4) == 0));
      Arrays.fill(model, from, to, (byte) 0);
    }
  }

  /** Whatever is written at whatever alignment reads back as in a plain array. */
  @Test
  void shouldReadBackLikeAPlainArrayAcrossReopening() throws IOException {
    byte[] model = base.clone();
    Overlay overlay = open(scratch.resolve("image"), false);
    for (int i = 0; i < 600; i++) {
      change(overlay, model, random.nextBoolean() ? 1 : SECTOR);
      ByteRange range = randomRange(1);
      assertArrayEquals(
          Arrays.copyOfRange(model, (int) range.offset(), (int) range.end()),
          read(overlay, (int) range.offset(), (int) range.length()),
          "seed " + seed + " step " + i);
      if (i % 60 == 59) {
        overlay.close();
        overlay = open(scratch.resolve("image"), true);
        assertArrayEquals(model, all(overlay), "seed " + seed + " step " + i);
      }
    }
    overlay.close();
  }

  private record Files2(byte[] data, byte[] map) {}

  private static Files2 files(Path directory) throws IOException {
    return new Files2(
        Files.readAllBytes(directory.resolve(Overlay.DATA_FILE)),
        Files.readAllBytes(directory.resolve(Overlay.MAP_FILE)));
  }

  /**
   * Power loss: of what was written to the files after the last sync, any part may be there. Every
   * sector then holds what it held at the last completed flush, or something written since.
   */
  @Test
  void shouldKeepEverythingFlushedAfterPowerLoss() throws IOException {
    for (int round = 0; round < 25; round++) {
      Path live = scratch.resolve("live" + round);
      Overlay overlay = open(live, false);
      byte[] model = base.clone();
      for (int flushes = 0; flushes < 4; flushes++) {
        List<byte[]> since = new ArrayList<>();
        Files2 synced = files(live);
        since.add(model.clone());
        int changes = 1 + random.nextInt(12);
        for (int i = 0; i < changes; i++) {
          change(overlay, model, SECTOR);
          since.add(model.clone());
        }
        checkAfterCrash(mixed(synced.data(), files(live).data()), synced.map(), since);
        await(overlay.flush());
        Files2 after = files(live);
        checkAfterCrash(after.data(), torn(synced.map(), after.map()), since);
        checkAfterCrash(after.data(), after.map(), List.of(model));
      }
      overlay.abandon();
    }
  }

  private byte[] mixed(byte[] before, byte[] now) {
    byte[] mixed = before.clone();
    for (int at = 0; at < now.length; at += SECTOR) {
      if (random.nextBoolean()) {
        System.arraycopy(now, at, mixed, at, Math.min(SECTOR, now.length - at));
      }
    }
    return mixed;
  }

  private byte[] torn(byte[] before, byte[] now) {
    int whole = Math.min(before.length, now.length);
    byte[] torn = Arrays.copyOf(now, whole + random.nextInt(now.length - whole + 1));
    if (torn.length > whole && random.nextBoolean()) {
      int from = whole + random.nextInt(torn.length - whole);
      Arrays.fill(torn, from, Math.min(torn.length, from + SECTOR), (byte) 0);
    }
    return torn;
  }

  private void checkAfterCrash(byte[] data, byte[] map, List<byte[]> candidates)
      throws IOException {
    Path crashed = Files.createTempDirectory(scratch, "crashed");
    Files.write(crashed.resolve(Overlay.DATA_FILE), data);
    Files.write(crashed.resolve(Overlay.MAP_FILE), map);
    Overlay overlay = open(crashed, true);
    byte[] found = all(overlay);
    for (int at = 0; at < SIZE; at += SECTOR) {
      int from = at;
      int to = Math.min(SIZE, at + SECTOR);
      assertTrue(
          candidates.stream().anyMatch(c -> Arrays.equals(found, from, to, c, from, to)),
          "seed " + seed + ": sector at " + at + " is neither old nor new");
    }
    // It must go on from there, too.
    byte[] model = found.clone();
    change(overlay, model, SECTOR);
    overlay.close();
    Overlay again = open(crashed, true);
    assertArrayEquals(model, all(again), "seed " + seed);
    again.abandon();
  }

  /** Kill -9: the files are copied while writers and flushers are at work. */
  @Test
  void shouldKeepEverythingFlushedWhenCopiedUnderLoad() throws Exception {
    Path live = scratch.resolve("live");
    Overlay overlay = open(live, false);
    for (int round = 0; round < 20; round++) {
      byte[] data = new byte[64 * 1024];
      random.nextBytes(data);
      int offset = random.nextInt((SIZE - data.length) / SECTOR) * SECTOR;
      await(overlay.write(offset, List.of(ByteBuffer.wrap(data))));
      await(overlay.flush());
      List<CompletableFuture<Void>> load = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        ByteRange elsewhere = randomRange(1);
        if (elsewhere.end() > offset && elsewhere.offset() < offset + data.length) {
          continue;
        }
        byte[] noise = new byte[(int) elsewhere.length()];
        random.nextBytes(noise);
        load.add(
            overlay
                .write(elsewhere.offset(), List.of(ByteBuffer.wrap(noise)))
                .thenCompose(done -> overlay.flush())
                .toCompletableFuture());
      }
      Path copy = Files.createDirectory(scratch.resolve("copy" + round));
      // The map is copied first: what it names was synced to the data file before.
      for (String file : List.of(Overlay.MAP_FILE, Overlay.DATA_FILE)) {
        Files.copy(live.resolve(file), copy.resolve(file), StandardCopyOption.REPLACE_EXISTING);
      }
      Overlay copied = open(copy, true);
      assertArrayEquals(data, read(copied, offset, data.length), "seed " + seed);
      copied.abandon();
      await(CompletableFuture.allOf(load.toArray(CompletableFuture[]::new)));
    }
    overlay.close();
  }

  /** Of concurrent writes over the same blocks, each sector holds one of them whole. */
  @Test
  void shouldOrderOverlappingWrites() throws IOException {
    Overlay overlay = open(scratch.resolve("image"), false);
    for (int round = 0; round < 20; round++) {
      byte[] before = all(overlay);
      List<ByteRange> ranges = new ArrayList<>();
      List<CompletableFuture<Void>> writes = new ArrayList<>();
      for (int i = 1; i <= 40; i++) {
        ByteRange range = randomRange(1);
        byte[] data = new byte[(int) range.length()];
        Arrays.fill(data, (byte) i);
        ranges.add(range);
        writes.add(
            overlay.write(range.offset(), List.of(ByteBuffer.wrap(data))).toCompletableFuture());
      }
      await(CompletableFuture.allOf(writes.toArray(CompletableFuture[]::new)));
      // Requests were made one after the other, so the order of overlapping ones is theirs.
      for (int i = 1; i <= ranges.size(); i++) {
        ByteRange range = ranges.get(i - 1);
        Arrays.fill(before, (int) range.offset(), (int) range.end(), (byte) i);
      }
      assertArrayEquals(before, all(overlay), "seed " + seed + " round " + round);
    }
    overlay.close();
  }

  /** A map of many runs goes over to whole pages and is rewritten before it grows without bound. */
  @Test
  void shouldKeepTheMapSmall() throws IOException {
    long size = 1L << 30;
    OverlayBase large = new OverlayBase(VolumeId.random(), new WriteSeq(1), size);
    BlockMap map = new BlockMap(size / 4096);
    Path file = scratch.resolve("map");
    try (OverlayLog log = OverlayLog.create(file, large, 4096)) {
      for (int flush = 0; flush < 2000; flush++) {
        for (int i = 0; i < 300; i++) {
          long first = (long) (random.nextDouble() * (map.blocks() - 8));
          map.set(
              first,
              1 + random.nextInt(7),
              random.nextBoolean() ? BlockState.DATA : BlockState.ZERO);
        }
        if (log.wantsRewrite()) {
          log.rewrite(OverlayLog.Batch.everything(map));
        } else {
          log.append(OverlayLog.Batch.changes(map));
        }
        assertTrue(log.bytes() < 4 << 20, "log of " + log.bytes() + " bytes");
      }
    }
    BlockMap stored = new BlockMap(size / 4096);
    OverlayLog.open(file, large, 4096, stored).close();
    assertEquals(map.dataBlocks(), stored.dataBlocks());
    for (long block = 0; block < map.blocks(); block++) {
      assertEquals(map.get(block), stored.get(block), "seed " + seed + " block " + block);
    }
  }

  /** Damage that a crash cannot explain is refused rather than served. */
  @Test
  void shouldRefuseDamageInTheMiddle() throws IOException {
    Path directory = scratch.resolve("image");
    Overlay overlay = open(directory, false);
    for (int i = 0; i < 6; i++) {
      await(overlay.write(i * 8192L, List.of(ByteBuffer.wrap(new byte[4096]))));
      await(overlay.flush());
    }
    overlay.close();
    Path map = directory.resolve(Overlay.MAP_FILE);
    byte[] good = Files.readAllBytes(map);
    byte[] bad = good.clone();
    bad[OverlayLog.HEADER_BYTES + OverlayLog.RECORD_HEADER_BYTES + 3] ^= 1;
    Files.write(map, bad);
    Refusal refusal = assertThrows(Refusal.class, () -> open(directory, true));
    assertEquals(ErrorCode.CORRUPT, refusal.code());
    bad = good.clone();
    bad[20] ^= 1;
    Files.write(map, bad);
    assertEquals(
        ErrorCode.CORRUPT, assertThrows(Refusal.class, () -> open(directory, true)).code());
    Files.delete(map);
    assertEquals(
        ErrorCode.CORRUPT, assertThrows(Refusal.class, () -> open(directory, true)).code());
    Files.write(map, good);
    open(directory, true).abandon();
  }
}
