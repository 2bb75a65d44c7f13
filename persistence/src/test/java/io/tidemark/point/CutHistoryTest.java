package io.tidemark.point;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.BaseLayers;
import io.tidemark.index.Frontier;
import io.tidemark.index.IndexCheck;
import io.tidemark.index.IndexedHistory;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.RunTable;
import io.tidemark.index.TestSeed;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.Compaction;
import io.tidemark.retention.Compaction.Outcome;
import io.tidemark.retention.Compaction.RunRange;
import io.tidemark.retention.Compactor;
import io.tidemark.segment.SegmentRef;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.Test;

/**
 * Histories whose horizon moves, against a plain model of the disk: every point that is not refused
 * is exact (R2), whatever was freed (R3), and space stays bounded (R4).
 */
class CutHistoryTest {
  private static final int BLOCK = 512;

  /** One volume with a horizon, and what frees at once whatever a compaction gives up. */
  private static final class CutDisk {
    private final TestDisk disk;
    private final Random random;
    private final BaseLayers layers;
    private final Compactor compactor;
    private final TreeSet<Long> kept = new TreeSet<>();
    private RunTable.Ref runs = RunTable.Ref.NONE;
    private long nodeId = 1L << 40;
    private long eventsGone;
    private int attempts;
    private long copiedBytes;
    private long cutBytes;
    private long freedBytes;

    CutDisk(int sizeBytes, Random random) {
      this.random = random;
      this.disk = new TestDisk(sizeBytes, random, Runnable::run, 1 << 20);
      this.layers = new BaseLayers(disk.indexStore);
      this.compactor = new Compactor(disk.segments, disk.indexStore, () -> ++nodeId, () -> false);
    }

    void write(int segments, int lengthBlocksMax) {
      for (int i = 0; i < segments; i++) {
        disk.segment(1 + random.nextInt(8), BLOCK, lengthBlocksMax);
        if (random.nextInt(3) == 0) {
          disk.history.leaf(1 + random.nextInt(disk.history.unindexed.size()));
          disk.history.merge();
        }
      }
    }

    void index() {
      if (!disk.history.unindexed.isEmpty()) {
        disk.history.leaf(disk.history.unindexed.size());
      }
    }

    void moveHorizon(long seq) {
      if (seq > disk.horizonSeq) {
        disk.horizonSeq = seq;
        disk.horizonTime = disk.writes.get((int) seq - 1).time();
      }
      disk.keptSeqs = List.copyOf(kept.headSet(disk.horizonSeq));
    }

    void keep(long seq) {
      if (seq >= disk.horizonSeq) {
        kept.add(seq);
      }
    }

    Compaction task() {
      return new Compaction(
          disk.history.volume,
          disk.history.frontier,
          disk.layers,
          runs,
          disk.horizonSeq,
          disk.keptSeqs,
          attempts++);
    }

    void compact() {
      Compaction task = task();
      compactor.run(task, disk.history.events).ifPresent(this::apply);
    }

    private void apply(Outcome outcome) {
      List<NodeHeader> frontier = new ArrayList<>();
      frontier.add(outcome.base());
      frontier.addAll(outcome.after());
      disk.history.frontier.stream()
          .filter(node -> node.firstSeq() > outcome.prefixEndSeq())
          .forEach(frontier::add);
      Frontier.check(frontier);
      disk.history.frontier = List.copyOf(frontier);
      disk.layers = outcome.layers();
      runs = outcome.runs();
      copiedBytes += outcome.copied().rawBytes();
      cutBytes += outcome.cut().rawBytes();
      freedBytes += outcome.freed().rawBytes();
      for (RunRange range : outcome.freedRuns()) {
        disk.segments.deleteRuns(
            disk.history.volume, range.session(), range.firstRun(), range.lastRun());
      }
      outcome.freedTrees().forEach(node -> layers.deleteTree(disk.history.volume, node));
      outcome.freedNodes().forEach(id -> layers.delete(disk.history.volume, id));
      for (; eventsGone < outcome.base().lastEventNr(); ) {
        disk.history.events.remove(++eventsGone);
      }
    }

    PointReader open(long seq) {
      HistoryView view = disk.view();
      RecoveryPoint point =
          join(disk.points.resolve(view, disk.history.events, new At.Seq(new WriteSeq(seq))));
      assertEquals(seq, point.seq().value());
      assertEquals(time(seq), point.time().micros());
      return join(
          disk.points.open(
              view,
              disk.history.events,
              point,
              () -> CompletableFuture.completedFuture(disk.view())));
    }

    private long time(long seq) {
      return seq == 0 ? TestDisk.CREATED : disk.writes.get((int) seq - 1).time();
    }

    void checkPoint(PointReader reader) {
      byte[] model = model(reader.point().seq().value());
      ByteBuffer read = join(reader.read(0, disk.sizeBytes));
      byte[] bytes = new byte[read.remaining()];
      read.get(bytes);
      assertArrayEquals(model, bytes, () -> "seq " + reader.point().seq());
    }

    byte[] model(long seq) {
      byte[] model = new byte[disk.sizeBytes];
      disk.writes.subList(0, (int) seq).forEach(write -> write.apply(model));
      return model;
    }

    void checkRefused(long seq) {
      CompletionException refused =
          assertThrows(CompletionException.class, () -> open(seq), () -> "seq " + seq);
      assertEquals(ErrorCode.BEYOND_HORIZON, ((Refusal) refused.getCause()).code());
      assertTrue(refused.getMessage().contains("seq:" + disk.horizonSeq), refused.getMessage());
    }

    /** Every point there is, or some when there are many, and every kind of refusal. */
    void check(int pointsMax) {
      long head = disk.history.headSeq;
      for (long seq = disk.horizonSeq; seq <= head; seq++) {
        if (head - disk.horizonSeq <= pointsMax
            || seq == disk.horizonSeq
            || seq == head
            || random.nextInt((int) (head - disk.horizonSeq)) < pointsMax) {
          checkPoint(open(seq));
        }
      }
      for (long seq : disk.keptSeqs) {
        checkPoint(open(seq));
      }
      for (int i = 0; disk.horizonSeq > 0 && i < 3; i++) {
        long seq = random.nextInt((int) disk.horizonSeq);
        if (!disk.keptSeqs.contains(seq)) {
          checkRefused(seq);
        }
      }
      HistoryView view = disk.view();
      IndexCheck.Report report =
          new IndexCheck(disk.indexStore)
              .check(
                  new IndexedHistory(
                      view.volume(),
                      view.frontier(),
                      disk.history.events,
                      view.tailFromEventNr(),
                      view.tailToEventNr(),
                      view.layers()),
                  disk.sizeBytes,
                  event -> {});
      assertEquals(List.of(), report.problems());
    }
  }

  private static <T> T join(CompletionStage<T> stage) {
    return stage.toCompletableFuture().join();
  }

  /** Tiny volumes: everything overlaps, and each cut is at another kind of place. */
  @Test
  void shouldServeEveryPointThatIsNotRefused() {
    long seed = TestSeed.next("cut histories");
    for (int round = 0; round < 12; round++) {
      Random random = new Random(seed + round);
      CutDisk cut = new CutDisk(16 << 10, random);
      List<PointReader> opened = new ArrayList<>();
      for (int step = 0; step < 25; step++) {
        cut.write(1 + random.nextInt(40), 12);
        long head = cut.disk.history.headSeq;
        if (random.nextInt(3) == 0) {
          cut.keep(cut.disk.horizonSeq + random.nextInt((int) (head - cut.disk.horizonSeq) + 1));
        }
        long pinned = cut.disk.horizonSeq + random.nextInt((int) (head - cut.disk.horizonSeq) + 1);
        cut.keep(pinned);
        opened.add(cut.open(pinned));
        if (random.nextInt(4) == 0 && !cut.kept.isEmpty()) {
          long gone = cut.kept.pollFirst();
          opened.removeIf(reader -> reader.point().seq().value() == gone);
        }
        long span = head - cut.disk.horizonSeq;
        cut.moveHorizon(cut.disk.horizonSeq + (span == 0 ? 0 : random.nextInt((int) span)));
        if (random.nextInt(4) > 0) {
          cut.compact();
        }
        cut.check(step % 6 == 5 ? 1000 : 20);
        opened.forEach(cut::checkPoint);
      }
    }
  }

  /** A point that is neither kept nor inside the window any more is refused, never wrong. */
  @Test
  void shouldRefuseAnOpenPointThatWasGivenUp() {
    long seed = TestSeed.next("given up");
    CutDisk cut = new CutDisk(64 << 10, new Random(seed));
    cut.write(200, 12);
    PointReader early = cut.open(100);
    PointReader late = cut.open(cut.disk.history.headSeq);
    cut.write(400, 12);
    cut.moveHorizon(cut.disk.history.headSeq - 50);
    cut.compact();
    cut.checkPoint(
        late.point().seq().value() >= cut.disk.horizonSeq
            ? late
            : cut.open(cut.disk.history.headSeq));
    CompletionException refused =
        assertThrows(CompletionException.class, () -> join(early.read(0, cut.disk.sizeBytes)));
    assertEquals(ErrorCode.BEYOND_HORIZON, ((Refusal) refused.getCause()).code());
    assertThrows(
        CompletionException.class, () -> join(early.extents(new ByteRange(0, cut.disk.sizeBytes))));
  }

  /** What a resynchronisation compares with is no point, yet found again when it moves (P5). */
  @Test
  void shouldFindTheHeadAgainInsideADarkInterval() {
    CutDisk cut = new CutDisk(64 << 10, new Random(TestSeed.next("dark head")));
    cut.write(300, 12);
    cut.index();
    long head = cut.disk.history.headSeq;
    PointReader reader =
        join(
            cut.disk.points.openHead(
                cut.disk.view(),
                cut.disk.history.events,
                () -> CompletableFuture.completedFuture(cut.disk.view())));
    cut.disk.dark.add(
        new DarkInterval(head, Long.MAX_VALUE, cut.time(head), Long.MAX_VALUE, "a test"));
    for (int i = 0; i < 3; i++) {
      cut.write(20, 12);
      cut.moveHorizon(head - 30 + 10 * i);
      long freed = cut.freedBytes;
      cut.compact();
      assertTrue(i > 0 || cut.freedBytes > freed, "nothing was moved");
      cut.checkPoint(reader);
    }
    assertThrows(CompletionException.class, () -> cut.open(head));
  }

  /** A run of fifty windows: data, index nodes, events and the frontier stay flat (R4). */
  @Test
  void shouldStayFlat() {
    long seed = TestSeed.next("flat");
    Random random = new Random(seed);
    CutDisk cut = new CutDisk(256 << 10, random);
    long window = 1500;
    long bytesMost = 0;
    long indexMost = 0;
    int runsMost = 0;
    for (int step = 0; step < 250; step++) {
      cut.write(70, 6);
      long head = cut.disk.history.headSeq;
      cut.moveHorizon(Math.max(cut.disk.horizonSeq, head - window));
      cut.compact();
      if (step > 20) {
        bytesMost = Math.max(bytesMost, cut.disk.segments.bytes());
        indexMost = Math.max(indexMost, cut.disk.indexStore.bytes());
        runsMost =
            Math.max(
                runsMost,
                RunTable.read(cut.disk.indexStore, cut.disk.history.volume, cut.runs).size());
      }
      assertTrue(cut.disk.history.frontier.size() < 60);
    }
    cut.check(20);
    long perWrite = cut.cutBytes / Math.max(1, cut.disk.horizonSeq);
    long bound = 2L * cut.disk.sizeBytes + 2 * (window + 1200) * perWrite;
    assertTrue(bytesMost <= bound, bytesMost + " bytes, bound " + bound);
    assertTrue(indexMost <= 4 << 20, indexMost + " bytes of index");
    assertTrue(runsMost <= 400, runsMost + " runs");
    assertTrue(cut.cutBytes > 20 * window * perWrite, "not many windows");
    assertTrue(
        cut.copiedBytes <= cut.cutBytes,
        "copied %d of %d bytes".formatted(cut.copiedBytes, cut.cutBytes));
    System.out.printf(
        "flat: cut %d, copied %d (%.2f), freed %d, held at most %d, runs %d, index %d%n",
        cut.cutBytes,
        cut.copiedBytes,
        cut.copiedBytes / (double) cut.cutBytes,
        cut.freedBytes,
        bytesMost,
        runsMost,
        indexMost);
  }

  /** Data that never dies stays where it is: a cut copies nothing of it twice. */
  @Test
  void shouldNotCopyWhatLives() {
    long seed = TestSeed.next("lives");
    CutDisk cut = new CutDisk(4 << 20, new Random(seed));
    for (int i = 0; i < 8; i++) {
      cut.write(16, 1);
    }
    cut.index();
    cut.moveHorizon(cut.disk.history.headSeq);
    cut.compact();
    cut.check(10);
    Optional<Outcome> again = cut.compactor.run(cut.task(), cut.disk.history.events);
    assertEquals(Optional.empty(), again);
  }

  /** A compaction that fails leaves no node; what it copied goes by its number (R5). */
  @Test
  void shouldLeaveNothingWhenItFails() {
    long seed = TestSeed.next("fails");
    CutDisk cut = new CutDisk(256 << 10, new Random(seed));
    cut.write(600, 12);
    cut.index();
    cut.moveHorizon(cut.disk.history.headSeq);
    int nodes = cut.disk.indexStore.blocks.size();
    Compaction task = cut.task();
    for (int i = 0; i < 600; i++) {
      cut.disk.segments.lose(new SegmentRef(task.volume(), 1L << 32 | i));
    }
    assertThrows(Refusal.class, () -> cut.compactor.run(task, cut.disk.history.events));
    assertEquals(nodes, cut.disk.indexStore.blocks.size());
  }
}
