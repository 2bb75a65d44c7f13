package io.tidemark.volume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.IndexWriter;
import io.tidemark.index.NodeHeader;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.Refusal;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEvent.EpochRaised;
import io.tidemark.volume.VolumeEvent.GapRecorded;
import io.tidemark.volume.VolumeEvent.HistoryForked;
import io.tidemark.volume.VolumeEvent.IndexAdvanced;
import io.tidemark.volume.VolumeEvent.OrphansCollected;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import io.tidemark.volume.VolumeEvent.StorageFreed;
import io.tidemark.volume.VolumeEvent.SyncCompleted;
import io.tidemark.volume.VolumeEvent.TapAttached;
import io.tidemark.volume.VolumeEvent.TapDetached;
import io.tidemark.volume.VolumeEvent.VolumeCreated;
import io.tidemark.volume.VolumeEvent.VolumeDeleted;
import io.tidemark.volume.VolumeState.Created;
import io.tidemark.volume.VolumeState.Deleted;
import io.tidemark.volume.VolumeState.Live;
import io.tidemark.volume.VolumeState.Protected;
import io.tidemark.volume.VolumeState.Resyncing;
import io.tidemark.volume.VolumeState.Synchronizing;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** The pure state: the transition table, and random histories against the invariants. */
class VolumeStateTest {
  private static final VolumeId ID = new VolumeId(new UUID(1, 2));
  private static final UUID TAP = new UUID(3, 4);

  private VolumeState state = VolumeState.EMPTY;

  private Live play(VolumeEvent... events) {
    for (VolumeEvent event : events) {
      state = VolumeState.apply(state, event);
    }
    return (Live) state;
  }

  private static SegmentJournaled segment(int session, int ordinal, long seq, boolean sync) {
    return new SegmentJournaled(
        (long) session << 32 | ordinal,
        seq,
        seq + 9,
        100 + seq,
        109 + seq,
        sync,
        512,
        5120,
        9,
        new byte[0]);
  }

  private static VolumeEvent[] attached() {
    return new VolumeEvent[] {
      new VolumeCreated(ID, 1024, false, 50), new TapAttached(1, TAP, "here", 60)
    };
  }

  /** An empty volume whose base is right has recovery points from the beginning. */
  @Test
  void shouldBeProtectedFromTheFirstSegment() {
    play(attached());
    assertTrue(state instanceof Created);
    Live live = play(segment(1, 0, 1, false));
    assertTrue(live instanceof Protected);
    assertEquals(0, live.ledger().horizon().seq());
    assertEquals(50, live.ledger().horizon().timeMicros());
    assertEquals(new Ledger.Mark(10, 110), live.ledger().head());
  }

  /** Points begin where the initial synchronisation completes. */
  @Test
  void shouldMoveTheHorizonWhenTheInitialSyncCompletes() {
    play(attached());
    Live syncing = play(new GapRecorded(1, 1, 99, "first attach"), segment(1, 0, 2, true));
    assertTrue(syncing instanceof Synchronizing);
    assertTrue(VolumeState.dark(syncing).get(0).open());
    Live live = play(segment(1, 1, 12, false), new SyncCompleted(21, 5120, 200));
    assertTrue(live instanceof Protected);
    assertEquals(21, live.ledger().horizon().seq());
    assertEquals(List.of(), VolumeState.dark(live));
  }

  private static boolean kept(Live live, int session, long gaps, long seq) {
    return VolumeState.refuseMark(live, ID, session, gaps, seq).isEmpty();
  }

  /** Writes up to a mark were lost if a gap began at or before it, whatever came after. */
  @Test
  void shouldTellWhetherAMarkWillBeKept() {
    play(attached());
    Live live = play(segment(1, 0, 1, false));
    assertTrue(kept(live, 1, 0, 10) && kept(live, 1, 0, 15));
    assertFalse(VolumeState.refuseMark(live, new VolumeId(TAP), 1, 0, 10).isEmpty());
    // The tap is killed with writes 11..15 in memory; the gap of one seq leaves no dark interval.
    Live after =
        play(
            new TapAttached(2, TAP, "here", 130),
            new GapRecorded(11, 11, 140, "killed"),
            new SyncCompleted(11, 0, 150),
            segment(2, 0, 12, false));
    assertEquals(List.of(), VolumeState.dark(after));
    assertFalse(kept(after, 1, 0, 15), "another write has that seq now");
    assertTrue(kept(after, 1, 0, 10), "was journaled before");
    assertTrue(kept(after, 2, 1, 15), "marked since");
    Live twice = play(new GapRecorded(22, 22, 200, "again"));
    assertFalse(kept(twice, 1, 0, 10), "cannot be told any more");
    // Another tap, or an epoch, in between.
    Live other = play(new TapAttached(3, new UUID(9, 9), "there", 210));
    assertEquals(3, other.ledger().continuity().sinceSession());
    assertFalse(kept(other, 2, 2, 15));
    Live again = play(new TapAttached(4, new UUID(9, 9), "there", 220));
    assertEquals(3, again.ledger().continuity().sinceSession());
    Live raised = play(new EpochRaised(2, 230), new TapAttached(5, new UUID(9, 9), "x", 240));
    assertEquals(5, raised.ledger().continuity().sinceSession());
    assertEquals(3, raised.ledger().continuity().ownSession(), "nobody else wrote meanwhile");
    Live forked = play(new HistoryForked("left", 10, 110, 1, 10, "taken back", 250));
    assertEquals(6, forked.ledger().continuity().ownSession(), "its own writes were taken back");
  }

  /** A resync that sent content leaves a dark interval that ends just before its completion. */
  @Test
  void shouldCloseADarkIntervalBeforeTheCompletingSeq() {
    play(attached());
    play(segment(1, 0, 1, false));
    Live open = play(new GapRecorded(11, 15, 120, "collapsed"));
    assertTrue(open instanceof Resyncing);
    assertEquals(
        List.of(new DarkInterval(11, Long.MAX_VALUE, 110, Long.MAX_VALUE, "collapsed")),
        VolumeState.dark(open));
    Live closed = play(segment(1, 1, 16, true), new SyncCompleted(25, 5120, 300));
    assertEquals(
        List.of(new DarkInterval(11, 24, 110, 125, "collapsed")), VolumeState.dark(closed));
  }

  /** Nothing differed: a gap of one seq never was, of a longer one only its inside was lost. */
  @Test
  void shouldDropOrShrinkAnIntervalWithoutDifferences() {
    play(attached());
    play(segment(1, 0, 1, false));
    Live dropped =
        play(
            new GapRecorded(11, 11, 120, "tap was killed"),
            segment(1, 1, 12, false),
            new SyncCompleted(21, 0, 300));
    assertEquals(List.of(), VolumeState.dark(dropped));
    Live shrunk =
        play(
            new GapRecorded(22, 30, 140, "collapsed"),
            segment(1, 2, 31, false),
            new SyncCompleted(40, 0, 300));
    assertEquals(
        List.of(new DarkInterval(22, 29, 121, 140, "collapsed")), VolumeState.dark(shrunk));
  }

  /** A gap inside a resync extends it: one interval from the first gap on. */
  @Test
  void shouldExtendAnOpenInterval() {
    play(attached());
    Live live =
        play(
            segment(1, 0, 1, false),
            new GapRecorded(11, 12, 120, "collapsed"),
            segment(1, 1, 13, true),
            new GapRecorded(23, 24, 140, "again"),
            new SyncCompleted(24, 0, 300));
    assertEquals(List.of(new DarkInterval(11, 23, 110, 140, "collapsed")), VolumeState.dark(live));
  }

  /** The number of dark intervals is bounded; merging never makes a lost point look recoverable. */
  @Test
  void shouldMergeTheOldestDarkIntervals() {
    play(attached());
    play(segment(1, 0, 1, false));
    long seq = 11;
    for (int i = 0; i < Ledger.DARK_MAX + 10; i++) {
      play(
          new GapRecorded(seq, seq + 4, 1_000 + seq, "lost"),
          new SyncCompleted(seq + 4, 0, 1_000 + seq));
      seq += 5;
      play(
          new SegmentJournaled(
              1L << 32 | i + 1, seq, seq, 1_000 + seq, 1_000 + seq, false, 512, 1, 1, new byte[0]));
      seq++;
    }
    List<DarkInterval> dark = VolumeState.dark((Live) state);
    assertEquals(Ledger.DARK_MAX, dark.size());
    assertEquals(11, dark.get(0).fromSeq());
    assertTrue(dark.get(0).reason().contains("merged"));
    assertEquals(seq - 3, dark.get(dark.size() - 1).toSeq());
  }

  /** An old epoch, session or incarnation may not append (J6). */
  @Test
  void shouldFenceOldKeys() {
    play(attached());
    Live live = (Live) state;
    assertEquals(Optional.empty(), VolumeState.refuseKey(live, new SessionKey(ID, 1, 1)));
    assertTrue(VolumeState.refuseKey(live, new SessionKey(ID, 0, 1)).isPresent());
    assertTrue(VolumeState.refuseKey(live, new SessionKey(ID, 1, 2)).isPresent());
    assertTrue(
        VolumeState.refuseKey(live, new SessionKey(new VolumeId(new UUID(9, 9)), 1, 1))
            .isPresent());
    Live raised = play(new EpochRaised(2, 70));
    assertTrue(VolumeState.refuseKey(raised, new SessionKey(ID, 1, 1)).isPresent());
    assertFalse(raised.ledger().tap().attached());
  }

  /** What an ended session left behind is known until it is collected, whatever happens. */
  @Test
  void shouldRememberOrphansAndDoomedIncarnations() {
    play(attached());
    Live live = play(segment(1, 4, 1, false), new TapAttached(2, TAP, "here", 200));
    assertEquals(List.of(new Ledger.Orphans(1, 5)), live.ledger().chores().orphans());
    Live again = play(new TapDetached(2, "gone", 210), new TapAttached(3, TAP, "here", 220));
    assertEquals(
        List.of(new Ledger.Orphans(1, 5), new Ledger.Orphans(2, 0)),
        again.ledger().chores().orphans());
    play(new OrphansCollected(1));
    state = VolumeState.apply(state, new VolumeDeleted(ID, 230));
    assertTrue(state instanceof Deleted);
    Ledger.Doomed doomed = new Ledger.Doomed(ID, 3, 1, 8, List.of(), List.of());
    assertEquals(List.of(doomed), state.doomed());
    VolumeId other = new VolumeId(new UUID(7, 7));
    Live reborn = play(new VolumeCreated(other, 1024, false, 240));
    assertEquals(List.of(doomed), reborn.doomed());
    assertEquals(10, reborn.ledger().index().tailFromEventNr());
    assertEquals(List.of(), play(new StorageFreed(ID)).doomed());
  }

  /** Random histories keep V1, V4, V5, V6 and V7 at every step. */
  @Test
  void shouldKeepTheInvariantsInRandomHistories() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("VolumeStateTest -Dseed=" + seed);
    Random random = new Random(seed);
    for (int history = 0; history < 60; history++) {
      state = VolumeState.EMPTY;
      play(attached());
      Model model = new Model();
      for (int step = 0; step < 400; step++) {
        VolumeEvent event = model.next(random, (Live) state);
        Live live = play(event);
        model.check(live, event, seed);
      }
    }
  }

  /** What the history must add up to. */
  private static final class Model {
    private long events = 2;
    private long head;
    private long time = 100;
    private int session = 1;
    private int ordinal;
    private long nodeId;
    private final List<long[]> tail = new ArrayList<>();
    private final List<Long> covered = new ArrayList<>();
    private final List<Long> journaled = new ArrayList<>();

    VolumeEvent next(Random random, Live live) {
      Optional<List<NodeHeader>> due = VolumeState.mergeDue(live, 0);
      if (due.isPresent() && random.nextBoolean()) {
        return merge(due.get());
      }
      if (tail.size() > 3 && random.nextInt(3) == 0) {
        return leaf(1 + random.nextInt(tail.size()));
      }
      time += random.nextInt(5);
      switch (random.nextInt(12)) {
        case 0:
          {
            long last = head + 1 + random.nextInt(3);
            Optional<Refusal> refusal = VolumeState.refuseGap(live, head + 1, last, time);
            assertEquals(Optional.empty(), refusal);
            GapRecorded gap = new GapRecorded(head + 1, last, time, "gap");
            head = last;
            return gap;
          }
        case 1:
          return live.openSync().isPresent()
              ? new SyncCompleted(head, random.nextInt(2), time)
              : new OrphansCollected(session);
        case 2:
          ordinal = 0;
          return new TapAttached(++session, TAP, "here", time);
        default:
          return segment(random, live);
      }
    }

    private VolumeEvent segment(Random random, Live live) {
      long last = head + 1 + random.nextInt(20);
      SegmentJournaled segment =
          new SegmentJournaled(
              (long) session << 32 | ordinal,
              head + 1,
              last,
              time,
              time + 1,
              random.nextInt(3) == 0,
              512,
              10,
              5,
              new byte[0]);
      assertEquals(Optional.empty(), VolumeState.refuseSegments(live, List.of(segment)));
      ordinal += 1 + random.nextInt(2);
      head = last;
      time++;
      tail.add(new long[] {events + 1, segment.firstSeq(), last});
      journaled.add(segment.firstSeq());
      return segment;
    }

    private VolumeEvent leaf(int count) {
      List<long[]> taken = tail.subList(0, count);
      long writes = taken.stream().mapToLong(s -> s[2] - s[1] + 1).sum();
      long[] first = taken.get(0);
      long[] last = taken.get(count - 1);
      taken.forEach(s -> covered.add(s[1]));
      NodeHeader node =
          new NodeHeader(++nodeId, 1, first[1], last[2], 0, 0, first[0], last[0], 1, 1, 1);
      taken.clear();
      return new IndexAdvanced(node, List.of(), count, writes);
    }

    private VolumeEvent merge(List<NodeHeader> children) {
      NodeHeader first = children.get(0);
      NodeHeader last = children.get(children.size() - 1);
      return new IndexAdvanced(
          new NodeHeader(
              ++nodeId,
              first.level() + 1,
              first.firstSeq(),
              last.lastSeq(),
              0,
              0,
              first.firstEventNr(),
              last.lastEventNr(),
              1,
              1,
              1),
          children.stream().map(NodeHeader::id).toList(),
          0,
          0);
    }

    void check(Live live, VolumeEvent event, long seed) {
      String where = "seed " + seed + " after " + event;
      events++;
      Ledger ledger = live.ledger();
      HistoryView view = VolumeState.view(live, "volume|x");
      assertEquals(events, ledger.eventNr(), where); // V7
      assertEquals(head, ledger.head().seq(), where); // V1
      assertEquals(tail.size(), ledger.index().tailSegments(), where); // V5
      assertEquals(
          tail.stream().mapToLong(s -> s[2] - s[1] + 1).sum(), ledger.index().tailWrites(), where);
      for (long[] s : tail) {
        assertTrue(s[0] >= view.tailFromEventNr() && s[0] <= view.tailToEventNr(), where); // V5
      }
      NodeHeader before = null;
      int run = 0;
      for (NodeHeader node : view.frontier()) {
        assertTrue(before == null || before.lastSeq() < node.firstSeq(), where); // X4
        assertTrue(before == null || before.level() >= node.level(), where);
        assertTrue(node.lastEventNr() < view.tailFromEventNr(), where);
        run = before != null && before.level() == node.level() ? run + 1 : 1;
        before = node;
      }
      assertTrue(view.frontier().size() <= journaled.size(), where);
      for (long seq : covered) {
        long holders =
            view.frontier().stream().filter(n -> n.firstSeq() <= seq && seq <= n.lastSeq()).count();
        assertEquals(1, holders, where); // V5
      }
      checkDark(view, where);
      assertTrue(run <= 3 * IndexWriter.FAN_OUT, where); // V6, as merges are random here
    }

    private void checkDark(HistoryView view, String where) {
      DarkInterval last = null;
      for (DarkInterval d : view.dark()) {
        assertTrue(d.fromSeq() <= d.toSeq(), where);
        assertTrue(last == null || last.toSeq() < d.fromSeq() && !last.open(), where); // V4
        assertTrue(d.open() || d.toSeq() < view.headSeq(), where);
        last = d;
      }
      assertTrue(view.dark().size() <= Ledger.DARK_MAX + 1, where);
    }
  }

  /** Decoded from a real segment, the event says what the metadata says. */
  @Test
  void shouldDescribeASegment() {
    var meta = TestSite.segment(5, 10, 1_000);
    SegmentJournaled event = SegmentJournaled.of(7, meta, 33);
    assertEquals(meta, event.decoded());
    assertEquals(5, event.firstSeq());
    assertEquals(14, event.lastSeq());
    assertEquals(1_009, event.lastTimeMicros());
    assertEquals(10, event.writes());
    assertEquals((5 + 9 + 1) * 512, event.endOffset());
  }
}
