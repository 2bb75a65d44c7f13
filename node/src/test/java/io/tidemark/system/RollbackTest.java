package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A live volume is taken back in place and forth again, through kills of tap and node: its backing
 * store and the journal's head are the point that was asked for, byte for byte (B1, B2, B4).
 */
class RollbackTest {
  private static final String VOLUME = "back";
  private static final int VOLUME_BYTES = (40 << 20) + 512;
  private static final int FILL_BYTES = 24 << 20;
  private static final Duration LIMIT = Duration.ofSeconds(120);
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private final Random random = new Random(SEED);
  private Path backing;
  private TestSite site;
  private TestSite.TestTap tap;

  @Test
  @Timeout(value = 8, unit = TimeUnit.MINUTES)
  void shouldTakeAVolumeBackAndForth(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    backing = directory.resolve("back.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    try (TestSite forked = new TestSite(directory.resolve("site"));
        TestSite.TestTap served = forked.tap(VOLUME, backing)) {
      site = forked;
      tap = served;
      site.start();
      site.client.createVolume(VOLUME, VOLUME_BYTES);
      tap.start();
      tap.awaitServed();
      findTheWriteThatBrokeIt(directory);
      long a = write(false);
      byte[] modelA = Files.readAllBytes(backing);
      long b = write(true);
      byte[] modelB = Files.readAllBytes(backing);

      refuseWhileConnected(a, modelB);
      JsonNode begun = begin("seq:" + a, false);
      assertEquals(b, begun.at("/safety/seq").asLong(), begun.toString());
      JsonNode done = ended(begun.at("/id").asText());
      assertDone(done, a, modelA);
      assertTrue(site.client.head(VOLUME) > b, "history goes on (B1)");
      assertEquals("seq:" + b, done.at("/result/safety").asText());

      undoThroughAKilledTap(b, modelB);
      giveUpWhileTheTapIsAway(a, b, modelB);
      new DrillScenario(site, directory).run();
      goOnAfterAKilledNode(a, modelA);
      turnConnectedClientsOut(b, modelB);
    }
  }

  /** One write among others spoils the first sector: the command line names just that one. */
  private void findTheWriteThatBrokeIt(Path directory) throws Exception {
    if (Shell.run("sh", "-c", "command -v qemu-io").exitCode() != 0) {
      System.out.println("bisect is not tried: there is no qemu-io");
      return;
    }
    long from = site.client.head(VOLUME) + 1;
    long good = writeSectors(1, 12 + random.nextInt(10));
    long bad = good + 1;
    long end = writeSectors(9, random.nextInt(20));
    Path log = directory.resolve("bisect.log");
    String[] command = {
      "bisect",
      VOLUME,
      "--from",
      "seq:" + from,
      "--to",
      "seq:" + end,
      "--node",
      "http://127.0.0.1:" + site.httpPort,
      "--",
      "sh",
      "-c",
      "qemu-io -r -f raw -c 'read -P 1 0 512' \"$TIDEMARK_IMAGE_URI\""
    };
    try (Forked bisect = Forked.start(log, List.of("-Xmx64m"), command)) {
      assertEquals(0, bisect.exitCode(LIMIT.toSeconds()), () -> "see " + log);
    }
    String said = Files.readString(log);
    assertTrue(said.contains("last good  seq " + good + " at "), said);
    assertTrue(said.contains("first bad  seq " + bad + " at "), said);
    assertTrue(site.client.get("/api/v1/images").orFail().isEmpty(), "its images are closed");
  }

  /** Fills the first sector, then others; returns the seq once all is journaled. */
  private long writeSectors(int first, int count) throws Exception {
    long head = site.client.head(VOLUME) + 1 + count;
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      byte[] data = new byte[512];
      Arrays.fill(data, (byte) first);
      client.write(0, ByteBuffer.wrap(data));
      for (int i = 0; i < count; i++) {
        random.nextBytes(data);
        client.write(512L * (1 + random.nextInt(1000)), ByteBuffer.wrap(data));
      }
    }
    Await.until("journaled", LIMIT, () -> site.client.head(VOLUME) == head);
    return head;
  }

  private void refuseWhileConnected(long a, byte[] model) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      SiteClient.Answer refused = post("seq:" + a, false);
      assertEquals(409, refused.status(), refused.toString());
      assertEquals("BUSY", refused.code());
      client.read(0, 512);
    }
    assertArrayEquals(model, Files.readAllBytes(backing));
  }

  /** The safety point of the first rollback; the tap dies in the middle and comes back. */
  private void undoThroughAKilledTap(long b, byte[] model) throws Exception {
    String job = begin("seq:" + b, false).at("/id").asText();
    assertThrows(
        IOException.class,
        () -> NbdClient.connect(NbdUri.parse(tap.uri())).close(),
        "nobody is let in (R2)");
    boolean middle = awaitMiddle(job);
    tap.kill();
    tap.start();
    JsonNode ended = ended(job);
    System.out.println("tap killed " + (middle ? "in the middle" : "late") + ": " + ended);
    assertDone(ended, b, model);
  }

  /**
   * The tap dies in the middle, then the rollback is cancelled: as soon as the tap is back it lets
   * clients in, to a mixture that the safety point undoes (R3, B3).
   */
  private void giveUpWhileTheTapIsAway(long a, long b, byte[] model) throws Exception {
    String job = begin("seq:" + a, false).at("/id").asText();
    boolean middle = awaitMiddle(job);
    tap.kill();
    site.client.send("DELETE", "/api/v1/jobs/" + job, null);
    JsonNode ended = ended(job);
    System.out.println("given up " + (middle ? "in the middle" : "late") + ": " + ended);
    long back = System.nanoTime();
    tap.start();
    tap.awaitServed();
    Duration shut = Duration.ofNanos(System.nanoTime() - back);
    System.out.println("clients were let in " + shut.toMillis() + " ms after the tap's start");
    Await.until(
        "synchronised",
        LIMIT,
        () -> site.client.volume(VOLUME).path("state").asText().equals("Protected"));
    assertDone(ended(begin("seq:" + b, false).at("/id").asText()), b, model);
  }

  private void goOnAfterAKilledNode(long a, byte[] model) throws Exception {
    String job = begin("seq:" + a, false).at("/id").asText();
    boolean middle = awaitMiddle(job);
    site.kill();
    site.start();
    if (middle) {
      JsonNode resumed = site.client.get("/api/v1/jobs").orFail().path(0);
      assertEquals("rollback", resumed.path("kind").asText(), "B4");
      assertDone(ended(resumed.path("id").asText()), a, model);
    } else {
      System.out.println("the rollback was faster than the kill");
    }
  }

  private void turnConnectedClientsOut(long b, byte[] model) throws Exception {
    tap.awaitServed();
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      String job = begin("seq:" + b, true).at("/id").asText();
      assertDone(ended(job), b, model);
      assertThrows(IOException.class, () -> client.read(0, 512), "connect again (R2)");
      assertThrows(IOException.class, () -> client.write(0, ByteBuffer.allocate(512)));
    }
    tap.awaitServed();
  }

  /** Random writes and trims, and a long random fill; returns the seq once all is journaled. */
  private long write(boolean fill) throws Exception {
    long before = site.client.head(VOLUME);
    long count = 0;
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      for (int i = 0; i < 80; i++, count++) {
        int length = 512 * (1 + random.nextInt(random.nextInt(10) == 0 ? 2000 : 40));
        long offset = 512L * random.nextInt((VOLUME_BYTES - length) / 512 + 1);
        if (random.nextInt(4) == 0) {
          client.trim(offset, length);
        } else {
          client.write(offset, ByteBuffer.wrap(bytes(length)));
        }
      }
      for (int at = 0; fill && at < FILL_BYTES; at += 1 << 20, count++) {
        client.write((4L << 20) + at, ByteBuffer.wrap(bytes(1 << 20)));
      }
    }
    long head = before + count;
    Await.until("journaled", LIMIT, () -> site.client.head(VOLUME) == head);
    return head;
  }

  private byte[] bytes(int length) {
    byte[] data = new byte[length];
    random.nextBytes(data);
    return data;
  }

  private SiteClient.Answer post(String at, boolean force) throws Exception {
    return site.client.post(
        "/api/v1/volumes/" + VOLUME + "/rollback",
        SiteClient.object().put("at", at).put("force", force));
  }

  /** Begins, once the tap has noticed that its last client has left. */
  private JsonNode begin(String at, boolean force) throws Exception {
    SiteClient.Answer[] answer = new SiteClient.Answer[1];
    Await.until(
        "the rollback begins",
        LIMIT,
        () -> {
          answer[0] = post(at, force);
          return !answer[0].code().equals("BUSY");
        });
    return answer[0].orFail();
  }

  private JsonNode job(String id) throws Exception {
    return site.client.get("/api/v1/jobs/" + id).orFail();
  }

  private boolean awaitMiddle(String id) throws Exception {
    JsonNode[] job = new JsonNode[1];
    Await.until(
        "the rollback is in the middle",
        LIMIT,
        () -> {
          job[0] = job(id);
          return job[0].path("fraction").asDouble() > 0.1
              || !job[0].path("state").asText().equals("running");
        });
    return job[0].path("state").asText().equals("running");
  }

  private JsonNode ended(String id) throws Exception {
    Await.until(
        "the rollback ends", LIMIT, () -> !job(id).path("state").asText().equals("running"));
    return job(id);
  }

  private void assertDone(JsonNode job, long at, byte[] model) throws Exception {
    assertEquals("done", job.path("state").asText(), job.toString());
    int differs = Arrays.mismatch(model, Files.readAllBytes(backing));
    assertEquals(-1, differs, "the backing store differs from seq:" + at + " at " + differs);
    for (long offset = 0; offset >= 0; ) {
      JsonNode page =
          site.client
              .get(
                  "/api/v1/volumes/%s/compare?from=seq:%d&to=latest&content=true&offset=%d"
                      .formatted(VOLUME, at, offset))
              .orFail();
      assertEquals(0, page.path("bytes").asLong(), page.toString());
      offset = page.path("next").asLong(-1);
    }
    tap.awaitServed();
  }
}
