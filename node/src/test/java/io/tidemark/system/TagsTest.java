package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * J7 on a real site: writers write a number to one volume, await the reply, then the same number to
 * the next volume behind another tap. Taps are killed at each step of a hold and the node at any
 * moment of a tag. No committed tag shows a number that the volume before it in the chain lacks;
 * every tag ends; no reply is withheld for longer than a hold may last.
 */
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class TagsTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private static final int ROUNDS = Integer.getInteger("tidemark.test.tag.rounds", 1);
  private static final long VOLUME_BYTES = 4 << 20;
  private static final int SECTOR = 512;
  private static final int WRITERS = 3;
  private static final List<String> VOLUMES = List.of("a", "b", "c", "d");
  private static final Duration LIMIT = Duration.ofSeconds(90);

  /** A hold lasts 1 s at most; the rest is for a busy machine. */
  private static final long WITHHELD_MILLIS_MAX = 4_000;

  private final List<TestSite.TestTap> taps = new ArrayList<>();
  private final List<OrderWatch> watches = new ArrayList<>();
  private final List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
  private final AtomicLong slowestMillis = new AtomicLong();
  private volatile boolean stop;
  private TestSite site;

  @Test
  void shouldNeverShowAnEffectWithoutItsCause(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    site = new TestSite(directory);
    try {
      site.start();
      startTaps(directory);
      ObjectNode group = SiteClient.object().put("name", "g");
      ArrayNode members = group.putArray("volumes");
      VOLUMES.forEach(members::add);
      site.client.post("/api/v1/groups", group).orFail();
      List<Thread> writers = startWriters();
      for (int i = 0; i < 10; i++) {
        assertEquals("Committed", take("calm-" + i).orFail().path("state").asText());
      }
      String everySecond = "{\"everySeconds\":1,\"keepSeconds\":600}";
      site.client.send("PUT", "/api/v1/groups/g/schedules/s", everySecond).orFail();
      Random random = new Random(SEED);
      for (int round = 0; round < ROUNDS; round++) {
        for (OrderWatch.Step step : OrderWatch.Step.values()) {
          killTapAt(step, random.nextInt(taps.size()));
        }
        killNodeDuringATag(random, "round-" + round);
      }
      awaitCommitted("end");
      site.client.send("DELETE", "/api/v1/groups/g/schedules/s", null).orFail();
      stop = true;
      for (Thread writer : writers) {
        writer.join();
      }
      Await.until(
          "every tag has settled",
          LIMIT,
          () -> site.client.get("/api/v1/groups/g").orFail().path("tagging").isEmpty());
      assertEquals(List.of(), failures);
      assertTrue(
          slowestMillis.get() < WITHHELD_MILLIS_MAX,
          "a reply took " + slowestMillis + " ms from a tap that lived");
      checkTags();
    } finally {
      stop = true;
      for (TestSite.TestTap tap : taps) {
        tap.kill();
      }
      for (OrderWatch watch : watches) {
        watch.close();
      }
      site.close();
    }
  }

  private void startTaps(Path directory) throws Exception {
    for (String volume : VOLUMES) {
      Path backing = directory.resolve(volume + ".img");
      try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
        file.setLength(VOLUME_BYTES);
      }
      site.client.createVolume(volume, VOLUME_BYTES);
      OrderWatch watch = new OrderWatch(site.tapLinkPort());
      watches.add(watch);
      TestSite.TestTap tap = site.tap(volume, backing).through(watch.port());
      taps.add(tap);
      tap.start();
    }
    for (TestSite.TestTap tap : taps) {
      tap.awaitServed();
    }
  }

  // ---- the writers ----------------------------------------------------------------------------

  private List<Thread> startWriters() {
    List<Thread> writers = new ArrayList<>();
    for (int w = 0; w < WRITERS; w++) {
      int sector = w;
      Thread writer = new Thread(() -> chain(sector), "writer-" + w);
      writer.start();
      writers.add(writer);
    }
    return writers;
  }

  private void chain(int sector) {
    NbdClient[] clients = new NbdClient[taps.size()];
    try {
      for (long number = 1; !stop; number++) {
        for (int i = 0; i < clients.length && !stop; i++) {
          write(clients, i, sector, number);
        }
      }
    } catch (RuntimeException e) {
      failures.add(e);
    } finally {
      for (NbdClient client : clients) {
        abort(client);
      }
    }
  }

  /** Again and again while the tap is down: an effect is only caused once there is a reply. */
  private void write(NbdClient[] clients, int i, int sector, long number) {
    while (!stop) {
      try {
        if (clients[i] == null) {
          clients[i] = NbdClient.connect(NbdUri.parse(taps.get(i).uri()));
        }
        ByteBuffer data = ByteBuffer.allocate(SECTOR).putLong(number).rewind();
        long begun = System.nanoTime();
        clients[i].write((long) sector * SECTOR, data);
        long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
        slowestMillis.accumulateAndGet(millis, Math::max);
        return;
      } catch (IOException e) {
        abort(clients[i]);
        clients[i] = null;
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    }
  }

  private static void abort(NbdClient client) {
    if (client != null) {
      try {
        client.abort();
      } catch (IOException e) {
        System.out.println("a connection did not close: " + e);
      }
    }
  }

  // ---- tags and kills -------------------------------------------------------------------------

  private SiteClient.Answer take(String name) throws IOException, InterruptedException {
    return site.client.send("POST", "/api/v1/groups/g/tags", "{\"name\":\"" + name + "\"}");
  }

  /** BUSY when a scheduled tag is being taken at that moment. */
  private void awaitCommitted(String name) throws Exception {
    AtomicLong attempt = new AtomicLong();
    Await.until(
        "a tag is committed",
        LIMIT,
        () -> take(name + "-" + attempt.incrementAndGet()).status() == 201);
  }

  /** The next tag of the schedule comes to that step at that tap, which dies there. */
  private void killTapAt(OrderWatch.Step step, int victim) throws Exception {
    TestSite.TestTap tap = taps.get(victim);
    CountDownLatch killed = watches.get(victim).at(step, tap::kill);
    assertTrue(killed.await(LIMIT.toSeconds(), TimeUnit.SECONDS), "no tag came to " + step);
    System.out.println("killed the tap of volume " + VOLUMES.get(victim) + " at " + step);
    tap.start();
    tap.awaitServed();
  }

  private void killNodeDuringATag(Random random, String name) throws Exception {
    Thread tagging =
        new Thread(
            () -> {
              try {
                take(name);
              } catch (IOException | InterruptedException e) {
                System.out.println(name + ": the node does not answer: " + e);
              }
            });
    tagging.start();
    // From the request to the commit of the tag, and a little beyond.
    LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(random.nextInt(250_000)));
    site.kill();
    site.start();
    tagging.join();
    awaitCommitted(name + "-after");
  }

  // ---- the oracle -----------------------------------------------------------------------------

  private void checkTags() throws Exception {
    int committed = 0;
    int failed = 0;
    long newest = 0;
    JsonNode all = site.client.get("/api/v1/groups/g/tags?limit=1000").orFail().path("tags");
    for (JsonNode tag : all) {
      String name = tag.path("name").asText();
      if (tag.path("state").asText().equals("Failed")) {
        failed++;
        assertTrue(!tag.at("/error/message").asText().isEmpty(), tag.toString());
        System.out.println(name + " failed: " + tag.at("/error/message").asText());
        continue;
      }
      assertEquals("Committed", tag.path("state").asText(), tag.toString());
      committed++;
      newest = Math.max(newest, checkImages(name));
    }
    System.out.println(
        committed
            + " tags committed, "
            + failed
            + " failed; numbers up to "
            + newest
            + "; slowest reply "
            + slowestMillis
            + " ms");
    assertTrue(committed > ROUNDS, committed + " committed tags");
    assertTrue(newest > 10, "the writers went on");
  }

  private long checkImages(String tag) throws Exception {
    JsonNode opened =
        site.client
            .post("/api/v1/images", SiteClient.object().put("group", "g").put("at", "tag:" + tag))
            .orFail();
    long[][] numbers = new long[VOLUMES.size()][WRITERS];
    for (int i = 0; i < VOLUMES.size(); i++) {
      String uri = opened.path("uris").path(VOLUMES.get(i)).asText();
      try (NbdClient image = NbdClient.connect(NbdUri.parse(uri))) {
        for (int w = 0; w < WRITERS; w++) {
          numbers[i][w] = ByteBuffer.wrap(image.read((long) w * SECTOR, SECTOR)).getLong();
        }
      }
    }
    for (JsonNode image : opened.path("images")) {
      site.client.closeImage(image.path("name").asText());
    }
    long newest = 0;
    for (int w = 0; w < WRITERS; w++) {
      for (int i = 1; i < VOLUMES.size(); i++) {
        assertTrue(
            numbers[i][w] <= numbers[i - 1][w],
            "tag %s: volume %s shows %d, its cause in %s only %d"
                .formatted(
                    tag, VOLUMES.get(i), numbers[i][w], VOLUMES.get(i - 1), numbers[i - 1][w]));
      }
      long last = numbers[VOLUMES.size() - 1][w];
      assertTrue(
          last >= numbers[0][w] - 1,
          "tag %s: the chain begins with %d and ends with %d".formatted(tag, numbers[0][w], last));
      newest = Math.max(newest, last);
    }
    return newest;
  }
}
