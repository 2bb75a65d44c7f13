package io.tidemark.bench;

import com.datastax.oss.driver.api.core.cql.Row;
import io.tidemark.journal.JournalSession;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.site.RetentionSummary;
import io.tidemark.site.VolumeSummary;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench retention}. */
@Command(
    name = "retention",
    mixinStandardHelpOptions = true,
    description = {
      "What many times a window's worth of writes leaves behind: random overwrites at a steady rate"
          + " on a volume with a short window, and every so often the bytes that the journal says"
          + " it stores, the files of Cassandra, the heap, the age of the horizon, and the time to"
          + " open a random point inside the window and read from it. Afterwards nothing is written"
          + " and the disk is looked at again."
    },
    footer = {
      "",
      "Example:",
      "  tidemark bench retention --window-seconds 20 --windows 12 --mib-per-second 10",
    })
final class RetentionCommand implements Callable<Integer> {
  private static final int WRITE_BYTES = 4096;
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int CHUNK_BYTES = 128 << 10;
  private static final double MIB = 1 << 20;
  private static final VolumeName VOLUME = new VolumeName("window");

  @Option(names = "--window-seconds", description = "default ${DEFAULT-VALUE}")
  private int windowSeconds = 20;

  @Option(
      names = "--windows",
      description = "how many windows are written; default ${DEFAULT-VALUE}")
  private int windows = 12;

  @Option(names = "--mib-per-second", description = "of writes; default ${DEFAULT-VALUE}")
  private int mibPerSecond = 10;

  @Option(names = "--size-mib", description = "of the volume; default ${DEFAULT-VALUE}")
  private long sizeMib = 256;

  @Option(names = "--keep-all", description = "without a window, to compare with")
  private boolean keepAll;

  @Option(names = "--seed", description = "chooses blocks and points; default ${DEFAULT-VALUE}")
  private long seed = 1;

  @Option(names = "--directory", description = "where the site is; default ${DEFAULT-VALUE}")
  private Path directory = Path.of(System.getProperty("java.io.tmpdir"));

  private final Random random = new Random();

  /** How long segments took to be journaled since the last row, in nanoseconds. */
  private final Queue<Long> acknowledged = new ConcurrentLinkedQueue<>();

  private final CountDownLatch never = new CountDownLatch(1);

  @Override
  public Integer call() throws Exception {
    random.setSeed(seed);
    System.out.printf(
        Locale.ROOT,
        "Window %s, %d MiB/s of random 4 KiB writes, volume of %d MiB, seed %d%n%n",
        keepAll ? "none" : windowSeconds + " s",
        mibPerSecond,
        sizeMib,
        seed);
    System.out.println(
        "| after windows | written MiB | MiB/s | journaled in ms, p50 / p99 | journal says MiB |"
            + " freed MiB | copied MiB | Cassandra's tables MiB | history s | node's heap MiB |"
            + " open and read ms |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    Map<String, Object> settings =
        Map.of(
            "tidemark.volume.retention-every",
            "1 s",
            "tidemark.volume.free-delay",
            "2 s",
            "tidemark.cassandra.embedded-server.memtable",
            "64 MiB");
    try (BenchSite site = BenchSite.start(directory, settings);
        ImageDesk desk = new ImageDesk(site)) {
      run(site, desk);
    }
    return 0;
  }

  private void run(BenchSite site, ImageDesk desk) throws IOException, InterruptedException {
    JournalSession session = site.attach(VOLUME, sizeMib << 20);
    if (!keepAll) {
      BenchSite.await(
          site.retention()
              .setRetention(
                  VOLUME,
                  new RetentionPolicy(TimeUnit.SECONDS.toMicros(windowSeconds), 0, 0, List.of())));
    }
    Content content =
        new Content(Content.Kind.RANDOM, WRITE_BYTES, SEGMENT_BYTES, CHUNK_BYTES, seed);
    Appender appender = new Appender(session, site.clock(), content, 8 << 20, acknowledged::add);
    int places = (int) ((sizeMib << 20) / WRITE_BYTES);
    long begin = System.nanoTime();
    long step = begin;
    long stepWritten = 0;
    long written = 0;
    for (int window = 1; window <= windows; window++) {
      long until = begin + TimeUnit.SECONDS.toNanos((long) window * windowSeconds);
      while (System.nanoTime() < until) {
        double due = (System.nanoTime() - begin) / 1e9 * mibPerSecond * MIB;
        if (written > due) {
          rest(Duration.ofMillis(5));
          continue;
        }
        appender.append(content, () -> (long) random.nextInt(places) * WRITE_BYTES);
        written += SEGMENT_BYTES;
      }
      long now = System.nanoTime();
      row(site, desk, "" + window, written, (written - stepWritten) / ((now - step) / 1e9));
      step = System.nanoTime();
      stepWritten = written;
    }
    appender.drain();
    for (int i = 1; i <= 4; i++) {
      rest(Duration.ofSeconds(30));
      row(site, desk, "idle for " + 30 * i + " s", written, 0);
    }
    tombstones(site);
  }

  /** Deletions that a read had to pass by, in the words of Cassandra's own statistics. */
  private static void tombstones(BenchSite site) {
    System.out.printf("%nTombstones that reads met, a partition's worth of deletions each:%n%n");
    System.out.println("| table | reads | p50 | p99 | most |");
    System.out.println("| --- | --- | --- | --- | --- |");
    for (Row row : site.session().execute("SELECT * FROM system_views.tombstones_per_read")) {
      if (site.keyspace().equals(row.getString("keyspace_name")) && row.getLong("count") > 0) {
        System.out.printf(
            Locale.ROOT,
            "| %s | %d | %.0f | %.0f | %.0f |%n",
            row.getString("table_name"),
            row.getLong("count"),
            row.getDouble("p50th"),
            row.getDouble("p99th"),
            row.getDouble("max"));
      }
    }
  }

  private void rest(Duration time) throws InterruptedException {
    // Nothing counts it down: only time shows what is looked for.
    boolean counted = never.await(time.toMillis(), TimeUnit.MILLISECONDS);
    assert !counted;
  }

  private void row(BenchSite site, ImageDesk desk, String when, long written, double rate)
      throws IOException {
    VolumeSummary volume = BenchSite.await(site.site().volume(VOLUME));
    RetentionSummary retention = BenchSite.await(site.retention().retention(VOLUME));
    Samples millis = new Samples();
    for (Long nanos = acknowledged.poll(); nanos != null; nanos = acknowledged.poll()) {
      millis.add(nanos / 1e6);
    }
    long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    System.out.printf(
        Locale.ROOT,
        "| %s | %.0f | %.1f | %s | %.0f | %.0f | %.0f | %.0f | %.1f | %.0f | %.0f |%n",
        when,
        written / MIB,
        rate / MIB,
        millis.count() == 0
            ? ""
            : Samples.number(millis.median(), 0) + " / " + Samples.number(millis.quantile(0.99), 0),
        volume.storedBytes() / MIB,
        retention.freedBytes() / MIB,
        retention.copiedBytes() / MIB,
        tableBytes(site.directory()) / MIB,
        (volume.head().time().micros() - volume.horizon().time().micros()) / 1e6,
        heap / MIB,
        open(desk, volume));
  }

  private double open(ImageDesk desk, VolumeSummary volume) throws IOException {
    long horizon = volume.horizon().seq().value();
    long span = volume.head().seq().value() - horizon;
    // The older half may be gone by the time it is asked for.
    long seq = horizon + span / 2 + (long) (random.nextDouble() * (span / 2.0));
    long begin = System.nanoTime();
    desk.open("image", VOLUME, new At.Seq(new WriteSeq(seq)));
    try (var client = desk.connect("image")) {
      client.read((long) random.nextInt((int) (sizeMib << 8)) * WRITE_BYTES, WRITE_BYTES);
      return (System.nanoTime() - begin) / 1e6;
    } finally {
      desk.close("image");
    }
  }

  /** Files of Cassandra's tables; its commit log has a fixed bound of its own. */
  private static long tableBytes(Path directory) throws IOException {
    return LocalFiles.bytes(directory, file -> file.toString().endsWith(".db"));
  }
}
