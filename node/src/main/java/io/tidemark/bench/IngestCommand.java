package io.tidemark.bench;

import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.cql.Statement;
import io.tidemark.cassandra.CassandraSessions;
import io.tidemark.position.VolumeName;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench ingest}. */
@Command(
    name = "ingest",
    mixinStandardHelpOptions = true,
    description = {
      "What the journal takes, against what Cassandra takes: alternates plain driver inserts of"
          + " chunks with appends of a tap session, into the same table of the same Cassandra, for"
          + " each mode. Both wait for the acknowledgement. MB/s are of uncompressed data."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench ingest",
      "  tidemark bench ingest --data half --mode batch:direct:64:32 --mode batch:direct:128:32",
      "  tidemark bench ingest --reps 1 --seconds 60 --mode group:direct:128:32:twcs",
    })
final class IngestCommand implements Callable<Integer> {
  private static final long VOLUME_BYTES = 64L << 30;
  private static final int WARM_UP_SECONDS = 3;
  private static final int INSERT_ATTEMPTS = 10;

  @Option(names = "--mode", paramLabel = "MODE", description = Mode.HELP)
  private List<String> modes = List.of("batch:direct:128:32");

  @Option(names = "--data", description = "${COMPLETION-CANDIDATES}; default ${DEFAULT-VALUE}")
  private Content.Kind data = Content.Kind.RANDOM;

  @Option(names = "--seconds", description = "of one measurement; default ${DEFAULT-VALUE}")
  private int seconds = 5;

  @Option(names = "--reps", description = "measurements of each; default ${DEFAULT-VALUE}")
  private int reps = 5;

  @Option(names = "--segment-kib", description = "data of a segment; default ${DEFAULT-VALUE}")
  private int segmentKib = 2048;

  @Option(names = "--write-kib", description = "length of a write; default ${DEFAULT-VALUE}")
  private int writeKib = 16;

  @Option(
      names = "--window-mib",
      description = "appended and not yet acknowledged; default ${DEFAULT-VALUE}")
  private int windowMib = 32;

  @Option(names = "--directory", description = "where the sites are; default ${DEFAULT-VALUE}")
  private Path directory = Path.of(System.getProperty("java.io.tmpdir"));

  /** One way to write, and how it fared. */
  private static final class Column {
    final Samples megabytes = new Samples();
    final Samples cassandraCpu = new Samples();
    final Samples ownCpu = new Samples();
    final Samples diskBytes = new Samples();
  }

  /** A mode, its site and its figures. */
  private final class Lane {
    final Mode mode;
    final BenchSite site;
    final Content content;
    final Appender appender;
    final Random random = new Random(1);
    final PreparedStatement insert;
    final UUID volume = UUID.randomUUID();
    final Column plain = new Column();
    final Column ours = new Column();
    final Samples ratio = new Samples();
    long row;

    Lane(Mode mode, BenchSite site) {
      this.mode = mode;
      this.site = site;
      mode.applyTo(site);
      this.content = new Content(data, writeKib << 10, segmentKib << 10, mode.chunkBytes(), 1);
      this.appender =
          new Appender(
              site.attach(new VolumeName("ingest"), VOLUME_BYTES),
              site.clock(),
              content,
              windowMib << 20);
      this.insert =
          site.session()
              .prepare(
                  SimpleStatement.newInstance(
                          "INSERT INTO "
                              + site.keyspace()
                              + ".segment_chunk (volume, session, run, part, ordinal, chunk, data)"
                              + " VALUES (?, 1, ?, 0, ?, 0, ?)")
                      .setExecutionProfileName(CassandraSessions.WRITES));
    }

    /** Appends for a while; gives the bytes. */
    long append(int forSeconds) throws InterruptedException {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(forSeconds);
      long writeBytes = (long) writeKib << 10;
      long bytes = 0;
      while (System.nanoTime() < end) {
        appender.append(
            content, () -> random.nextInt((int) (VOLUME_BYTES / writeBytes)) * writeBytes);
        bytes += content.segmentBytes();
      }
      appender.drain();
      return bytes;
    }

    /** Inserts rows for a while; gives the bytes. */
    long insert(int forSeconds) throws InterruptedException {
      Semaphore slots = new Semaphore(mode.inFlight());
      AtomicReference<Throwable> failure = new AtomicReference<>();
      int partitionRows = (16 << 20) / mode.chunkBytes();
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(forSeconds);
      long bytes = 0;
      while (System.nanoTime() < end) {
        slots.acquire();
        int run = (int) (row / partitionRows);
        int ordinal = (int) (row % partitionRows);
        insert(insert.bind(volume, run, ordinal, content.chunk(row++)), INSERT_ATTEMPTS)
            .whenComplete(
                (rows, refusal) -> {
                  if (refusal != null) {
                    failure.compareAndSet(null, refusal);
                  }
                  slots.release();
                });
        bytes += mode.chunkBytes();
      }
      slots.acquire(mode.inFlight());
      if (failure.get() != null) {
        throw new IllegalStateException("an insert failed", failure.get());
      }
      return bytes;
    }

    /** Repeated when Cassandra was too busy, as the journal does. */
    private CompletionStage<AsyncResultSet> insert(Statement<?> row, int attempts) {
      CompletionStage<AsyncResultSet> sent = site.session().executeAsync(row);
      return attempts == 1 ? sent : sent.exceptionallyCompose(e -> insert(row, attempts - 1));
    }

    void measure() throws InterruptedException {
      measure(plain, this::insert);
      measure(ours, this::append);
      ratio.add(ours.megabytes.last() / plain.megabytes.last());
    }

    private void measure(Column column, Work work) throws InterruptedException {
      double cassandra = site.cassandraCpuSeconds();
      double own = ownCpuSeconds();
      long disk = site.cassandraDiskBytes();
      long begin = System.nanoTime();
      long bytes = work.run(seconds);
      double elapsed = (System.nanoTime() - begin) / 1e9;
      double gibibytes = bytes / (double) (1 << 30);
      column.megabytes.add(bytes / 1e6 / elapsed);
      column.cassandraCpu.add((site.cassandraCpuSeconds() - cassandra) / gibibytes);
      column.ownCpu.add((ownCpuSeconds() - own) / gibibytes);
      column.diskBytes.add((site.cassandraDiskBytes() - disk) / (double) bytes);
    }
  }

  private interface Work {
    long run(int seconds) throws InterruptedException;
  }

  private static double ownCpuSeconds() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime()
        / 1e9;
  }

  @Override
  public Integer call() throws Exception {
    List<Mode> parsed = modes.stream().map(Mode::parse).toList();
    List<BenchSite> sites = new ArrayList<>();
    try {
      List<Lane> lanes = new ArrayList<>();
      for (Mode mode : parsed) {
        BenchSite site = BenchSite.start(directory, mode.settings());
        sites.add(site);
        lanes.add(new Lane(mode, site));
      }
      for (Lane lane : lanes) {
        lane.insert(WARM_UP_SECONDS);
        lane.append(WARM_UP_SECONDS);
      }
      for (int i = 0; i < reps; i++) {
        for (Lane lane : lanes) {
          lane.measure();
        }
      }
      print(lanes);
    } finally {
      sites.forEach(BenchSite::close);
    }
    return 0;
  }

  private void print(List<Lane> lanes) {
    System.out.printf(
        "Data %s, segments of %d KiB, writes of %d KiB, %d MiB in flight, %d x %d s%n%n",
        data, segmentKib, writeKib, windowMib, reps, seconds);
    System.out.println(
        "| mode | plain MB/s | journal MB/s | journal/plain | CPU s/GiB plain: Cassandra + driver"
            + " | CPU s/GiB journal: Cassandra + node | disk bytes/byte plain, journal |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- |");
    for (Lane lane : lanes) {
      System.out.printf(
          "| %s | %s | %s | %s | %.1f + %.1f | %.1f + %.1f | %.2f, %.2f |%n",
          lane.mode.text(),
          lane.plain.megabytes.text(0),
          lane.ours.megabytes.text(0),
          lane.ratio.text(2),
          lane.plain.cassandraCpu.median(),
          lane.plain.ownCpu.median(),
          lane.ours.cassandraCpu.median(),
          lane.ours.ownCpu.median(),
          lane.plain.diskBytes.median(),
          lane.ours.diskBytes.median());
    }
  }
}
