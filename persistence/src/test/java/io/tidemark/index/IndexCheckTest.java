package io.tidemark.index;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class IndexCheckTest {
  private static final int CHUNK = 4096;
  private static final long SIZE = 1 << 20;

  private final InMemoryIndexStore store = new InMemoryIndexStore();
  private final StoredIndexWriter writer = new StoredIndexWriter(store, Runnable::run);
  private final TestHistory history = new TestHistory(writer);

  @BeforeEach
  void grow() {
    Random random = new Random(11);
    for (int i = 0; i < 140; i++) {
      history.journal(segment(history.next(CHUNK), random, 1000L * i));
      history.otherEvents(i % 3);
      if (i % 2 == 1) {
        history.leaf(2);
        history.merge();
      }
    }
    assertEquals(3, history.frontier.get(0).level());
  }

  private static SegmentMeta segment(SegmentMeta.Builder builder, Random random, long time) {
    for (int i = 0; i < 10; i++) {
      builder.add(time + i, 512L * random.nextInt(1000), 512L * (1 + random.nextInt(40)), i == 5);
    }
    return TestHistory.build(builder, CHUNK);
  }

  private IndexCheck.Report check() {
    AtomicLong progress = new AtomicLong();
    IndexCheck.Report report = new IndexCheck(store).check(history.indexed(), SIZE, progress::set);
    assertTrue(progress.get() > 0);
    return report;
  }

  @Test
  void shouldFindAnIntactIndexRight() {
    IndexCheck.Report report = check();
    assertEquals(List.of(), report.problems());
    assertEquals(140, report.segments());
    assertEquals(1400, report.writes());
    assertEquals(70 + 8 + 1, report.nodes());
  }

  /** What is built from the journal alone is the index that grew with it. */
  @Test
  void shouldRebuildFromTheJournal() {
    AtomicLong ids = new AtomicLong(1000);
    List<NodeHeader> rebuilt =
        IndexCheck.rebuild(
            history.volume,
            history.events,
            history.newestEventNr(),
            writer,
            ids::incrementAndGet,
            2,
            1_000_000);
    assertEquals(history.frontier.size(), rebuilt.size());
    for (int i = 0; i < rebuilt.size(); i++) {
      NodeHeader grown = history.frontier.get(i);
      assertEquals(grown.lastSeq(), rebuilt.get(i).lastSeq());
      assertEquals(grown.extents(), rebuilt.get(i).extents());
    }
    history.frontier = rebuilt;
    assertEquals(List.of(), check().problems());
  }

  @Test
  void shouldReportASegmentThatTheIndexMisses() {
    List<NodeHeader> cut = new ArrayList<>(history.frontier);
    cut.remove(cut.size() - 2);
    history.frontier = List.copyOf(cut);
    assertFalse(check().right());
  }

  @Test
  void shouldReportAnEventThatTheJournalLost() {
    history.events.remove(history.frontier.get(0).firstEventNr());
    IndexCheck.Report report = check();
    assertTrue(report.problems().get(0).contains("does not"), report.problems()::toString);
  }

  @Test
  void shouldReportADamagedBlock() {
    var block = new InMemoryIndexStore.Block(history.volume, history.frontier.get(0).id(), 1);
    store.blocks.get(block)[40] ^= 1;
    IndexCheck.Report report = check();
    assertEquals(1, report.problems().size());
    assertTrue(report.problems().get(0).contains("checksum"));
  }

  /** A map that is wrong although every checksum is right: a leaf of other writes. */
  @Test
  void shouldReportAMapThatDiffersFromTheJournal() {
    NodeHeader last = history.frontier.get(history.frontier.size() - 1);
    assertEquals(1, last.level());
    List<SegmentEntry> forged = new ArrayList<>();
    for (SegmentEntry entry :
        history
            .events
            .segments(last.firstEventNr(), last.lastEventNr())
            .toCompletableFuture()
            .join()) {
      SegmentMeta meta = entry.meta();
      SegmentMeta.Builder builder = new SegmentMeta.Builder(meta.kind(), meta.firstSeq(), CHUNK);
      for (int i = 0; i < meta.count(); i++) {
        builder.add(meta.timeMicros(i), 512, 512, false);
      }
      forged.add(
          new SegmentEntry(
              TestHistory.build(builder, CHUNK), entry.segmentNumber(), entry.eventNr()));
    }
    NodeHeader other = writer.leaf(history.volume, last.id(), forged).toCompletableFuture().join();
    List<NodeHeader> frontier = new ArrayList<>(history.frontier);
    frontier.set(frontier.size() - 1, other);
    history.frontier = List.copyOf(frontier);
    IndexCheck.Report report = check();
    assertTrue(report.problems().get(0).contains("where the journal has"));
  }
}
