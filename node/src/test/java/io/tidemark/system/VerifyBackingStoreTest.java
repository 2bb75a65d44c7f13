package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A verification compares the journal with the backing store behind a real tap. */
class VerifyBackingStoreTest {
  private static final String VOLUME = "checked";
  private static final int VOLUME_BYTES = (9 << 20) + 512;
  private static final int FLIPPED = 5_000_123;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  @Test
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void shouldCompareWithTheBackingStore(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path backing = directory.resolve("checked.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    try (TestSite site = new TestSite(directory.resolve("site"));
        TestSite.TestTap tap = site.tap(VOLUME, backing)) {
      site.start();
      site.client.createVolume(VOLUME, VOLUME_BYTES);
      assertBackingStore(verify(site), "done", "not compared: no tap is attached");
      tap.start();
      tap.awaitServed();
      long head = write(tap.uri(), 300, new AtomicBoolean());
      Await.until("journaled", LIMIT, () -> site.client.head(VOLUME) == head);
      assertBackingStore(verify(site), "done", "compared, equal at seq:" + head);

      verifyUnderLoad(site, tap);
      flip(backing);
      JsonNode job = verify(site);
      assertBackingStore(job, "failed", "compared, different at seq:");
      assertEquals("CORRUPT", job.at("/error/code").asText(), job.toString());
      assertEquals(
          "the backing store differs from the journal in 4096 bytes at offset "
              + FLIPPED / 4096 * 4096,
          job.at("/result/finding-1").asText(),
          job.toString());
      assertTrue(job.at("/result/finding-2").isMissingNode(), job.toString());
      flip(backing);
      assertBackingStore(verify(site), "done", "compared, equal at seq:");
    }
  }

  /** Whatever is found while clients write, it is never a difference. */
  private static void verifyUnderLoad(TestSite site, TestSite.TestTap tap) throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    ExecutorService writer = Executors.newSingleThreadExecutor();
    long before = site.client.head(VOLUME);
    long written;
    try {
      Future<Long> writing = writer.submit(() -> write(tap.uri(), Integer.MAX_VALUE, stop));
      Await.until("writes go on", LIMIT, () -> site.client.head(VOLUME) > before + 100);
      JsonNode job = verify(site);
      String words = job.at("/result/backingStore").asText();
      System.out.println("under load: " + words);
      assertEquals("done", job.at("/state").asText(), job.toString());
      assertTrue(
          words.startsWith("not compared: the volume is being written")
              || words.startsWith("compared, equal at seq:"),
          words);
      stop.set(true);
      written = writing.get(60, TimeUnit.SECONDS);
    } finally {
      stop.set(true);
      writer.shutdownNow();
    }
    Await.until("journaled", LIMIT, () -> site.client.head(VOLUME) == before + written);
    assertBackingStore(verify(site), "done", "compared, equal at seq:" + (before + written));
  }

  private static long write(String uri, int most, AtomicBoolean stop) throws Exception {
    Random random = new Random(SEED);
    long count = 0;
    try (NbdClient client = NbdClient.connect(NbdUri.parse(uri))) {
      while (count < most && !stop.get()) {
        byte[] data = new byte[512 * (1 + random.nextInt(32))];
        random.nextBytes(data);
        long offset = 512L * random.nextInt((VOLUME_BYTES - data.length) / 512 + 1);
        client.write(offset, ByteBuffer.wrap(data));
        count++;
      }
    }
    return count;
  }

  private static void flip(Path backing) throws Exception {
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.seek(FLIPPED);
      int value = file.read();
      file.seek(FLIPPED);
      file.write(value ^ 0x40);
    }
  }

  private static JsonNode verify(TestSite site) throws Exception {
    String id =
        site.client
            .post("/api/v1/volumes/" + VOLUME + "/verify", SiteClient.object())
            .orFail()
            .at("/id")
            .asText();
    Await.until(
        "the verification ends",
        LIMIT,
        () ->
            !site.client
                .get("/api/v1/jobs/" + id)
                .orFail()
                .at("/state")
                .asText()
                .equals("running"));
    return site.client.get("/api/v1/jobs/" + id).orFail();
  }

  private static void assertBackingStore(JsonNode job, String state, String words) {
    assertEquals(state, job.at("/state").asText(), job.toString());
    String told = job.at("/result/backingStore").asText();
    assertTrue(told.startsWith(words), told);
  }
}
