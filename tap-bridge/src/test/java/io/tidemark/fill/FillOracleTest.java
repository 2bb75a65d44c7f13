package io.tidemark.fill;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.backing.BackingStore;
import io.tidemark.backing.RangeLocks;
import io.tidemark.backing.TapExport;
import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.ContentSource;
import io.tidemark.capture.Payload;
import io.tidemark.journal.ContentRun;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeId;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A store that is filled under clients, with the process killed and the power cut at random: what
 * clients read is at all times what the journal's content and their own writes make (W1 to W5).
 */
class FillOracleTest {
  private static final int SIZE = (6 << 20) + 4096;
  private static final int BLOCK = 64 << 10;
  private static final int ROUNDS = 12;
  private static final VolumeId VOLUME = VolumeId.random();

  @TempDir Path directory;
  private final long seed = Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private final Random random = new Random(seed);
  private final Journal journal = new Journal();
  private final Store store = new Store();

  /** What the journal holds at its head, and hands out. */
  private static final class Journal implements ContentSource, CaptureSink {
    final byte[] content = new byte[SIZE];
    final boolean[] written = new boolean[SIZE];
    volatile boolean gone;
    volatile long delayNanos;
    long fetchedBytes;

    @Override
    public ByteBuffer hashes(ByteRange range, int blockBytes) throws IOException {
      pause();
      ByteBuffer out =
          ByteBuffer.allocate(32 * (int) ((range.length() + blockBytes - 1) / blockBytes));
      synchronized (this) {
        for (long at = range.offset(); at < range.end(); at += blockBytes) {
          int to = (int) Math.min(at + blockBytes, range.end());
          boolean any = false;
          for (int i = (int) at; i < to; i++) {
            any |= written[i];
          }
          out.put(any ? sha256(Arrays.copyOfRange(content, (int) at, to)) : new byte[32]);
        }
      }
      return out.flip();
    }

    @Override
    public ContentRun content(ByteRange range) throws IOException {
      pause();
      synchronized (this) {
        int from = (int) range.offset();
        int to = from;
        while (to < range.end() && !written[to]) {
          to++;
        }
        if (to == range.end()) {
          return ContentRun.zeroes(range.length());
        }
        if (to - from >= BLOCK) {
          return ContentRun.zeroes((to - from) / BLOCK * BLOCK);
        }
        int length = (int) Math.min(range.length(), ContentRun.BYTES_MAX);
        fetchedBytes += length;
        return new ContentRun(
            length, ByteBuffer.wrap(Arrays.copyOfRange(content, from, from + length)));
      }
    }

    private void pause() throws IOException {
      LockSupport.parkNanos(delayNanos);
      if (gone) {
        throw new IOException("no node");
      }
    }

    private static byte[] sha256(byte[] bytes) {
      try {
        return MessageDigest.getInstance("SHA-256").digest(bytes);
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException(e);
      }
    }

    synchronized void put(int offset, byte[] data) {
      System.arraycopy(data, 0, content, offset, data.length);
      Arrays.fill(written, offset, offset + data.length, true);
    }

    @Override
    public void beforeWrite(ByteRange range) {}

    @Override
    public void wrote(ByteRange range, Payload payload, Runnable reply) {
      byte[] data = new byte[payload.length()];
      int at = 0;
      for (ByteBuffer piece : payload.pieces()) {
        int n = piece.remaining();
        piece.duplicate().get(data, at, n);
        at += n;
      }
      put((int) range.offset(), data);
      reply.run();
    }

    @Override
    public void zeroed(ByteRange range, Runnable reply) {
      put((int) range.offset(), new byte[(int) range.length()]);
      reply.run();
    }

    @Override
    public void failed(ByteRange range) {}

    @Override
    public void flushed() {}
  }

  /** A disk that can lose what was not synced; it fails once its process is dead. */
  private static final class Store implements BackingStore {
    byte[] bytes = new byte[SIZE];
    byte[] durable = new byte[SIZE];
    boolean dead;
    boolean holes = true;

    private void alive() throws IOException {
      if (dead) {
        throw new IOException("the process is dead");
      }
    }

    @Override
    public long sizeBytes() {
      return SIZE;
    }

    @Override
    public synchronized void read(ByteBuffer into, long offset) throws IOException {
      alive();
      into.put(bytes, (int) offset, into.remaining());
    }

    @Override
    public synchronized void write(ByteBuffer from, long offset) throws IOException {
      alive();
      from.get(bytes, (int) offset, from.remaining());
    }

    @Override
    public boolean zeroesFast() {
      return true;
    }

    @Override
    public synchronized void zero(ByteRange range, boolean keepAllocated) throws IOException {
      alive();
      Arrays.fill(bytes, (int) range.offset(), (int) range.end(), (byte) 0);
    }

    @Override
    public synchronized void sync() throws IOException {
      alive();
      durable = bytes.clone();
    }

    @Override
    public void prefetch(ByteRange range) {}

    @Override
    public synchronized List<Allocation> allocation(ByteRange range, int runsMax)
        throws IOException {
      alive();
      int to = (int) range.offset();
      while (holes && to < range.end() && bytes[to] == 0) {
        to++;
      }
      long hole = (to - range.offset()) / 4096 * 4096;
      return List.of(
          hole > 0
              ? new Allocation(hole, true, true)
              : new Allocation(range.length(), false, false));
    }

    @Override
    public void close() {}
  }

  /** One life of a tap. */
  private final class Life implements AutoCloseable {
    final RangeLocks locks = new RangeLocks();
    final Filler filler;
    final TapExport tap;
    final FillExport export;

    Life(FillMap map, long rate) {
      filler = new Filler("v", SIZE, map, directory, store, locks, journal, rate);
      tap = new TapExport("v", "", SIZE, false, store, new FillSink(journal, filler), locks);
      export = new FillExport(tap, filler);
      filler.start();
    }

    @Override
    public void close() {
      filler.close();
      export.close();
      tap.close();
    }
  }

  private byte[] random(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  private void fillJournal(int extents) {
    for (int i = 0; i < extents; i++) {
      int length = 512 * (1 + random.nextInt(400));
      journal.put(512 * random.nextInt((SIZE - length) / 512), random(length));
    }
  }

  private static void await(String what, BooleanSupplier condition) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, what);
      LockSupport.parkNanos(1_000_000);
    }
  }

  private void request(Life life) throws Exception {
    int length = 512 * (1 + random.nextInt(random.nextInt(8) == 0 ? 600 : 20));
    int offset = 512 * random.nextInt((SIZE - length) / 512 + 1);
    switch (random.nextInt(5)) {
      case 0, 1 -> TestRequest.write(life.export, offset, random(length));
      case 2 -> TestRequest.zero(life.export, offset, length);
      default ->
          assertArrayEquals(
              Arrays.copyOfRange(journal.content, offset, offset + length),
              TestRequest.read(life.export, offset, length),
              () -> "at %d + %d, seed %d".formatted(offset, length, seed));
    }
  }

  @Test
  void shouldShowTheJournalsContentThroughDeathsAndPowerCuts() throws Exception {
    System.out.println("seed " + seed);
    fillJournal(30);
    byte[] old = random(SIZE / 2); // what the store held before
    System.arraycopy(old, 0, store.bytes, 0, old.length);
    store.durable = store.bytes.clone();
    journal.put(0, Arrays.copyOf(old, 1 << 20)); // and some of it is still right
    journal.delayNanos = 300_000;
    FillMap.begin(directory, VOLUME, 2, SIZE, range -> false).close();
    for (int round = 0; round < ROUNDS; round++) {
      store.dead = false;
      if (!Files.exists(directory.resolve(FillMap.FILE_NAME))) {
        // Filled already: the volume goes on elsewhere and comes back.
        int at = random.nextInt(SIZE / 2);
        journal.put(at, random(SIZE / 2));
        FillMap.begin(directory, VOLUME, 3 + round, SIZE, range -> false).close();
      }
      Life life = new Life(FillMap.open(directory).orElseThrow(), 1 << 20);
      for (int i = random.nextInt(40); i >= 0; i--) {
        request(life);
      }
      boolean power = random.nextBoolean();
      if (power) {
        TestRequest.flush(life.export);
        if (random.nextBoolean()) {
          TestRequest.read(life.export, BLOCK * random.nextInt(SIZE / BLOCK), 512);
        }
      }
      store.dead = true;
      life.close();
      if (power) {
        store.bytes = store.durable.clone();
        Files.deleteIfExists(directory.resolve(FillMap.RECENT_NAME));
      }
    }
    store.dead = false;
    journal.delayNanos = 0;
    if (!Files.exists(directory.resolve(FillMap.FILE_NAME))) {
      FillMap.begin(directory, VOLUME, 99, SIZE, range -> false).close();
    }
    try (Life life = new Life(FillMap.open(directory).orElseThrow(), 0)) {
      await("it is filled, seed " + seed, life.filler::done);
      assertEquals(0, life.filler.unfilledBytes());
      assertArrayEquals(journal.content, store.bytes, "seed " + seed);
      request(life);
    }
    assertFalse(Files.exists(directory.resolve(FillMap.FILE_NAME)));
    assertFalse(Files.exists(directory.resolve(FillMap.RECENT_NAME)));
  }

  /** Equal blocks are not fetched; what differs and may be nowhere else is kept, once. */
  @Test
  void shouldFetchWhatDiffersAndKeepWhatIsNowhereElse() throws Exception {
    byte[] same = random(SIZE);
    journal.put(0, same);
    store.bytes = same.clone();
    int differing = 3 * BLOCK;
    int unjournaled = 70 * BLOCK;
    byte[] older = random(BLOCK);
    byte[] only = random(1000);
    System.arraycopy(older, 0, store.bytes, differing, BLOCK);
    System.arraycopy(only, 0, store.bytes, unjournaled + 5, only.length);
    FillMap map = FillMap.begin(directory, VOLUME, 4, SIZE, range -> range.offset() >= 64 * BLOCK);
    try (Life life = new Life(map, 0)) {
      await("it is filled", life.filler::done);
    }
    assertArrayEquals(same, store.bytes);
    assertEquals(2 * BLOCK, journal.fetchedBytes);
    byte[] kept = Files.readAllBytes(directory.resolve(KeptContent.fileName(4)));
    assertArrayEquals(only, Arrays.copyOfRange(kept, unjournaled + 5, unjournaled + 5 + 1000));
    assertArrayEquals(new byte[BLOCK], Arrays.copyOfRange(kept, differing, differing + BLOCK));
  }

  /** A client's overwriting takes the place of filling, but not of keeping. */
  @Test
  void shouldKeepBeforeAClientOverwrites() throws Exception {
    store.bytes = random(SIZE);
    byte[] before = store.bytes.clone();
    store.holes = false;
    journal.put(0, random(SIZE));
    try (Life life = new Life(FillMap.begin(directory, VOLUME, 2, SIZE, range -> true), 1)) {
      int at = 50 * BLOCK;
      TestRequest.write(life.export, at, random(2 * BLOCK));
      byte[] kept = Files.readAllBytes(directory.resolve(KeptContent.fileName(2)));
      assertArrayEquals(
          Arrays.copyOfRange(before, at, at + 2 * BLOCK),
          Arrays.copyOfRange(kept, at, at + 2 * BLOCK));
    }
  }

  /** Without a node what is filled is served, the rest waits for the node. */
  @Test
  void shouldServeWhatIsFilledWithoutANode() throws Exception {
    journal.put(0, random(SIZE));
    try (Life life = new Life(FillMap.begin(directory, VOLUME, 2, SIZE, range -> false), 1)) {
      TestRequest.read(life.export, 90 * BLOCK, 512);
      journal.gone = true;
      assertArrayEquals(
          Arrays.copyOfRange(journal.content, 90 * BLOCK, 90 * BLOCK + 4096),
          TestRequest.read(life.export, 90 * BLOCK, 4096));
      TestRequest.write(life.export, 40 * BLOCK, random(BLOCK)); // whole: needs nothing
      Thread back =
          new Thread(
              () -> {
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(300));
                journal.gone = false;
              });
      back.start();
      assertArrayEquals(
          Arrays.copyOfRange(journal.content, 80 * BLOCK, 80 * BLOCK + 512),
          TestRequest.read(life.export, 80 * BLOCK, 512));
      back.join();
    }
  }

  /** A map of another epoch is a new one; that of the same goes on, and damage is not believed. */
  @Test
  void shouldBeginAnewInAnotherEpoch() throws Exception {
    try (FillMap map = FillMap.begin(directory, VOLUME, 2, SIZE, range -> true)) {
      map.fill(new ByteRange(0, 2 * BLOCK));
      map.commit(() -> {});
      map.kept(new ByteRange(BLOCK, 4 * BLOCK));
    }
    try (FillMap map = FillMap.begin(directory, VOLUME, 2, SIZE, range -> true)) {
      assertEquals(SIZE / BLOCK * BLOCK + BLOCK - 2 * BLOCK, map.unfilledBytes());
      assertFalse(map.keeps(new ByteRange(BLOCK, 4 * BLOCK)));
      assertTrue(map.keeps(new ByteRange(BLOCK, 5 * BLOCK)));
    }
    // What was filled may have been written since; what was not holds what it held before.
    try (FillMap map = FillMap.begin(directory, VOLUME, 3, SIZE, range -> range.offset() == 0)) {
      assertFalse(map.filled(new ByteRange(0, 1)));
      assertTrue(map.keeps(new ByteRange(0, 1)));
      assertFalse(map.keeps(new ByteRange(BLOCK, 4 * BLOCK)));
      assertTrue(map.keeps(new ByteRange(5 * BLOCK, 1)));
    }
    byte[] file = Files.readAllBytes(directory.resolve(FillMap.FILE_NAME));
    file[30] ^= 1;
    Files.write(directory.resolve(FillMap.FILE_NAME), file);
    assertThrows(IOException.class, () -> FillMap.open(directory));
  }
}
