package io.tidemark.verify;

import io.tidemark.image.HeldPoints;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.index.IndexCheck;
import io.tidemark.index.IndexStore;
import io.tidemark.index.IndexedHistory;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.SegmentHistory;
import io.tidemark.job.JobControl;
import io.tidemark.job.JobRegistry;
import io.tidemark.job.JobSummary;
import io.tidemark.point.HistoryView;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.zip.CRC32C;

/** Verification jobs of this node; each has a thread while it runs. */
public final class VerifyJobs implements Verifications, AutoCloseable {
  /** Chunks that one job asks the segment store for at once (J9). */
  public static final int CHUNKS_IN_FLIGHT_MAX = 8;

  /** Findings that are told; a job that has more ends there. */
  public static final int FINDINGS_MAX = 100;

  /** So often an index is checked again that is cut while it is checked. */
  private static final int CUTS_MAX = 4;

  private static final int EVENTS_AT_ONCE = 64;

  /** The index counts for so much of the progress, as a part of the data. */
  private static final int INDEX_SHARE = 10;

  private final Site site;
  private final Function<String, SegmentHistory> histories;
  private final SegmentStore segments;
  private final IndexCheck index;
  private final BackingStoreCheck backing;
  private final HeldPoints held;
  private final JobRegistry jobs;
  private final Set<VolumeName> running = ConcurrentHashMap.newKeySet();
  private final ExecutorService threads =
      Executors.newCachedThreadPool(
          work -> {
            Thread thread = new Thread(work, "verify");
            thread.setDaemon(true);
            return thread;
          });

  /**
   * @param histories the segments of the volume with a persistence id
   * @param held keeps what is verified from being cut meanwhile (J8)
   */
  public VerifyJobs(
      JobRegistry jobs,
      Site site,
      Function<String, SegmentHistory> histories,
      IndexStore index,
      SegmentStore segments,
      BackingStoreCheck backing,
      HeldPoints held) {
    this.jobs = jobs;
    this.site = site;
    this.histories = histories;
    this.index = new IndexCheck(index);
    this.segments = segments;
    this.backing = backing;
    this.held = held;
  }

  @Override
  public CompletionStage<JobSummary> verify(VolumeName volume) {
    String holder = "verify:" + UUID.randomUUID();
    return held.holdHistory(() -> site.volume(volume), holder)
        .thenCompose(
            summary -> site.history(volume).thenApply(view -> start(summary, view, holder)))
        .whenComplete(
            (job, refused) -> {
              if (refused != null) {
                held.release(volume, holder);
              }
            });
  }

  private JobSummary start(VolumeSummary volume, HistoryView view, String holder) {
    if (!running.add(volume.name())) {
      throw new Refusal(
          ErrorCode.BUSY, "a verification of '" + volume.name() + "' is running already");
    }
    return jobs.start(
        "verify",
        "verification of " + volume.name() + " up to seq:" + view.headSeq(),
        control ->
            CompletableFuture.runAsync(() -> new Run(control, volume, view).all(), threads)
                .whenComplete(
                    (done, failure) -> {
                      running.remove(volume.name());
                      held.release(volume.name(), holder);
                    }));
  }

  /** Cancels what runs and waits for it. Blocks. */
  @Override
  public void close() {
    jobs.close();
    threads.shutdown();
  }

  private final class Run {
    private final JobControl control;
    private final VolumeSummary volume;
    private final HistoryView view;
    private final SegmentHistory history;
    private final List<String> findings = new ArrayList<>();
    private final Deque<Reading> inFlight = new ArrayDeque<>();
    private long chunks;

    Run(JobControl control, VolumeSummary volume, HistoryView view) {
      this.control = control;
      this.volume = volume;
      this.view = view;
      this.history = histories.apply(view.persistenceId());
    }

    private record Reading(SegmentEntry entry, int chunk, CompletableFuture<ByteBuffer> content) {}

    void all() {
      long indexShare = volume.rawBytes() / INDEX_SHARE + 1;
      control.total(volume.rawBytes() + indexShare + view.sizeBytes());
      checkChunks();
      checkIndex(indexShare);
      checkBackingStore();
      if (!findings.isEmpty()) {
        for (int i = 0; i < findings.size(); i++) {
          control.note("finding-" + (i + 1), findings.get(i));
        }
        throw new Refusal(
            ErrorCode.CORRUPT,
            findings.size()
                + (findings.size() == 1 ? " fault was" : " faults were")
                + " found in the journal of '"
                + volume.name()
                + "', the first: "
                + findings.get(0));
      }
    }

    private void stopIfCancelled() {
      if (control.cancelled()) {
        throw new CancellationException();
      }
    }

    private void find(String finding) {
      if (findings.size() < FINDINGS_MAX) {
        findings.add(finding);
      }
    }

    private void checkChunks() {
      long writes = 0;
      long count = 0;
      // Data before the base moves when history is cut; the index and the head are checked below.
      long first = view.base().map(base -> base.lastEventNr() + 1).orElse(1L);
      for (long from = first; from <= view.tailToEventNr(); from += EVENTS_AT_ONCE) {
        long to = Math.min(view.tailToEventNr(), from + EVENTS_AT_ONCE - 1);
        for (SegmentEntry entry : history.segments(from, to).toCompletableFuture().join()) {
          readChunks(entry);
          writes += entry.meta().count();
          count++;
        }
      }
      while (!inFlight.isEmpty()) {
        checkOldest();
      }
      control.note("segments", Long.toString(count));
      control.note("writes", Long.toString(writes));
      control.note("chunks", Long.toString(chunks));
    }

    private void readChunks(SegmentEntry entry) {
      SegmentRef ref = new SegmentRef(view.volume(), entry.segmentNumber());
      for (int chunk = 0; chunk < entry.meta().chunkCount(); chunk++) {
        if (inFlight.size() == CHUNKS_IN_FLIGHT_MAX) {
          checkOldest();
        }
        stopIfCancelled();
        inFlight.add(
            new Reading(entry, chunk, segments.readChunk(ref, chunk).toCompletableFuture()));
      }
    }

    private void checkOldest() {
      Reading reading = inFlight.remove();
      int expected = reading.entry().meta().chunkCrc(reading.chunk());
      chunks++;
      control.advance(reading.entry().meta().chunkLength(reading.chunk()));
      try {
        ByteBuffer content = reading.content().join();
        CRC32C crc = new CRC32C();
        crc.update(content.duplicate());
        if ((int) crc.getValue() != expected) {
          find(where(reading) + " does not match the tap's checksum");
        }
      } catch (CompletionException e) {
        if (e.getCause() instanceof Refusal refusal && refusal.code() == ErrorCode.CORRUPT) {
          if (cutSince(reading.entry())) {
            return;
          }
          find(where(reading) + ": " + refusal.getMessage());
        } else {
          throw e;
        }
      }
    }

    private String where(Reading reading) {
      return "chunk %d of the %s".formatted(reading.chunk(), reading.entry().meta());
    }

    /** What is cut while it is checked is checked again, as it is then. */
    private void checkIndex(long share) {
      HistoryView now = view;
      IndexCheck.Report report = checkIndex(now, share);
      for (int i = 0; i < CUTS_MAX && !report.problems().isEmpty(); i++) {
        HistoryView later = site.history(volume.name()).toCompletableFuture().join();
        if (later.base().equals(now.base())) {
          break;
        }
        now = later;
        report = checkIndex(now, share);
      }
      control.note("indexNodes", Long.toString(report.nodes()));
      control.note("extents", Long.toString(report.extents()));
      report.problems().forEach(this::find);
    }

    private IndexCheck.Report checkIndex(HistoryView now, long share) {
      IndexedHistory indexed =
          new IndexedHistory(
              now.volume(),
              now.frontier(),
              now.onLine(history),
              now.tailFromEventNr(),
              now.tailToEventNr(),
              now.layers());
      long[] told = {0};
      return index.check(
          indexed,
          now.sizeBytes(),
          eventNr -> {
            stopIfCancelled();
            long done = (long) ((double) share * eventNr / Math.max(1, now.tailToEventNr()));
            control.advance(Math.max(0, done - told[0]));
            told[0] = Math.max(told[0], done);
          });
    }

    /** Whether retention has given up a segment since the job began. */
    private boolean cutSince(SegmentEntry entry) {
      HistoryView now = site.history(volume.name()).toCompletableFuture().join();
      return now.base()
          .filter(base -> base.lastSeq() >= entry.meta().lastSeq().value())
          .isPresent();
    }

    private void checkBackingStore() {
      stopIfCancelled();
      RecoveryPoint head =
          new RecoveryPoint(
              new WriteSeq(view.headSeq()),
              new MicroTime(view.headTimeMicros()),
              RecoveryPoint.MAIN_BRANCH);
      BackingStoreCheck.Outcome outcome;
      try {
        outcome =
            backing.compare(
                new Located(volume.name(), view.volume(), view.sizeBytes(), head), control);
      } catch (Refusal e) {
        if (e.code() != ErrorCode.CORRUPT) {
          throw e;
        }
        find("the newest content cannot be read: " + e.getMessage());
        return;
      }
      control.note("backingStore", outcome.words());
      for (ByteRange range : outcome.different()) {
        find(
            "the backing store differs from the journal in %d bytes at offset %d"
                .formatted(range.length(), range.offset()));
      }
    }
  }
}
