package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Writers on one volume that go on through whatever happens, and the check that nothing of it was
 * lost: no write failed, no dark interval, every checked position holds what was written until
 * then.
 */
final class Load implements AutoCloseable {
  static final int WRITERS = 3;
  static final int REGION_BYTES = 32 << 10;
  static final int VOLUME_BYTES = WRITERS * REGION_BYTES;
  private static final int PACE_MILLIS = 20;
  private static final int POINTS_MAX = 40;
  private static final Duration DRAIN_LIMIT = Duration.ofSeconds(90);

  private final String volume;
  private final TestSite.TestTap tap;
  private final Random random;
  private final List<RegionWriter> writers = new ArrayList<>();
  private final ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
  private final List<Future<Void>> running = new ArrayList<>();
  private CountDownLatch stop;
  private long base;

  Load(String volume, TestSite.TestTap tap, long seed) {
    this.volume = volume;
    this.tap = tap;
    this.random = new Random(seed);
    for (int i = 0; i < WRITERS; i++) {
      writers.add(new RegionWriter((long) i * REGION_BYTES, REGION_BYTES, random.nextLong()));
    }
  }

  /** Begins a phase: the volume is drained, and its head as {@code site} tells is the base. */
  void begin(TestSite site) throws Exception {
    awaitDrained(site);
    base = site.client.head(volume);
    stop = new CountDownLatch(1);
    for (RegionWriter writer : writers) {
      writer.beginPhase();
      running.add(threads.submit(() -> write(writer, stop)));
    }
  }

  private Void write(RegionWriter writer, CountDownLatch stopped) throws IOException {
    writer.run(tap.uri(), Integer.MAX_VALUE, () -> paced(stopped));
    return null;
  }

  private static boolean paced(CountDownLatch stopped) {
    try {
      return stopped.await(PACE_MILLIS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return true;
    }
  }

  /**
   * Waits until {@code more} writes are journaled than now, as {@code site} tells; milliseconds.
   */
  long awaitMore(TestSite site, int more, Duration limit) throws Exception {
    long began = System.nanoTime();
    long[] from = {-1};
    Await.until(
        more + " more writes are journaled, asked at " + site.client.base(),
        limit,
        () -> {
          for (Future<Void> writer : running) {
            if (writer.isDone()) {
              writer.get();
            }
          }
          long head = site.client.head(volume);
          if (from[0] < 0) {
            from[0] = head;
          }
          return head >= from[0] + more;
        });
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
  }

  /** Ends the phase and checks it; returns the number of writes. */
  long end(TestSite... asked) throws Exception {
    stop.countDown();
    for (Future<Void> writer : running) {
      // A write that failed fails here.
      writer.get(60, TimeUnit.SECONDS);
    }
    running.clear();
    long written = writers.stream().mapToLong(RegionWriter::acknowledged).sum();
    // What the tap tells of itself is up to a second old.
    Await.until(
        written + " writes are journaled after seq " + base,
        DRAIN_LIMIT,
        () -> asked[0].client.head(volume) >= base + written);
    awaitDrained(asked[0]);
    for (TestSite site : asked) {
      check(site, written);
    }
    return written;
  }

  private void check(TestSite site, long written) throws Exception {
    JsonNode summary = site.client.volume(volume);
    long head = summary.at("/head/seq").asLong();
    if (head != base + written || summary.at("/dark").size() != 0) {
      throw new AssertionError("%d writes after seq %d, but: %s".formatted(written, base, summary));
    }
    PhaseCheck check = new PhaseCheck(site, volume, writers, base);
    long step = Math.max(1, written / POINTS_MAX);
    for (long seq = base + 1; seq <= head; seq += 1 + random.nextLong(2 * step - 1)) {
      check.point(seq);
      check.time(seq);
    }
    byte[] live;
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      live = client.read(0, VOLUME_BYTES);
    }
    if (!Arrays.equals(PhaseCheck.read(site, volume, "latest", head), live)) {
      throw new AssertionError("image(head) differs from the backing store (J2)");
    }
    for (RegionWriter writer : writers) {
      if (!Arrays.equals(PhaseCheck.region(live, writer), writer.content())) {
        throw new AssertionError("the backing store differs from what was written");
      }
    }
  }

  void awaitDrained(TestSite site) throws Exception {
    Instant since = Instant.now();
    Await.until(
        volume + " is protected and drained: " + site.client.base(),
        DRAIN_LIMIT,
        () -> {
          JsonNode summary = site.client.volume(volume);
          // Created: nothing was ever written.
          return List.of("Created", "Protected").contains(summary.at("/state").asText())
              && summary.at("/tap/connected").asBoolean()
              && summary.at("/tap/mode").asText().equals("continuous")
              && SiteClient.drained(summary, since);
        });
  }

  @Override
  public void close() {
    if (stop != null) {
      stop.countDown();
    }
    threads.shutdownNow();
  }
}
