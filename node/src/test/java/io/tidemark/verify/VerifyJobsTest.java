package io.tidemark.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.NotUsed;
import akka.stream.javadsl.Source;
import io.tidemark.image.HeldPoints;
import io.tidemark.image.VolumePoints;
import io.tidemark.index.IndexStore;
import io.tidemark.index.SegmentEntry;
import io.tidemark.job.JobRegistry;
import io.tidemark.job.JobSummary;
import io.tidemark.order.TapOrder;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import io.tidemark.site.Site;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.VolumeSummary;
import io.tidemark.taplink.LiveLinks;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A volume of two hundred segments that no index node covers yet, in memory. */
class VerifyJobsTest {
  private static final VolumeName NAME = new VolumeName("disk");
  private static final VolumeId ID = VolumeId.random();
  private static final int CHUNK = 4096;
  private static final int SEGMENTS = 200;

  private final List<SegmentEntry> entries = new ArrayList<>();
  private final Map<Long, byte[]> data = new HashMap<>();
  private final JobRegistry jobs = new JobRegistry(MicroClock.system());
  private CompletableFuture<Void> gate = CompletableFuture.completedFuture(null);
  private BackingStoreCheck backing = BackingStoreCheck.unavailable("no tap is attached");
  private Optional<String> tapNode = Optional.empty();
  private VerifyJobs verify;

  @BeforeEach
  void start() {
    for (int i = 0; i < SEGMENTS; i++) {
      byte[] bytes = new byte[3 * CHUNK - 512];
      java.util.Arrays.fill(bytes, (byte) i);
      int[] crcs = new int[3];
      for (int c = 0; c < 3; c++) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, c * CHUNK, Math.min(CHUNK, bytes.length - c * CHUNK));
        crcs[c] = (int) crc.getValue();
      }
      SegmentMeta meta =
          new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(i + 1), CHUNK)
              .add(1_000 + i, i * 512L, bytes.length, false)
              .build(crcs);
      entries.add(new SegmentEntry(meta, i, i + 2));
      data.put((long) i, bytes);
    }
    verify =
        new VerifyJobs(
            jobs,
            new OneVolume(),
            id -> (from, to) -> CompletableFuture.completedStage(between(from, to)),
            new NoIndex(),
            new Chunks(),
            (head, control) -> backing.compare(head, control),
            new HeldPoints(new NoPoints()));
  }

  private List<SegmentEntry> between(long from, long to) {
    return entries.stream().filter(e -> e.eventNr() >= from && e.eventNr() <= to).toList();
  }

  @AfterEach
  void stop() {
    gate.complete(null);
    verify.close();
  }

  private JobSummary begin() {
    return verify.verify(NAME).toCompletableFuture().orTimeout(30, TimeUnit.SECONDS).join();
  }

  private JobSummary ended(JobSummary job) {
    return jobs.ended(job.id()).toCompletableFuture().orTimeout(60, TimeUnit.SECONDS).join();
  }

  /** A sound journal passes, and the result says what was looked at. */
  @Test
  void shouldPassASoundJournal() {
    JobSummary job = ended(begin());
    assertEquals(JobSummary.State.DONE, job.state(), job.toString());
    assertEquals(
        Map.of(
            "segments", "200",
            "writes", "200",
            "chunks", "600",
            "indexNodes", "0",
            "extents", "0",
            "backingStore", "no tap is attached"),
        job.result());
  }

  /** A flipped bit, a missing chunk, a lost segment and a differing block are all found. */
  @Test
  void shouldFindFaults() {
    data.get(7L)[CHUNK + 5] ^= 1;
    data.remove(150L);
    backing =
        (head, control) ->
            new BackingStoreCheck.Outcome(
                true, "compared at seq:200", List.of(new ByteRange(512, 1024)));
    JobSummary job = ended(begin());
    assertEquals(JobSummary.State.FAILED, job.state());
    assertEquals(ErrorCode.CORRUPT, job.error().orElseThrow().code());
    assertTrue(job.error().get().message().startsWith("5 faults"), job.toString());
    assertTrue(job.result().get("finding-1").contains("chunk 1 of"), job.toString());
    assertTrue(job.result().get("finding-5").contains("1024 bytes at offset 512"));
  }

  /** One verification a volume at a time; it can be cancelled. */
  @Test
  void shouldRunOnceAtATimeAndCancel() {
    gate = new CompletableFuture<>();
    JobSummary job = begin();
    CompletionException e = assertThrows(CompletionException.class, this::begin);
    assertEquals(ErrorCode.BUSY, ((Refusal) e.getCause()).code());
    jobs.cancel(job.id());
    gate.complete(null);
    assertEquals(JobSummary.State.CANCELLED, ended(job).state());
    assertEquals(JobSummary.State.DONE, ended(begin()).state());
  }

  /** A tap that is connected to another node is that node's to ask. */
  @Test
  void shouldNameTheNodeThatTheTapIsConnectedTo() {
    backing = new TapComparison(new OneVolume(), new NoPoints(), new LiveLinks());
    JobSummary job = ended(begin());
    assertEquals(JobSummary.State.DONE, job.state());
    assertTrue(job.result().get("backingStore").startsWith("not compared: no tap"), job.toString());
    tapNode = Optional.of("akka://site@10.0.0.2:25520");
    job = ended(begin());
    assertEquals(JobSummary.State.DONE, job.state());
    String words = job.result().get("backingStore");
    assertTrue(words.startsWith("not compared here: "), words);
    assertTrue(words.contains("akka://site@10.0.0.2:25520"), words);
  }

  private static final class NoPoints implements VolumePoints {
    @Override
    public CompletionStage<Located> locate(VolumeName volume, At at) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<PointReader> open(Located located) {
      throw new UnsupportedOperationException();
    }
  }

  private final class Chunks implements SegmentStore {
    @Override
    public CompletionStage<Long> store(
        SegmentRef ref, SegmentMeta meta, List<ByteBuffer> segmentData) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
      return gate.thenApplyAsync(
          open -> {
            byte[] bytes = data.get(ref.number());
            if (bytes == null) {
              throw new Refusal(ErrorCode.CORRUPT, "the chunk is missing");
            }
            int from = chunk * CHUNK;
            return ByteBuffer.wrap(bytes, from, Math.min(CHUNK, bytes.length - from)).slice();
          });
    }

    @Override
    public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<Void> deleteRuns(
        VolumeId volume, int session, int firstRun, int lastRun) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
      throw new UnsupportedOperationException();
    }
  }

  private static final class NoIndex implements IndexStore {
    @Override
    public CompletionStage<Void> putBlock(VolumeId volume, long node, int block, byte[] bytes) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<byte[]> readBlock(VolumeId volume, long node, int block) {
      return CompletableFuture.failedStage(new Refusal(ErrorCode.CORRUPT, "missing"));
    }

    @Override
    public CompletionStage<Void> deleteNode(VolumeId volume, long node) {
      throw new UnsupportedOperationException();
    }
  }

  private final class OneVolume implements Site {
    private static final RecoveryPoint POINT =
        new RecoveryPoint(new WriteSeq(SEGMENTS), new MicroTime(5_000), "main");

    @Override
    public CompletionStage<VolumeSummary> createVolume(
        VolumeName name, long sizeBytes, boolean synchronous) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<List<VolumeSummary>> volumes() {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<VolumeSummary> volume(VolumeName name) {
      return CompletableFuture.completedStage(
          new VolumeSummary(
              name,
              ID,
              1 << 20,
              "site",
              "Protected",
              "Primary",
              1,
              "main",
              false,
              POINT,
              POINT,
              SEGMENTS * (3L * CHUNK - 512),
              1,
              tapNode.isPresent(),
              Optional.empty(),
              tapNode,
              Optional.empty(),
              0,
              List.of()));
    }

    @Override
    public CompletionStage<Void> deleteVolume(VolumeName name) {
      throw new UnsupportedOperationException();
    }

    @Override
    public CompletionStage<byte[]> order(VolumeName name, TapOrder order) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "no tap is attached"));
    }

    @Override
    public CompletionStage<HistoryView> history(VolumeName name) {
      return CompletableFuture.completedStage(
          new HistoryView(
              ID,
              "volume|disk",
              1 << 20,
              1,
              SEGMENTS,
              5_000,
              0,
              0,
              List.of(),
              List.of(),
              1,
              SEGMENTS + 1));
    }

    @Override
    public Source<SiteEvent, NotUsed> events() {
      return Source.empty();
    }
  }
}
