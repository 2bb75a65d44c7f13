package io.tidemark.system;

import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two nodes that do not know of one another over one Cassandra, as both sides of a broken network
 * would be if both went on: each has an entity of the same volume.
 */
@Tag("cluster")
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class TwoWritersTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** The writers go on at one side while the other side's entity is woken again and again. */
  @Test
  void shouldAcknowledgeOnlyWhatTheJournalKeeps(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path backing = directory.resolve("both.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    ScheduledExecutorService waker = Executors.newSingleThreadScheduledExecutor();
    String quick = "tidemark.volume.session-silence = 2 s\n";
    try (ExternalCassandra cassandra = new ExternalCassandra(directory, 1);
        TestSite here = new TestSite(directory.resolve("here"), cassandra.nodeSettings() + quick);
        TestSite there =
            new TestSite(directory.resolve("there"), cassandra.nodeSettings() + quick);
        TestSite.TestTap tap = here.tap("both", backing);
        Load load = new Load("both", tap, SEED)) {
      here.start();
      there.start();
      here.client.createVolume("both", Load.VOLUME_BYTES);
      tap.start();
      load.begin(here);
      load.awaitMore(here, 100, LIMIT);
      there.client.volume("both");
      load.awaitMore(here, 100, LIMIT);
      Future<?> waking =
          waker.scheduleWithFixedDelay(() -> wake(there), 1500, 1500, TimeUnit.MILLISECONDS);
      load.awaitMore(here, 300, LIMIT);
      waking.cancel(false);
      load.awaitMore(here, 50, LIMIT);
      System.out.println(load.end(here) + " writes here");
      here.stop();
      here.start();
      load.begin(here);
      System.out.println(load.end(here) + " writes after a restart");
    } finally {
      waker.shutdownNow();
    }
  }

  private static void wake(TestSite site) {
    try {
      System.out.println("the other side: " + site.client.volume("both").at("/head/seq"));
    } catch (Exception | AssertionError e) {
      System.out.println("the other side: " + e.getMessage());
    }
  }
}
