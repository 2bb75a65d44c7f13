package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import io.tidemark.cassandra.TestSegments.Segment;
import io.tidemark.position.VolumeId;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongFunction;

/**
 * Measures journal ingest on this machine: what the embedded Cassandra takes, by commit-log mode,
 * row size and rows in flight, with plain driver inserts and through the segment store.
 *
 * <p>Arguments: {@code SECONDS MODE...}, a mode being {@code sync:access:rowKiB:inFlight}, such as
 * {@code batch:direct:64:32}, with {@code :store} at the end for the segment store.
 */
public final class IngestBench {
  private static final int WARM_UP_SECONDS = 3;
  private static final int SEGMENT_CHUNKS = 16;

  private IngestBench() {}

  public static void main(String[] args) throws Exception {
    int seconds = Integer.parseInt(args[0]);
    System.out.println(
        "| mode | MB/s | p50 ms | p99 ms | Cassandra CPU s/GiB | device bytes/byte |");
    System.out.println("| --- | --- | --- | --- | --- | --- |");
    for (String mode : Arrays.copyOfRange(args, 1, args.length)) {
      String[] field = mode.split(":");
      measure(mode, field, seconds);
    }
  }

  private static void measure(String mode, String[] field, int seconds) throws Exception {
    CassandraSettings settings =
        TestCassandra.settings(
            """
            tidemark.cassandra { chunks-in-flight = %s, compression = none, embedded-server {
              commit-log-sync = %s, commit-log-access = %s, heap = %s, memtable = %s } }"""
                .formatted(
                    field[3],
                    field[0],
                    field[1],
                    System.getProperty("heap", "1 GiB"),
                    System.getProperty("memtable", "128 MiB")));
    Path directory =
        Files.createTempDirectory(
            Files.createDirectories(Path.of(System.getProperty("data", "target/data"))), "bench");
    try (EmbeddedCassandra cassandra = EmbeddedCassandra.start(settings.server(), directory)) {
      settings = settings.withContactPoint(cassandra.contactPoint());
      try (CqlSession session = CassandraSessions.open(settings)) {
        Schema.create(session, settings);
        String alter = System.getProperty("alter", "");
        if (!alter.isEmpty()) {
          session.execute("ALTER TABLE tidemark.segment_chunk WITH " + alter);
        }
        int rowBytes = Integer.parseInt(field[2]) << 10;
        int inFlight = Integer.parseInt(field[3]);
        boolean throughStore = field.length > 4;
        try (CassandraSegmentStore store = new CassandraSegmentStore(session, settings, 2)) {
          LongFunction<CompletionStage<?>> write =
              throughStore ? segments(store) : rows(session, rowBytes);
          int unitBytes = throughStore ? SEGMENT_CHUNKS * TestSegments.CHUNK_BYTES : rowBytes;
          int units = throughStore ? Math.max(2, inFlight / SEGMENT_CHUNKS * 2) : inFlight;
          run(write, units, unitBytes, WARM_UP_SECONDS);
          long device = deviceBytes();
          long cpu = cpuMillis(cassandra.pid());
          Figures figures = run(write, units, unitBytes, seconds);
          double gibibytes = figures.bytes() / (double) (1 << 30);
          System.out.printf(
              "| %s | %.0f | %.1f | %.1f | %.1f | %.2f |%n",
              mode,
              figures.bytes() / 1e6 / figures.seconds(),
              figures.percentile(50),
              figures.percentile(99),
              (cpuMillis(cassandra.pid()) - cpu) / 1e3 / gibibytes,
              (deviceBytes() - device) / (double) figures.bytes());
        }
      }
    } finally {
      TestCassandra.delete(directory);
    }
  }

  private static LongFunction<CompletionStage<?>> rows(CqlSession session, int rowBytes) {
    PreparedStatement insert =
        session.prepare(
            SimpleStatement.newInstance(
                    "INSERT INTO tidemark.segment_chunk"
                        + " (volume, session, run, part, ordinal, chunk, data)"
                        + " VALUES (?, 1, ?, 0, ?, ?, ?)")
                .setExecutionProfileName(CassandraSessions.WRITES));
    byte[] row = new byte[rowBytes];
    new Random(1).nextBytes(row);
    ByteBuffer data = ByteBuffer.wrap(row);
    UUID volume = UUID.randomUUID();
    int rowsInPartition = (16 << 20) / rowBytes;
    return number ->
        session.executeAsync(
            insert.bind(
                volume,
                (int) (number / rowsInPartition),
                (int) (number % rowsInPartition),
                0,
                data.duplicate()));
  }

  private static LongFunction<CompletionStage<?>> segments(CassandraSegmentStore store) {
    VolumeId volume = VolumeId.random();
    Segment template =
        TestSegments.segment(volume, 1, 0, SEGMENT_CHUNKS * TestSegments.CHUNK_BYTES, 1);
    return number ->
        store.store(
            new io.tidemark.segment.SegmentRef(
                volume, io.tidemark.segment.SegmentRef.number(1, (int) number)),
            template.meta(),
            template.data());
  }

  private record Figures(long bytes, double seconds, long[] nanos) {
    double percentile(int p) {
      return nanos.length == 0 ? 0 : nanos[(int) ((nanos.length - 1L) * p / 100)] / 1e6;
    }
  }

  private static final AtomicLong NUMBER = new AtomicLong();

  private static Figures run(
      LongFunction<CompletionStage<?>> write, int units, int unitBytes, int seconds)
      throws InterruptedException {
    Semaphore slots = new Semaphore(units);
    List<Long> nanos = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    long begin = System.nanoTime();
    long end = begin + TimeUnit.SECONDS.toNanos(seconds);
    while (System.nanoTime() < end) {
      slots.acquire();
      long sent = System.nanoTime();
      write
          .apply(NUMBER.getAndIncrement())
          .whenComplete(
              (done, failure) -> {
                synchronized (nanos) {
                  nanos.add(System.nanoTime() - sent);
                  if (failure != null) {
                    failures.add(failure);
                  }
                }
                slots.release();
              });
    }
    slots.acquire(units);
    double elapsed = (System.nanoTime() - begin) / 1e9;
    if (!failures.isEmpty()) {
      throw new IllegalStateException(failures.size() + " writes failed", failures.get(0));
    }
    long[] sorted = nanos.stream().mapToLong(Long::longValue).sorted().toArray();
    return new Figures((long) sorted.length * unitBytes, elapsed, sorted);
  }

  private static long cpuMillis(long pid) {
    return ProcessHandle.of(pid)
        .flatMap(process -> process.info().totalCpuDuration())
        .orElseThrow()
        .toMillis();
  }

  /** Bytes written to all whole disks so far. */
  private static long deviceBytes() throws java.io.IOException {
    long sectors = 0;
    for (String line : Files.readAllLines(Path.of("/proc/diskstats"))) {
      String[] field = line.strip().split("\\s+");
      if (field[2].matches("vd[a-z]|sd[a-z]|nvme\\d+n\\d+")) {
        sectors += Long.parseLong(field[9]);
      }
    }
    return sectors * 512;
  }
}
