package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.CqlSession;
import io.tidemark.cassandra.TestSegments.Segment;
import io.tidemark.position.VolumeId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** Space of deleted runs comes back, whatever the table's compaction would do. */
class ReclaimerTest {
  private static final long SEED = Long.getLong("tidemark.seed", 20_261_124L);
  private static final int RUNS = 40;
  private static final int RUN_SEGMENTS = 16;
  private static final int SEGMENT_BYTES = 256 << 10;

  @Test
  void shouldGiveTheSpaceOfDeletedRunsBack() {
    System.out.println("seed " + SEED + " (-Dtidemark.seed)");
    CassandraSettings own = TestCassandra.settings("");
    Path directory = TestCassandra.directory("reclaim");
    try (EmbeddedCassandra cassandra = EmbeddedCassandra.start(own.server(), directory)) {
      CassandraSettings settings = own.withContactPoint(cassandra.contactPoint());
      try (CqlSession session = CassandraSessions.open(settings)) {
        Schema.create(session, settings);
        check(new CassandraSegmentStore(session, settings, 2), directory);
      }
    }
    TestCassandra.delete(directory);
  }

  private static void check(CassandraSegmentStore store, Path directory) {
    try (store) {
      VolumeId volume = VolumeId.random();
      Random random = new Random(SEED);
      List<Segment> kept = new ArrayList<>();
      for (int run = 0; run < RUNS; run++) {
        List<CompletableFuture<Long>> stored = new ArrayList<>();
        for (int i = 0; i < RUN_SEGMENTS; i++) {
          Segment segment =
              TestSegments.segment(volume, 1, run * RUN_SEGMENTS + i, SEGMENT_BYTES, SEED);
          stored.add(
              store
                  .store(segment.ref(), segment.meta(), segment.pieces(random))
                  .toCompletableFuture());
          if (run >= RUNS - 2) {
            kept.add(segment);
          }
        }
        stored.forEach(CompletableFuture::join);
      }
      // 160 MiB are more than memory holds: some of it is in files.
      await(() -> bytes(directory) > 40L << 20, directory);
      store.deleteRuns(volume, 1, 0, RUNS - 3).toCompletableFuture().join();
      await(() -> bytes(directory) < 24L << 20, directory);
      for (Segment segment : kept) {
        for (int i = 0; i < segment.meta().chunkCount(); i++) {
          assertEquals(
              segment.chunk(i), store.readChunk(segment.ref(), i).toCompletableFuture().join());
        }
      }
    }
  }

  private static void await(BooleanSupplier condition, Path directory) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(50);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, () -> bytes(directory) + " bytes are in files");
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(200));
    }
  }

  /** Bytes in data files of chunks; one that goes while it is looked at counts nothing. */
  private static long bytes(Path directory) {
    AtomicLong bytes = new AtomicLong();
    try {
      Files.walkFileTree(
          directory,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
              if (file.toString().contains("segment_chunk-")
                  && file.toString().endsWith("Data.db")) {
                bytes.addAndGet(attributes.size());
              }
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException gone) throws IOException {
              if (gone instanceof NoSuchFileException) {
                return FileVisitResult.CONTINUE;
              }
              throw gone;
            }
          });
    } catch (IOException e) {
      throw new UncheckedIOException("cannot look at Cassandra's files", e);
    }
    return bytes.get();
  }
}
