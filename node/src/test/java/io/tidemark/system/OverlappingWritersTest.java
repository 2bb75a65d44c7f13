package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Several connections write over one another; every position is checked, not a sample. */
class OverlappingWritersTest {
  private static final String VOLUME = "overlap";
  private static final int VOLUME_BYTES = 256 << 10;
  private static final int SECTOR = 512;
  private static final int WRITERS = 4;
  private static final int WRITES = 60;
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  /**
   * One write as its writer saw it.
   *
   * @param submitted nanoseconds before it was sent
   * @param replied nanoseconds after it was answered
   */
  private record Write(int from, byte[] data, long submitted, long replied) {}

  /**
   * J1: each image differs from the one before by exactly one write, each write appears once, and a
   * write submitted after another's reply comes after it. J2: the last one is the backing store.
   */
  @Test
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  void shouldOrderOverlappingWritesAsTheBackingStoreDid(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path backing = directory.resolve("overlap.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    try (TestSite site = new TestSite(directory.resolve("site"));
        TestSite.TestTap tap = site.tap(VOLUME, backing)) {
      site.start();
      site.client.createVolume(VOLUME, VOLUME_BYTES);
      tap.start();
      tap.awaitServed();
      List<Write> writes = write(tap.uri());
      Await.until(
          "everything is journaled",
          Duration.ofSeconds(30),
          () -> site.client.head(VOLUME) == writes.size());
      checkEveryPosition(site, writes);
      assertArrayEquals(
          Files.readAllBytes(backing),
          PhaseCheck.read(site, VOLUME, "latest", writes.size()),
          "image(head) is the backing store");
    }
  }

  private static List<Write> write(String uri) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
    try {
      List<Future<List<Write>>> running = new ArrayList<>();
      for (int i = 0; i < WRITERS; i++) {
        long seed = SEED + i;
        byte writer = (byte) (i + 1);
        running.add(threads.submit(() -> writeSome(uri, seed, writer)));
      }
      List<Write> all = new ArrayList<>();
      for (Future<List<Write>> one : running) {
        all.addAll(one.get(60, TimeUnit.SECONDS));
      }
      return all;
    } finally {
      threads.shutdownNow();
    }
  }

  private static List<Write> writeSome(String uri, long seed, byte writer) throws Exception {
    Random random = new Random(seed);
    List<Write> mine = new ArrayList<>();
    try (NbdClient client = NbdClient.connect(NbdUri.parse(uri))) {
      for (int i = 0; i < WRITES; i++) {
        int sectors = 1 + random.nextInt(random.nextInt(4) == 0 ? VOLUME_BYTES / SECTOR : 32);
        int from = random.nextInt(VOLUME_BYTES / SECTOR - sectors + 1) * SECTOR;
        byte[] data = new byte[sectors * SECTOR];
        random.nextBytes(data);
        for (int s = 0; s < data.length; s += SECTOR) {
          data[s] = writer;
        }
        long submitted = System.nanoTime();
        client.write(from, ByteBuffer.wrap(data));
        mine.add(new Write(from, data, submitted, System.nanoTime()));
      }
    }
    return mine;
  }

  private static void checkEveryPosition(TestSite site, List<Write> writes) throws Exception {
    List<Write> left = new ArrayList<>(writes);
    left.sort(Comparator.comparingLong(Write::submitted));
    byte[] state = new byte[VOLUME_BYTES];
    long newestSubmission = Long.MIN_VALUE;
    String lastTime = "";
    for (int seq = 1; seq <= writes.size(); seq++) {
      byte[] image = PhaseCheck.read(site, VOLUME, "seq:" + seq, seq);
      Write write = explain(state, image, left, seq);
      left.remove(write);
      assertTrue(
          write.replied > newestSubmission,
          "write %d was answered before one with a lower seq was submitted".formatted(seq));
      newestSubmission = Math.max(newestSubmission, write.submitted);
      state = image;
      JsonNode point = site.client.point(VOLUME, "seq:" + seq).orFail();
      String time = point.at("/at/time").asText();
      assertTrue(time.compareTo(lastTime) != 0, "two writes share the time " + time);
      lastTime = time;
      JsonNode byTime = site.client.point(VOLUME, "time:" + time).orFail();
      assertEquals(seq, byTime.at("/at/seq").asLong(), "the moment " + time);
    }
  }

  private static Write explain(byte[] before, byte[] after, List<Write> left, int seq) {
    for (Write write : left) {
      byte[] expected = before.clone();
      System.arraycopy(write.data, 0, expected, write.from, write.data.length);
      if (Arrays.equals(expected, after)) {
        return write;
      }
    }
    throw new AssertionError(
        "no single write explains the step from %d to %d".formatted(seq - 1, seq));
  }
}
