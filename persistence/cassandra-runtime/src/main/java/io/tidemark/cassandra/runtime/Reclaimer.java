package io.tidemark.cassandra.runtime;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.WeakHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.cassandra.db.ColumnFamilyStore;
import org.apache.cassandra.db.DecoratedKey;
import org.apache.cassandra.db.Slices;
import org.apache.cassandra.db.compaction.CompactionManager;
import org.apache.cassandra.db.filter.ColumnFilter;
import org.apache.cassandra.db.lifecycle.SSTableSet;
import org.apache.cassandra.db.lifecycle.View;
import org.apache.cassandra.db.rows.UnfilteredRowIterator;
import org.apache.cassandra.db.rows.UnfilteredSource;
import org.apache.cassandra.io.sstable.KeyReader;
import org.apache.cassandra.io.sstable.SSTableReadsListener;
import org.apache.cassandra.io.sstable.format.SSTableReader;
import org.apache.cassandra.schema.CompactionParams.TombstoneOption;
import org.apache.cassandra.utils.FBUtilities;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives deleted space back soon (R3). Partitions of the segment store are deleted long after they
 * were written, when the files that hold them have grown too large to be compacted any more: each
 * file of which at least half is deleted is compacted alone. A file that is wholly deleted goes
 * without anything being written; all rewriting together is at most as much as was ever deleted.
 *
 * <p>Concerns the tables whose compaction has {@code provide_overlapping_tombstones}.
 */
final class Reclaimer {
  private static final Logger LOG = LoggerFactory.getLogger(Reclaimer.class);

  /** Seconds between two looks. */
  static final String PROPERTY = "tidemark.cassandra.reclaim-seconds";

  private static final long SECONDS_DEFAULT = 15;

  /**
   * Looking is not repeated before so many times as long as a processor was busy with it: 5 % of a
   * core. What is waited for is not counted: flushes and compactions have limits of their own.
   */
  private static final int PAUSE_FACTOR = 20;

  /** Files with less deleted data than this wait. */
  private static final long DEAD_BYTES_MIN = 4 << 20;

  /** A table whose files do not get smaller rests. */
  private static final long REST_NANOS = TimeUnit.MINUTES.toNanos(1);

  private static final int FILES_A_ROUND_MAX = 32;

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final Map<ColumnFamilyStore, Long> resting = new WeakHashMap<>();
  private long pausedUntil = System.nanoTime();

  /** A file and how much of it is deleted, as far as flushed deletions tell and beyond that. */
  private record Candidate(
      SSTableReader file, DecoratedKey first, long deadBytes, boolean flushFirst) {
    /** Whether it has what another, which was compacted, had: then that was in vain. */
    boolean sameAs(Candidate other) {
      return other != null && deadBytes == other.deadBytes && first.equals(other.first);
    }
  }

  private Reclaimer() {}

  /** Begins to look; Cassandra has started. */
  static void start() {
    long seconds = Long.getLong(PROPERTY, SECONDS_DEFAULT);
    Reclaimer reclaimer = new Reclaimer();
    ScheduledExecutorService timer =
        Executors.newSingleThreadScheduledExecutor(
            work -> {
              Thread thread = new Thread(work, "reclaimer");
              thread.setDaemon(true);
              thread.setPriority(Thread.MIN_PRIORITY);
              return thread;
            });
    timer.scheduleWithFixedDelay(reclaimer::round, seconds, seconds, TimeUnit.SECONDS);
  }

  private void round() {
    if (System.nanoTime() - pausedUntil < 0) {
      return;
    }
    long begun = THREADS.getCurrentThreadCpuTime();
    try {
      for (ColumnFamilyStore table : ColumnFamilyStore.all()) {
        if (table.metadata().params.compaction.tombstoneOption() != TombstoneOption.NONE
            && !rests(table)) {
          reclaim(table);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException | ExecutionException | RuntimeException e) {
      LOG.warn("space was not given back; tried again later", e);
    }
    long busy = THREADS.getCurrentThreadCpuTime() - begun;
    pausedUntil = System.nanoTime() + PAUSE_FACTOR * busy;
  }

  private boolean rests(ColumnFamilyStore table) {
    Long since = resting.get(table);
    return since != null && System.nanoTime() - since < REST_NANOS;
  }

  private void reclaim(ColumnFamilyStore table)
      throws IOException, InterruptedException, ExecutionException {
    Candidate before = null;
    for (int i = 0; i < FILES_A_ROUND_MAX; i++) {
      Optional<Candidate> most =
          candidates(table).stream().max(Comparator.comparingLong(Candidate::deadBytes));
      if (most.isEmpty()) {
        return;
      }
      if (most.get().sameAs(before)) {
        LOG.warn("{}: compacting a file of deleted data in vain", table.name);
        resting.put(table, System.nanoTime());
        return;
      }
      before = most.get();
      if (most.get().flushFirst()) {
        table.forceBlockingFlush(ColumnFamilyStore.FlushReason.INTERNALLY_FORCED);
      }
      compact(table, most.get());
    }
  }

  private static void compact(ColumnFamilyStore table, Candidate candidate)
      throws InterruptedException, ExecutionException {
    LOG.info(
        "compacting {}: {} of {} bytes are deleted",
        candidate.file().descriptor,
        candidate.deadBytes(),
        candidate.file().onDiskLength());
    CompactionManager.instance
        .submitUserDefined(
            table, List.of(candidate.file().descriptor), table.gcBefore(FBUtilities.nowInSeconds()))
        .get();
  }

  private static List<Candidate> candidates(ColumnFamilyStore table) throws IOException {
    List<Candidate> found = new ArrayList<>();
    try (ColumnFamilyStore.RefViewFragment view =
        table.selectAndReference(View.selectFunction(SSTableSet.CANONICAL))) {
      List<SSTableReader> deletions =
          view.sstables.stream()
              .filter(file -> file.getSSTableMetadata().hasPartitionLevelDeletions)
              .toList();
      for (SSTableReader file : view.sstables) {
        if (table.getTracker().getCompacting().contains(file)
            || file.onDiskLength() < DEAD_BYTES_MIN) {
          continue;
        }
        Candidate candidate = candidate(file, deletions, view.memtables);
        if (candidate.deadBytes() >= DEAD_BYTES_MIN
            && candidate.deadBytes() * 2 >= file.uncompressedLength()) {
          found.add(candidate);
        }
      }
    }
    return found;
  }

  private static Candidate candidate(
      SSTableReader file,
      List<SSTableReader> deletions,
      Iterable<? extends UnfilteredSource> memtables)
      throws IOException {
    long dead = 0;
    boolean flush = false;
    try (KeyReader keys = file.keyReader()) {
      while (!keys.isExhausted()) {
        DecoratedKey key = file.decorateKey(keys.key().duplicate());
        long begin = keys.dataPosition();
        long end = keys.advance() ? keys.dataPosition() : file.uncompressedLength();
        if (deletions.stream().anyMatch(other -> other != file && deletes(other, file, key))) {
          dead += end - begin;
        } else {
          for (UnfilteredSource memtable : memtables) {
            if (deletes(memtable, file, key)) {
              dead += end - begin;
              flush = true;
            }
          }
        }
      }
    }
    return new Candidate(file, file.getFirst(), dead, flush);
  }

  /** Whether a source has a deletion of the whole partition that came after all of the file. */
  private static boolean deletes(UnfilteredSource source, SSTableReader file, DecoratedKey key) {
    try (UnfilteredRowIterator partition =
        source.rowIterator(
            key,
            Slices.NONE,
            ColumnFilter.all(file.metadata()),
            false,
            SSTableReadsListener.NOOP_LISTENER)) {
      return partition != null
          && partition.partitionLevelDeletion().deletes(file.getMaxTimestamp());
    }
  }
}
