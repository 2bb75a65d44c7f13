package io.tidemark.volume;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.segment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.fence.WriterFence;
import io.tidemark.index.SegmentEntry;
import io.tidemark.journal.SessionGrant;
import io.tidemark.point.HistoryView;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.segment.SegmentRef;
import io.tidemark.site.VolumeSummary;
import io.tidemark.testsite.MemoryIndex;
import io.tidemark.testsite.MemorySegmentStore;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEntity.AppendSegments;
import io.tidemark.volume.VolumeEntity.AttachTap;
import io.tidemark.volume.VolumeEntity.Attached;
import io.tidemark.volume.VolumeEntity.BranchesShown;
import io.tidemark.volume.VolumeEntity.Command;
import io.tidemark.volume.VolumeEntity.CompleteSync;
import io.tidemark.volume.VolumeEntity.CreateReplica;
import io.tidemark.volume.VolumeEntity.CreateVolume;
import io.tidemark.volume.VolumeEntity.DemoteVolume;
import io.tidemark.volume.VolumeEntity.GetBranchHistory;
import io.tidemark.volume.VolumeEntity.GetBranches;
import io.tidemark.volume.VolumeEntity.GetHistory;
import io.tidemark.volume.VolumeEntity.GetProgress;
import io.tidemark.volume.VolumeEntity.GetSummary;
import io.tidemark.volume.VolumeEntity.History;
import io.tidemark.volume.VolumeEntity.Journaled;
import io.tidemark.volume.VolumeEntity.Progress;
import io.tidemark.volume.VolumeEntity.PromoteVolume;
import io.tidemark.volume.VolumeEntity.RecordGap;
import io.tidemark.volume.VolumeEntity.Refused;
import io.tidemark.volume.VolumeEntity.Reply;
import io.tidemark.volume.VolumeEntity.Summary;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Who may write a volume, and what becomes of its history when that changes (V2, V10). */
class VolumeRolesTest {
  private static final VolumeName NAME = new VolumeName("disk");
  private static final UUID TAP = UUID.randomUUID();
  private static final UUID LINK = UUID.randomUUID();
  private static final long BASE_MICROS = 500;

  private final String worldName = UUID.randomUUID().toString();
  private final MemoryIndex index = new MemoryIndex();
  private final AtomicLong clock = new AtomicLong(1_000);
  private final AtomicLong nodeIds = new AtomicLong();
  private final ExecutorService worker = Executors.newSingleThreadExecutor();
  private ActorTestKit kit;
  private VolumeParts parts;
  private ActorRef<Command> volume;
  private TestProbe<Reply> asker;

  @BeforeEach
  void start() {
    Config config =
        ConfigFactory.parseString(
                "akka.persistence.journal.plugin = memory-journal\n"
                    + "akka.persistence.snapshot-store.plugin = memory-snapshots\n"
                    + "tidemark.volume.leaf-segments = 4\n"
                    + "tidemark.volume.snapshot-every = 10\n")
            .withFallback(TestSite.config(worldName, ""));
    kit = ActorTestKit.create(config);
    parts =
        new VolumeParts(
            "here",
            VolumeSettings.of(config),
            new MemorySegmentStore(),
            index,
            index,
            WriterFence.NONE,
            VolumeHistories.of(kit.system()),
            worker,
            worker,
            (MicroClock) clock::incrementAndGet,
            nodeIds::incrementAndGet,
            new RestingVolumes(none -> {}),
            none -> {});
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

  private void assertStands(String role, long epoch, String branch, long head) {
    restart();
    VolumeSummary now = summary();
    assertEquals(role, now.role());
    assertEquals(epoch, now.epoch());
    assertEquals(branch, now.branch());
    assertEquals(head, now.head().seq().value());
  }

  private VolumeSummary replica(UUID link, long epoch, String branch) {
    return ask(
            Summary.class,
            ref -> new CreateReplica(VOLUME_BYTES, BASE_MICROS, epoch, branch, link, "site a", ref))
        .summary();
  }

  private VolumeSummary promote(long epoch, long drainedSeq, boolean forced) {
    return ask(Summary.class, ref -> new PromoteVolume(epoch, drainedSeq, forced, ref)).summary();
  }

  private VolumeSummary demote(long epoch, Optional<UUID> link, long keepSeq, long keepMicros) {
    return ask(
            Summary.class, ref -> new DemoteVolume(epoch, link, "site b", keepSeq, keepMicros, ref))
        .summary();
  }

  /** Whoever appends: a tap or a link. */
  private final class Writer {
    final TestProbe<Reply> probe = kit.createTestProbe();
    final SessionGrant grant;
    final SessionKey key;
    long seq;
    int ordinal;

    Writer(UUID id) {
      volume.tell(new AttachTap(id, "host", VOLUME_BYTES, 0, probe.getRef()));
      grant = probe.expectMessageClass(Attached.class, Duration.ofSeconds(10)).grant();
      key = new SessionKey(grant.volume(), grant.session(), grant.epoch().value());
      seq = grant.head().value();
    }

    /** Segments of five writes each. */
    List<SegmentJournaled> next(int segments) {
      List<SegmentJournaled> all = new ArrayList<>();
      for (int i = 0; i < segments; i++) {
        long number = SegmentRef.number(grant.session(), ordinal++);
        all.add(SegmentJournaled.of(number, segment(seq + 1, 5, timeOf(seq + 1)), 1_000));
        seq += 5;
      }
      return all;
    }

    List<SegmentJournaled> journal(int segments) {
      List<SegmentJournaled> next = next(segments);
      ask(Journaled.class, ref -> new AppendSegments(7, key, next, ref));
      return next;
    }
  }

  private static long timeOf(long seq) {
    return 10_000 + seq;
  }

  private ErrorCode attachRefused(UUID id) {
    TestProbe<Reply> probe = kit.createTestProbe();
    volume.tell(new AttachTap(id, "host", VOLUME_BYTES, 0, probe.getRef()));
    return probe.expectMessageClass(Refused.class, Duration.ofSeconds(10)).code();
  }

  /** Only its link writes a replica, with writes older than the replica itself. */
  @Test
  void shouldLetInOnlyTheLinkOfAReplica() {
    replica(LINK, 3, "main");
    assertStands("Replica", 3, "main", 0);
    assertEquals(ErrorCode.FENCED, attachRefused(TAP));
    Writer link = new Writer(LINK);
    assertEquals(3, link.grant.epoch().value());
    assertEquals(BASE_MICROS, link.grant.headTime().micros());
    link.journal(2);
    assertStands("Replica", 3, "main", 10);
    assertEquals(10, replica(LINK, 3, "main").head().seq().value());
    refused(
        ErrorCode.ALREADY_EXISTS,
        ref -> new CreateReplica(VOLUME_BYTES, 1, 3, "main", TAP, "site c", ref));
    refused(
        ErrorCode.ALREADY_EXISTS,
        ref -> new CreateReplica(VOLUME_BYTES * 2, 1, 3, "main", LINK, "site a", ref));
  }

  /** One that would journal an old store as new writes is kept out after a promotion (V11). */
  @Test
  void shouldKeepOutATapThatTrustsItsStore() {
    replica(LINK, 1, "main");
    new Writer(LINK).journal(1);
    promote(1, 5, false);
    trusting(TAP, Refused.class);
    Writer tap = new Writer(TAP);
    tap.journal(1);
    trusting(TAP, Attached.class); // it wrote last: its store is not older
    assertEquals(10, summary().head().seq().value());
    demote(2, Optional.of(LINK), -1, 0);
    promote(2, 10, false);
    trusting(TAP, Attached.class); // nobody else wrote meanwhile
    demote(3, Optional.of(LINK), -1, 0);
    new Writer(LINK).journal(1);
    promote(3, 15, false);
    trusting(TAP, Refused.class);
  }

  private void trusting(UUID id, Class<? extends Reply> answer) {
    TestProbe<Reply> probe = kit.createTestProbe();
    volume.tell(new AttachTap(id, "host", VOLUME_BYTES, 0, true, probe.getRef()));
    Reply reply = probe.receiveMessage(Duration.ofSeconds(10));
    assertEquals(answer, reply.getClass(), reply.toString());
  }

  /** A replica follows its source's epoch and branch, and never an older one. */
  @Test
  void shouldFollowTheSourcesEpoch() {
    replica(LINK, 1, "main");
    Writer first = new Writer(LINK);
    first.journal(1);
    assertEquals(4, replica(LINK, 4, "epoch-4").epoch());
    assertStands("Replica", 4, "epoch-4", 5);
    refused(ErrorCode.FENCED, ref -> new AppendSegments(7, first.key, first.next(1), ref));
    assertEquals(4, new Writer(LINK).grant.epoch().value());
    refused(
        ErrorCode.FENCED,
        ref -> new CreateReplica(VOLUME_BYTES, 1, 3, "main", LINK, "site a", ref));
  }

  /** A primary of that name is never overwritten. */
  @Test
  void shouldNotMakeAReplicaOfAPrimary() {
    ask(Summary.class, ref -> new CreateVolume(VOLUME_BYTES, false, ref));
    refused(
        ErrorCode.ALREADY_EXISTS,
        ref -> new CreateReplica(VOLUME_BYTES, 1, 1, "main", LINK, "site a", ref));
    assertStands("Primary", 1, "main", 0);
  }

  /** A planned promotion: drained, so that the branch goes on; the link is fenced, a tap let in. */
  @Test
  void shouldPromoteAReplicaThatHasEverything() {
    replica(LINK, 1, "main");
    Writer link = new Writer(LINK);
    link.journal(2);
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> new PromoteVolume(1, 15, false, ref));
    refused(ErrorCode.FENCED, ref -> new PromoteVolume(2, 10, false, ref));
    restart();
    promote(1, 10, false);
    assertStands("Primary", 2, "main", 10);
    assertEquals(2, promote(1, 10, false).epoch());
    refused(ErrorCode.FENCED, ref -> new AppendSegments(7, link.key, link.next(1), ref));
    new Writer(TAP).journal(1);
    assertStands("Primary", 2, "main", 15);
    refused(ErrorCode.FENCED, ref -> new PromoteVolume(2, 15, false, ref));
  }

  /** Nothing was ever shipped, or it ends in the dark: refused with its code, unless forced. */
  @Test
  void shouldRefuseToPromoteWhatIsNotWhole() {
    replica(LINK, 1, "main");
    refused(ErrorCode.NOT_SYNCHRONIZED, ref -> new PromoteVolume(1, -1, false, ref));
    Writer link = new Writer(LINK);
    ask(Journaled.class, ref -> new RecordGap(1, link.key, 1, 9, 9_000, "first", ref));
    refused(ErrorCode.NOT_SYNCHRONIZED, ref -> new PromoteVolume(1, -1, false, ref));
    link.seq = 9;
    link.journal(1);
    ask(Journaled.class, ref -> new CompleteSync(2, link.key, 5, ref));
    ask(Journaled.class, ref -> new RecordGap(3, link.key, 15, 19, 10_020, "capture lost", ref));
    restart();
    refused(ErrorCode.DARK_INTERVAL, ref -> new PromoteVolume(1, -1, false, ref));
    promote(1, -1, true);
    assertStands("Primary", 2, "epoch-2", 19);
    assertTrue(new Writer(TAP).grant.syncOpen());
  }

  /** A replica of nothing, known to be empty, may be promoted. */
  @Test
  void shouldPromoteAReplicaOfAnEmptyVolume() {
    replica(LINK, 1, "main");
    promote(1, 0, false);
    assertStands("Primary", 2, "main", 0);
  }

  /** A planned failover's first half, and its way back. */
  @Test
  void shouldFenceAndTakeBack() {
    ask(Summary.class, ref -> new CreateVolume(VOLUME_BYTES, false, ref));
    Writer tap = new Writer(TAP);
    tap.journal(2);
    refused(ErrorCode.FENCED, ref -> new DemoteVolume(7, Optional.empty(), "b", -1, 0, ref));
    demote(1, Optional.empty(), -1, 0);
    assertStands("Fenced", 1, "main", 10);
    assertEquals(ErrorCode.FENCED, attachRefused(TAP));
    refused(ErrorCode.FENCED, ref -> new AppendSegments(7, tap.key, tap.next(1), ref));
    demote(1, Optional.empty(), -1, 0);
    promote(1, 10, false);
    assertStands("Primary", 2, "main", 10);
    assertEquals(10, new Writer(TAP).grant.head().value());
    demote(2, Optional.of(LINK), -1, 0);
    assertStands("Replica", 2, "main", 10);
    new Writer(LINK).journal(1);
  }

  /** What the other site never got becomes a branch; history goes on from where both were. */
  @Test
  void shouldKeepWhatWasNeverShippedAsABranch() throws Exception {
    ask(Summary.class, ref -> new CreateVolume(VOLUME_BYTES, false, ref));
    Writer tap = new Writer(TAP);
    List<SegmentJournaled> old = new ArrayList<>(tap.journal(7));
    ask(Journaled.class, ref -> new RecordGap(1, tap.key, 36, 40, 10_040, "lost", ref));
    tap.seq = 40;
    old.addAll(tap.journal(6));
    await("a leaf over the fork", () -> index.indexedSegments.size() >= 8);
    assertEquals(70, summary().head().seq().value());
    refused(
        ErrorCode.BEYOND_HEAD, ref -> new DemoteVolume(1, Optional.of(LINK), "site b", 71, 0, ref));
    VolumeSummary demoted = demote(1, Optional.of(LINK), 25, timeOf(25));
    assertEquals("Replica", demoted.role());
    assertStands("Replica", 1, "main", 25);
    assertEquals("Protected", summary().state());
    assertEquals(List.of(), summary().dark());
    assertEquals(timeOf(25), summary().head().time().micros());
    demote(1, Optional.of(LINK), 25, timeOf(25));

    replica(LINK, 2, "epoch-2");
    Writer link = new Writer(LINK);
    assertEquals(25, link.grant.head().value());
    List<SegmentJournaled> fresh = link.journal(9);
    assertStands("Replica", 2, "epoch-2", 70);
    await("fresh segments are indexed", () -> indexed(fresh.get(0)));
    assertEquals(lines(old.subList(0, 5), fresh), segmentsOf(history()));

    Standing.Branch branch = ask(BranchesShown.class, GetBranches::new).branches().get(0);
    assertEquals("main-after-25", branch.name());
    assertEquals(70, branch.head().seq());
    HistoryView left =
        ask(History.class, ref -> new GetBranchHistory(3, "main-after-25", ref)).view();
    assertEquals(70, left.headSeq());
    assertEquals(1, left.epoch());
    assertFalse(left.dark().isEmpty());
    assertEquals(lines(old, List.of()), segmentsOf(left));
    refused(ErrorCode.NOT_FOUND, ref -> new GetBranchHistory(3, "other", ref));
    Progress progress = ask(Progress.class, ref -> new GetProgress(1, 25, ref));
    assertEquals(Map.of(branch.toEventNr(), 25L), progress.left());
  }

  private boolean indexed(SegmentJournaled segment) {
    summary();
    return index.indexedSegments.contains(segment.number());
  }

  private static List<Long> lines(List<SegmentJournaled> first, List<SegmentJournaled> then) {
    List<Long> all = new ArrayList<>();
    first.forEach(s -> all.add(s.number()));
    then.forEach(s -> all.add(s.number()));
    return all;
  }

  private HistoryView history() {
    return ask(History.class, ref -> new GetHistory(0, ref)).view();
  }

  /** All segments that the view's readers are told of, whether in a leaf or in the tail. */
  private List<Long> segmentsOf(HistoryView view) throws Exception {
    List<Long> numbers = new ArrayList<>();
    var segments = parts.histories().of(view.persistenceId());
    long from = 0;
    for (var node : view.frontier()) {
      for (SegmentEntry entry : get(segments.segments(node.firstEventNr(), node.lastEventNr()))) {
        numbers.add(entry.segmentNumber());
      }
      from = node.lastEventNr() + 1;
    }
    long tail = Math.max(from, view.tailFromEventNr());
    for (SegmentEntry entry : get(segments.segments(tail, view.tailToEventNr()))) {
      numbers.add(entry.segmentNumber());
    }
    return numbers;
  }

  /** A link begins to read where the first write that its target lacks may be. */
  @Test
  void shouldTellWhereALinkGoesOn() throws Exception {
    ask(Summary.class, ref -> new CreateVolume(VOLUME_BYTES, false, ref));
    Writer tap = new Writer(TAP);
    List<SegmentJournaled> all = tap.journal(12);
    await("some leaves", () -> index.indexedSegments.size() >= 8);
    restart();
    for (long after : new long[] {0, 5, 20, 35, 55}) {
      Progress progress = ask(Progress.class, ref -> new GetProgress(9, after, ref));
      assertEquals(60, progress.headSeq());
      var found =
          get(
              parts
                  .histories()
                  .of(VolumeEntity.persistenceIdOf(NAME))
                  .segments(progress.fromEventNr(), progress.eventNr()));
      long first = found.get(0).meta().firstSeq().value();
      assertTrue(first <= after + 1, "begins at " + first + ", wanted after " + after);
      assertEquals(all.get(all.size() - 1).number(), found.get(found.size() - 1).segmentNumber());
    }
  }
}
