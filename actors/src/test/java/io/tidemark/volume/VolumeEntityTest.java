package io.tidemark.volume;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.segment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import com.typesafe.config.Config;
import io.tidemark.fence.WriterFence;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.point.HistoryView;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.VolumeSummary;
import io.tidemark.testsite.MemoryIndex;
import io.tidemark.testsite.MemorySegmentStore;
import io.tidemark.testsite.TestSite;
import io.tidemark.testsite.World;
import io.tidemark.volume.VolumeEntity.AppendSegments;
import io.tidemark.volume.VolumeEntity.AttachTap;
import io.tidemark.volume.VolumeEntity.Attached;
import io.tidemark.volume.VolumeEntity.Command;
import io.tidemark.volume.VolumeEntity.CompleteSync;
import io.tidemark.volume.VolumeEntity.CreateVolume;
import io.tidemark.volume.VolumeEntity.DeleteVolume;
import io.tidemark.volume.VolumeEntity.DetachTap;
import io.tidemark.volume.VolumeEntity.Done;
import io.tidemark.volume.VolumeEntity.GetHistory;
import io.tidemark.volume.VolumeEntity.GetSummary;
import io.tidemark.volume.VolumeEntity.Heartbeat;
import io.tidemark.volume.VolumeEntity.History;
import io.tidemark.volume.VolumeEntity.Journaled;
import io.tidemark.volume.VolumeEntity.RaiseEpoch;
import io.tidemark.volume.VolumeEntity.RecordGap;
import io.tidemark.volume.VolumeEntity.Refused;
import io.tidemark.volume.VolumeEntity.Reply;
import io.tidemark.volume.VolumeEntity.SessionEnded;
import io.tidemark.volume.VolumeEntity.Summary;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The entity over a journal in memory; {@link #restart} in every scenario. */
class VolumeEntityTest {
  private static final VolumeName NAME = new VolumeName("disk");
  private static final String ID = VolumeEntity.persistenceIdOf(NAME);
  private static final UUID TAP = UUID.randomUUID();

  private final String worldName = UUID.randomUUID().toString();
  private final World world = World.of(worldName);
  private final MemorySegmentStore store = new MemorySegmentStore();
  private final MemoryIndex index = new MemoryIndex();
  private final AtomicLong clock = new AtomicLong(1_000);
  private final AtomicLong nodeIds = new AtomicLong();
  private final RestingVolumes resting = new RestingVolumes(none -> {});
  private final Queue<SiteEvent> events = new ConcurrentLinkedQueue<>();
  private final ExecutorService worker = Executors.newSingleThreadExecutor();
  private ActorTestKit kit;
  private VolumeParts parts;
  private ActorRef<Command> volume;
  private TestProbe<Reply> asker;

  @BeforeEach
  void start() {
    Config config =
        com.typesafe.config.ConfigFactory.parseString(
                "akka.persistence.journal.plugin = memory-journal\n"
                    + "akka.persistence.snapshot-store.plugin = memory-snapshots\n"
                    + "tidemark.volume.session-silence = 2 s\n"
                    + "tidemark.volume.tail-segments-max = 24\n"
                    + "tidemark.volume.snapshot-every = 20\n")
            .withFallback(TestSite.config(worldName, ""));
    kit = ActorTestKit.create(config);
    parts =
        new VolumeParts(
            "here",
            VolumeSettings.of(config),
            store,
            index,
            index,
            WriterFence.NONE,
            VolumeHistories.of(kit.system()),
            worker,
            worker,
            (MicroClock) clock::incrementAndGet,
            nodeIds::incrementAndGet,
            resting,
            events::add);
    volume = kit.spawn(VolumeEntity.create(NAME, parts));
    asker = kit.createTestProbe();
  }

  @AfterEach
  void stop() {
    kit.shutdownTestKit();
    worker.shutdownNow();
  }

  private void restart() {
    kit.stop(volume);
    volume = kit.spawn(VolumeEntity.create(NAME, parts));
  }

  private <T extends Reply> T ask(Class<T> type, Function<ActorRef<Reply>, Command> command) {
    volume.tell(command.apply(asker.getRef()));
    return asker.expectMessageClass(type, Duration.ofSeconds(10));
  }

  private void refused(ErrorCode code, Function<ActorRef<Reply>, Command> command) {
    assertEquals(code, ask(Refused.class, command).code());
  }

  private VolumeSummary summary() {
    return ask(Summary.class, GetSummary::new).summary();
  }

  private HistoryView history() {
    return ask(History.class, ref -> new GetHistory(0, ref)).view();
  }

  /** A session of the test's own. */
  private final class Session {
    final TestProbe<Reply> probe = kit.createTestProbe();
    final SessionGrant grant;
    final SessionKey key;
    long seq;
    int ordinal;

    Session(UUID tap) {
      volume.tell(new AttachTap(tap, "host:tap", VOLUME_BYTES, 0, probe.getRef()));
      grant = probe.expectMessageClass(Attached.class, Duration.ofSeconds(10)).grant();
      key = new SessionKey(grant.volume(), grant.session(), grant.epoch().value());
      seq = grant.head().value();
    }

    List<SegmentJournaled> next(int segments) {
      List<SegmentJournaled> all = new java.util.ArrayList<>();
      for (int i = 0; i < segments; i++) {
        SegmentMeta meta = segment(seq + 1, 5, 10_000 + seq);
        all.add(SegmentJournaled.of(SegmentRef.number(grant.session(), ordinal++), meta, 1_000));
        seq += 5;
      }
      return all;
    }

    Command append(List<SegmentJournaled> segments) {
      return new AppendSegments(7, key, segments, asker.getRef());
    }

    long journal(int segments) {
      List<SegmentJournaled> next = next(segments);
      return ask(Journaled.class, ref -> append(next)).headSeq();
    }

    void beat() {
      volume.tell(
          new Heartbeat(
              key,
              Optional.of(new TapStatus(TapStatus.Mode.CONTINUOUS, 1, 2, 3, 4, 5)),
              probe.getRef()));
    }
  }

  private void create() {
    ask(Summary.class, ref -> new CreateVolume(VOLUME_BYTES, false, ref));
  }

  /** Repeats, gaps and old sessions: nothing is journaled twice, nothing is skipped. */
  @Test
  void shouldJournalEachSegmentOnce() {
    create();
    Session session = new Session(TAP);
    List<SegmentJournaled> first = session.next(3);
    assertEquals(15, ask(Journaled.class, ref -> session.append(first)).headSeq());
    assertEquals(15, ask(Journaled.class, ref -> session.append(first)).headSeq());
    List<SegmentJournaled> second = session.next(2);
    refused(ErrorCode.INVALID, ref -> session.append(second.subList(1, 2)));
    restart();
    session.beat();
    assertEquals(15, ask(Journaled.class, ref -> session.append(first)).headSeq());
    assertEquals(25, ask(Journaled.class, ref -> session.append(second)).headSeq());
    assertEquals(5, world.manifests(ID).stream().filter("segment-journaled"::equals).count());
    Session renewed = new Session(TAP);
    assertEquals(2, renewed.grant.session());
    assertEquals(25, renewed.grant.head().value());
    refused(ErrorCode.FENCED, ref -> session.append(session.next(1)));
    session.probe.expectMessageClass(SessionEnded.class);
  }

  /** Bad appends are refused and leave no event. */
  @Test
  void shouldRefuseWhatBreaksTheHistory() {
    create();
    Session session = new Session(TAP);
    session.journal(1);
    int stored = world.eventCount(ID);
    SegmentMeta late = segment(6, 5, 9_000);
    SegmentJournaled goesBack = SegmentJournaled.of(SegmentRef.number(1, 9), late, 1);
    refused(ErrorCode.INVALID, ref -> session.append(List.of(goesBack)));
    SegmentMeta.Builder wide =
        new SegmentMeta.Builder(
            io.tidemark.segment.SegmentKind.LIVE, new io.tidemark.position.WriteSeq(6), 4096);
    SegmentMeta outside = wide.add(20_000, VOLUME_BYTES - 512, 1024, true).build(new int[0]);
    refused(
        ErrorCode.INVALID,
        ref -> session.append(List.of(SegmentJournaled.of(SegmentRef.number(1, 9), outside, 0))));
    SegmentJournaled foreign =
        SegmentJournaled.of(SegmentRef.number(8, 9), segment(6, 5, 20_000), 1);
    refused(ErrorCode.INVALID, ref -> session.append(List.of(foreign)));
    refused(ErrorCode.INVALID, ref -> new RecordGap(1, session.key, 9, 9, 20_000, "skips", ref));
    refused(ErrorCode.INVALID, ref -> new RecordGap(1, session.key, 6, 6, 5, "early", ref));
    restart();
    assertEquals(stored, world.eventCount(ID));
    assertEquals(5, summary().head().seq().value());
  }

  /** A second tap waits while the first lives, also across a restart, and takes over when dead. */
  @Test
  void shouldLetAnotherTapInOnlyWhenTheFirstIsDead() throws Exception {
    create();
    Session first = new Session(TAP);
    TestProbe<Reply> other = kit.createTestProbe();
    Command attach = new AttachTap(UUID.randomUUID(), "other", VOLUME_BYTES, 0, other.getRef());
    volume.tell(attach);
    assertEquals(ErrorCode.BUSY, other.expectMessageClass(Refused.class).code());
    restart();
    volume.tell(attach);
    assertEquals(ErrorCode.BUSY, other.expectMessageClass(Refused.class).code());
    await(
        "silence ends the session",
        () -> {
          volume.tell(attach);
          return other.receiveMessage(Duration.ofSeconds(5)) instanceof Attached;
        });
    refused(ErrorCode.FENCED, ref -> first.append(first.next(1)));
    first.beat();
    assertEquals(ErrorCode.FENCED, first.probe.expectMessageClass(SessionEnded.class).code());
  }

  /** An attempt that its tap has given up must not replace the session of the next attempt. */
  @Test
  void shouldRefuseAnAttemptThatComesTooLate() {
    create();
    Session live = new Session(TAP);
    TestProbe<Reply> stale = kit.createTestProbe();
    volume.tell(new AttachTap(TAP, "host:tap", VOLUME_BYTES, 1, stale.getRef()));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, stale.expectMessageClass(Refused.class).code());
    live.beat();
    live.probe.expectNoMessage(Duration.ofMillis(200));
    volume.tell(new AttachTap(TAP, "host:tap", VOLUME_BYTES, Long.MAX_VALUE, stale.getRef()));
    stale.expectMessageClass(Attached.class);
    assertEquals(ErrorCode.FENCED, live.probe.expectMessageClass(SessionEnded.class).code());
    TestProbe<Reply> older = kit.createTestProbe();
    volume.tell(new AttachTap(TAP, "host:tap", VOLUME_BYTES, Long.MAX_VALUE - 1, older.getRef()));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, older.expectMessageClass(Refused.class).code());
    stale.expectNoMessage(Duration.ofMillis(200));
  }

  /** A stopped session actor frees the volume at once; its status is gone with it. */
  @Test
  void shouldNoticeAStoppedSession() throws Exception {
    create();
    Session session = new Session(TAP);
    session.beat();
    await("status shows", () -> summary().tapStatus().isPresent());
    session.probe.stop();
    await("detached", () -> !summary().tapConnected());
    assertTrue(summary().tapStatus().isEmpty());
    restart();
    assertEquals(Optional.of("host:tap"), summary().tapAddress());
    assertTrue(events.stream().anyMatch(e -> e.type().equals("tap-detached")));
  }

  /** Capture lost and found again, with restarts in between. */
  @Test
  void shouldRecordDarkIntervals() {
    create();
    Session session = new Session(TAP);
    session.journal(2);
    Command gap =
        new RecordGap(1, session.key, 11, 12, 10_011, "memory and disk full", asker.getRef());
    assertEquals(12, ask(Journaled.class, ref -> gap).headSeq());
    restart();
    assertEquals(12, ask(Journaled.class, ref -> gap).headSeq());
    assertEquals("Resyncing", summary().state());
    assertTrue(history().dark().get(0).open());
    Session renewed = new Session(TAP);
    assertTrue(renewed.grant.syncOpen());
    renewed.journal(2);
    Function<ActorRef<Reply>, Command> done = ref -> new CompleteSync(1, renewed.key, 4_096, ref);
    assertEquals(22, ask(Journaled.class, done).headSeq());
    restart();
    renewed.beat();
    assertEquals(22, ask(Journaled.class, done).headSeq());
    assertEquals("Protected", summary().state());
    assertEquals(11, summary().dark().get(0).fromSeq());
    assertEquals(21, summary().dark().get(0).toSeq());
  }

  /** The index follows the journal; its failures neither lose a segment nor stop appends early. */
  @Test
  void shouldIndexEverySegmentOnce() throws Exception {
    create();
    Session session = new Session(TAP);
    index.failBuilds.set(2);
    for (int i = 0; i < 160; i++) {
      session.journal(1);
      if (i == 60) {
        restart();
        session.beat();
      }
    }
    await("a leaf for each 16 segments or more", () -> history().frontier().size() > 0);
    await("a short tail", () -> tail(history()) < 40);
    restart();
    HistoryView view = history();
    for (int i = 1; i < view.frontier().size(); i++) {
      assertEquals(view.frontier().get(i - 1).lastSeq() + 1, view.frontier().get(i).firstSeq());
    }
    assertEquals(1, view.frontier().get(0).firstSeq());
    view.frontier().forEach(node -> assertTrue(index.nodes.contains(node.id())));
  }

  private static long tail(HistoryView view) {
    return view.tailToEventNr() - view.tailFromEventNr();
  }

  /** Appends wait while the index is too far behind, and go on when it has caught up. */
  @Test
  void shouldHoldAppendsBackWhenTheIndexIsFarBehind() {
    create();
    Session session = new Session(TAP);
    CompletableFuture<Void> gate = new CompletableFuture<>();
    index.gate = gate;
    for (int i = 0; i < 24; i++) {
      session.journal(1);
    }
    List<SegmentJournaled> next = session.next(1);
    volume.tell(session.append(next));
    asker.expectNoMessage(Duration.ofMillis(300));
    assertEquals(120, summary().head().seq().value());
    gate.complete(null);
    assertEquals(125, asker.expectMessageClass(Journaled.class).headSeq());
    restart();
    assertEquals(125, summary().head().seq().value());
  }

  /** What a broken session stored is collected, also when the store fails at first. */
  @Test
  void shouldCollectOrphansOfEndedSessions() throws Exception {
    create();
    Session session = new Session(TAP);
    session.journal(3);
    store.failDeletes.set(1);
    new Session(TAP);
    restart();
    await("collected", () -> world.manifests(ID).contains("orphans-collected"));
    assertEquals(List.of(SegmentRef.number(1, 3)), List.copyOf(store.orphanCalls));
  }

  /** A volume deleted and created again is another; the old one's storage is freed in the end. */
  @Test
  void shouldForgetADeletedVolume() throws Exception {
    create();
    Session session = new Session(TAP);
    for (int i = 0; i < 20; i++) {
      session.journal(1);
    }
    await("indexed", () -> !history().frontier().isEmpty());
    var old = summary().id();
    store.failDeletes.set(1);
    ask(Done.class, DeleteVolume::new);
    session.probe.expectMessageClass(SessionEnded.class);
    refused(ErrorCode.NOT_FOUND, GetSummary::new);
    create();
    restart();
    assertNotEquals(old, summary().id());
    assertEquals(List.of(), history().frontier());
    assertEquals(0, tailSegments());
    refused(ErrorCode.FENCED, ref -> session.append(session.next(1)));
    assertEquals(1, new Session(TAP).grant.session());
    await("freed", () -> world.manifests(ID).contains("storage-freed") && index.nodes.isEmpty());
  }

  private int tailSegments() {
    HistoryView view = history();
    return TestSite.join(
            parts.histories().of(ID).segments(view.tailFromEventNr(), view.tailToEventNr()))
        .size();
  }

  /** A promotion elsewhere ends the session here (J6). */
  @Test
  void shouldFenceTheOldEpoch() {
    create();
    Session session = new Session(TAP);
    session.journal(1);
    ask(Done.class, ref -> new RaiseEpoch(1, ref));
    ask(Done.class, ref -> new RaiseEpoch(1, ref));
    refused(ErrorCode.FENCED, ref -> new RaiseEpoch(7, ref));
    restart();
    refused(ErrorCode.FENCED, ref -> session.append(session.next(1)));
    assertEquals(2, new Session(TAP).grant.epoch().value());
  }

  /** A journal that fails restarts the entity; what was acknowledged is there. */
  @Test
  void shouldSurviveAFailingJournal() throws Exception {
    create();
    Session session = new Session(TAP);
    session.journal(1);
    world.failWrites.set(1);
    List<SegmentJournaled> next = session.next(1);
    volume.tell(session.append(next));
    await(
        "the repeat is journaled",
        () -> {
          volume.tell(session.append(next));
          return asker.receiveMessage(Duration.ofSeconds(5)) instanceof Journaled j
              && j.headSeq() == 10;
        });
    restart();
    assertEquals(10, summary().head().seq().value());
  }

  /** Snapshots keep the replay short and are bounded in number; events are all kept. */
  @Test
  void shouldTakeSnapshotsAndKeepEvents() throws Exception {
    create();
    Session session = new Session(TAP);
    for (int i = 0; i < 120; i++) {
      session.journal(1);
    }
    await("old snapshots are deleted", () -> world.snapshotCount(ID) <= 3);
    restart();
    assertEquals(600, summary().head().seq().value());
    assertTrue(world.eventCount(ID) > 120);
  }

  /** An order goes to the session that is attached, and nowhere when there is none. */
  @Test
  void shouldPassOrdersToTheAttachedSession() {
    TapOrder order = new TapOrder(7, OrderKind.HOLD, Long.MAX_VALUE, new byte[] {1});
    refused(ErrorCode.NOT_FOUND, ref -> new VolumeEntity.OrderTap(order, ref));
    create();
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> new VolumeEntity.OrderTap(order, ref));
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> new VolumeEntity.FindTap(1, ref));
    Session session = new Session(TAP);
    volume.tell(new VolumeEntity.OrderTap(order, asker.getRef()));
    VolumeEntity.PassOrder passed = session.probe.expectMessageClass(VolumeEntity.PassOrder.class);
    assertEquals(order, passed.order());
    assertEquals(asker.getRef(), passed.replyTo());
    VolumeEntity.TapFound found =
        ask(VolumeEntity.TapFound.class, ref -> new VolumeEntity.FindTap(1, ref));
    assertEquals(session.probe.getRef(), found.tap());
    restart();
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> new VolumeEntity.FindTap(1, ref));
  }

  /** Every command in every state gets an answer. */
  @Test
  void shouldAnswerEveryCommandInEveryState() {
    SessionKey stale = new SessionKey(io.tidemark.position.VolumeId.random(), 1, 1);
    SegmentJournaled some = SegmentJournaled.of(1, segment(1, 2, 5), 1);
    List<BiFunction<SessionKey, ActorRef<Reply>, Command>> commands =
        List.of(
            (key, ref) -> new CreateVolume(VOLUME_BYTES, false, ref),
            (key, ref) -> new GetSummary(ref),
            (key, ref) -> new GetHistory(1, ref),
            (key, ref) -> new AppendSegments(1, key, List.of(some), ref),
            (key, ref) -> new RecordGap(1, key, 1, 1, 1, "why", ref),
            (key, ref) -> new CompleteSync(1, key, 0, ref),
            (key, ref) -> new Heartbeat(key, Optional.empty(), ref),
            (key, ref) -> new DetachTap(1, key, ref),
            (key, ref) -> new RaiseEpoch(9, ref),
            (key, ref) -> new VolumeEntity.LeaseWrites(true, ref),
            (key, ref) -> new VolumeEntity.FindTap(1, ref),
            (key, ref) -> new AttachTap(TAP, "x", 512, 0, ref));
    for (int state = 0; state < 5; state++) {
      SessionKey key = stale;
      if (state > 0) {
        create();
        Session session = new Session(TAP);
        key = session.key;
        if (state == 2 || state == 4) {
          session.journal(1);
        }
        if (state > 2) {
          long next = session.seq + 1;
          SessionKey current = key;
          ask(Journaled.class, ref -> new RecordGap(1, current, next, next, 50_000, "lost", ref));
        }
        assertEquals(
            List.of("", "Created", "Protected", "Synchronizing", "Resyncing").get(state),
            summary().state());
      }
      for (var command : commands) {
        if (state == 0 && command == commands.get(0)) {
          continue;
        }
        TestProbe<Reply> probe = kit.createTestProbe();
        volume.tell(command.apply(stale, probe.getRef()));
        assertNotNull(probe.receiveMessage(Duration.ofSeconds(10)));
      }
      restart();
      if (state > 0) {
        ask(Done.class, DeleteVolume::new);
      }
      refused(ErrorCode.NOT_FOUND, DeleteVolume::new);
    }
  }
}
