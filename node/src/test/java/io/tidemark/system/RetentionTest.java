package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The horizon of a short window moves while a client writes, images are open, and Cassandra and the
 * node are killed: every point inside the window, and every one that is held, is exact, byte for
 * byte; what is neither is refused (J8, R1, R2).
 */
class RetentionTest {
  private static final String VOLUME = "window";
  private static final int VOLUME_BYTES = 2 << 20;
  private static final int WRITE_BYTES_MAX = 16 << 10;
  private static final Duration PACE = Duration.ofMillis(8);
  private static final Duration WINDOW = Duration.ofSeconds(8);
  private static final Duration LIMIT = Duration.ofSeconds(180);
  private static final int POINTS = 5;
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  /** One write, which is one seq: a single client waits for each reply. */
  private record Write(int offset, byte[] data, long sentNanos) {}

  private final Random random = new Random(SEED);
  private final List<Write> writes = Collections.synchronizedList(new ArrayList<>());
  private final AtomicBoolean stop = new AtomicBoolean();
  private final ExecutorService thread = Executors.newSingleThreadExecutor();
  private TestSite site;
  private TestSite.TestTap tap;
  private long held;
  private long locked;
  private long loose;

  @Test
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  void shouldKeepTheWindowExactThroughKills(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path backing = directory.resolve("window.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    try (TestSite forked = new TestSite(directory.resolve("site"));
        TestSite.TestTap served = forked.tap(VOLUME, backing)) {
      site = forked;
      tap = served;
      site.alsoSet(
          "tidemark.volume { retention-every = 500 ms, free-delay = 1 s, leaf-segments = 16 }\n");
      site.start();
      site.client.createVolume(VOLUME, VOLUME_BYTES);
      setWindow();
      tap.start();
      tap.awaitServed();
      Future<?> writer = thread.submit(this::write);
      JsonNode image = hold();
      through(writer, image, "nothing is killed", () -> {});
      through(writer, image, "Cassandra is killed", this::killCassandra);
      through(writer, image, "the node is killed", this::killNode);
      bisectWhileTheHorizonMoves(directory);
      stop.set(true);
      writer.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
      settle(image);
    } finally {
      stop.set(true);
      thread.shutdownNow();
    }
  }

  private void setWindow() throws Exception {
    ObjectNode policy = SiteClient.object().put("windowSeconds", WINDOW.toSeconds());
    policy.put("capBytes", 0).put("hardCapBytes", 0).putArray("ladder");
    site.client.send("PUT", "/api/v1/volumes/" + VOLUME + "/retention", policy.toString()).orFail();
  }

  private Void write() throws IOException {
    Random own = new Random(SEED + 1);
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      while (!stop.get()) {
        byte[] data = new byte[512 * (1 + own.nextInt(WRITE_BYTES_MAX / 512))];
        own.nextBytes(data);
        int offset = 512 * own.nextInt((VOLUME_BYTES - data.length) / 512 + 1);
        long sent = System.nanoTime();
        client.write(offset, ByteBuffer.wrap(data));
        writes.add(new Write(offset, data, sent));
        LockSupport.parkNanos(PACE.toNanos());
      }
    }
    return null;
  }

  private byte[] model(long seq) {
    byte[] disk = new byte[VOLUME_BYTES];
    for (int i = 0; i < seq; i++) {
      Write write = writes.get(i);
      System.arraycopy(write.data(), 0, disk, write.offset(), write.data().length);
    }
    return disk;
  }

  /** An image is opened, a tag is locked, another is not: they outlive the window or not. */
  private JsonNode hold() throws Exception {
    Await.until("some writes are journaled", LIMIT, () -> site.client.head(VOLUME) > 60);
    held = 20 + random.nextInt(30);
    JsonNode image = site.client.openImage(VOLUME, "seq:" + held, false).orFail();
    ObjectNode group = SiteClient.object().put("name", "g");
    group.putArray("volumes").add(VOLUME);
    site.client.post("/api/v1/groups", group).orFail();
    locked = tag("locked");
    site.client.send("PUT", "/api/v1/groups/g/tags/locked/lock", null).orFail();
    loose = tag("loose");
    return image;
  }

  private long tag(String name) throws Exception {
    ObjectNode request = SiteClient.object().put("name", name).put("consistency", "crash");
    site.client.post("/api/v1/groups/g/tags", request).orFail();
    return site.client.point(VOLUME, "tag:" + name).orFail().at("/at/seq").asLong();
  }

  private interface Blow {
    void strike() throws Exception;
  }

  /** The horizon has moved, something is killed, the horizon moves again, and all is as it was. */
  private void through(Future<?> writer, JsonNode image, String what, Blow blow) throws Exception {
    long before = horizon();
    Await.until("the horizon moves: " + what, LIMIT, () -> horizon() > before);
    blow.strike();
    long after = horizon();
    Await.until("the horizon moves on: " + what, LIMIT, () -> horizon() > after);
    int[] points = {0, 0};
    Await.until(
        "points inside the window are read: " + what,
        LIMIT,
        () -> {
          points[0] += young();
          return ++points[1] >= POINTS && points[0] >= POINTS;
        });
    assertTrue(horizon() > Math.max(held, locked) || what.startsWith("nothing"), what);
    assertHeld(image);
    refuseOld();
    assertTrue(!writer.isDone(), "the writer goes on");
    System.out.printf(
        "%s: %d writes, horizon %d, head %d, %d of %d points inside the window%n",
        what, writes.size(), horizon(), site.client.head(VOLUME), points[0], points[1]);
  }

  /**
   * The first check of a bisect lasts until its whole range has left the window: nothing of it is
   * given up before the search ends, and all of it is once that has ended.
   */
  private void bisectWhileTheHorizonMoves(Path directory) throws Exception {
    Path begun = directory.resolve("bisect-begun");
    Path go = directory.resolve("bisect-go");
    long from = site.client.head(VOLUME);
    long to = from + 40 + random.nextInt(100);
    long bad = from + 1 + random.nextInt((int) (to - from));
    Await.until("enough is journaled", LIMIT, () -> site.client.head(VOLUME) >= to);
    Path log = directory.resolve("bisect.log");
    String check =
        "touch '%s'; until [ -e '%s' ]; do sleep 0.1; done; [ $TIDEMARK_SEQ -lt %d ]"
            .formatted(begun, go, bad);
    String[] command = {
      "bisect",
      VOLUME,
      "--from",
      "seq:" + from,
      "--to",
      "seq:" + to,
      "--node",
      "http://127.0.0.1:" + site.httpPort,
      "--",
      "sh",
      "-c",
      check
    };
    try (Forked bisect = Forked.start(log, List.of("-Xmx64m"), command)) {
      Await.until("the first check runs", LIMIT, () -> Files.exists(begun));
      long left = System.nanoTime() + WINDOW.plusSeconds(4).toNanos();
      Await.until("the range has left the window", LIMIT, () -> System.nanoTime() > left);
      assertTrue(horizon() <= from, () -> "the range from " + from + " is not held");
      Files.createFile(go);
      assertEquals(0, bisect.exitCode(LIMIT.toSeconds()), () -> "see " + log);
    }
    String said = Files.readString(log);
    assertTrue(said.contains("last good  seq " + (bad - 1) + " at "), said);
    assertTrue(said.contains("first bad  seq " + bad + " at "), said);
    Await.until("the range is held no more", LIMIT, () -> horizon() > to);
  }

  private void killCassandra() throws Exception {
    ProcessHandle cassandra = site.cassandra().orElseThrow();
    cassandra.destroyForcibly();
    cassandra.onExit().get(30, TimeUnit.SECONDS);
    long written = writes.size();
    Await.until("all is journaled", LIMIT, () -> site.client.head(VOLUME) >= written);
  }

  private void killNode() throws Exception {
    site.kill();
    site.start();
    long written = writes.size();
    Await.until("all is journaled", LIMIT, () -> site.client.head(VOLUME) >= written);
  }

  private long horizon() throws Exception {
    return site.client.volume(VOLUME).at("/horizon/seq").asLong();
  }

  /** A random point of the window: exact. Returns 0 when it left the window meanwhile, else 1. */
  private int young() throws Exception {
    long head = site.client.head(VOLUME);
    long first = Math.max(1, head - WINDOW.toMillis() / PACE.toMillis() / 2);
    long seq = first + random.nextInt((int) (head - first + 1));
    SiteClient.Answer opened = site.client.openImage(VOLUME, "seq:" + seq, false);
    long age = System.nanoTime() - writes.get((int) seq - 1).sentNanos();
    if (opened.code().equals("BEYOND_HORIZON") && age > WINDOW.toNanos()) {
      return 0;
    }
    JsonNode image = opened.orFail();
    assertArrayEquals(model(seq), read(image), "seq " + seq);
    site.client.closeImage(image.at("/name").asText());
    return 1;
  }

  private byte[] read(JsonNode image) throws Exception {
    byte[][] content = new byte[1][];
    Await.until(
        "the image is served",
        LIMIT,
        () -> {
          try (NbdClient client = NbdClient.connect(NbdUri.parse(image.at("/uri").asText()))) {
            content[0] = client.read(0, VOLUME_BYTES);
            return true;
          }
        });
    return content[0];
  }

  private void assertHeld(JsonNode image) throws Exception {
    assertArrayEquals(model(held), read(image), "the open image of seq " + held);
    assertArrayEquals(
        model(locked), PhaseCheck.read(site, VOLUME, "tag:locked", locked), "the locked tag");
  }

  private void refuseOld() throws Exception {
    long horizon = horizon();
    for (int i = 0; i < 3 && horizon > 1; i++) {
      long seq = 1 + random.nextInt((int) horizon - 1);
      if (seq != held && seq != locked && seq != loose) {
        assertEquals(
            "BEYOND_HORIZON",
            site.client.openImage(VOLUME, "seq:" + seq, false).code(),
            () -> "seq " + seq + ", horizon " + horizon);
      }
    }
  }

  /** Nothing is written any more: data of the past is freed, and what is held no more goes. */
  private void settle(JsonNode image) throws Exception {
    Await.until("all is journaled", LIMIT, () -> site.client.head(VOLUME) == writes.size());
    assertArrayEquals(model(writes.size()), PhaseCheck.read(site, VOLUME, "latest", writes.size()));
    assertHeld(image);
    assertEquals("BEYOND_HORIZON", site.client.openImage(VOLUME, "tag:loose", false).code());
    assertEquals(
        "BEYOND_HORIZON",
        site.client.send("PUT", "/api/v1/groups/g/tags/loose/lock", null).code(),
        "what is gone cannot be locked");
    JsonNode holds = retention().path("holds");
    assertEquals("image:" + image.at("/name").asText(), holds.at("/0/holder").asText());
    assertEquals("done", verified().path("state").asText());
    assertArrayEquals(model(held), read(image));
    site.client.closeImage(image.at("/name").asText());
    assertEquals("BEYOND_HORIZON", site.client.openImage(VOLUME, "seq:" + held, false).code());
    site.client.send("DELETE", "/api/v1/groups/g/tags/locked/lock", null).orFail();
    Await.until("the unlocked tag goes", LIMIT, () -> retention().path("tags").isEmpty());
    assertEquals("BEYOND_HORIZON", site.client.openImage(VOLUME, "tag:locked", false).code());
    long written = writes.stream().mapToLong(write -> write.data().length).sum();
    Await.until(
        "most of what was written is freed: " + retention(),
        LIMIT,
        () -> retention().at("/journal/storedBytes").asLong() < 3L * VOLUME_BYTES);
    assertTrue(written > 8L * VOLUME_BYTES, written + " bytes are not many windows");
    assertTrue(retention().at("/journal/freedBytes").asLong() > written / 2);
  }

  private JsonNode retention() throws Exception {
    return site.client.get("/api/v1/volumes/" + VOLUME + "/retention").orFail();
  }

  private JsonNode verified() throws Exception {
    String id =
        site.client
            .post("/api/v1/volumes/" + VOLUME + "/verify", SiteClient.object())
            .orFail()
            .path("id")
            .asText();
    Await.until(
        "the verification ends",
        LIMIT,
        () ->
            !site.client
                .get("/api/v1/jobs/" + id)
                .orFail()
                .path("state")
                .asText()
                .equals("running"));
    return site.client.get("/api/v1/jobs/" + id).orFail();
  }
}
