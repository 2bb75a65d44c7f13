package io.tidemark.serialization;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.ExtendedActorSystem;
import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.Adapter;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.cbor.databind.CBORMapper;
import com.typesafe.config.ConfigFactory;
import io.tidemark.drill.DrillEvent;
import io.tidemark.drill.DrillResult;
import io.tidemark.drill.DrillSpec;
import io.tidemark.group.GroupDirectory;
import io.tidemark.group.GroupEntity;
import io.tidemark.group.GroupEvent;
import io.tidemark.group.GroupState;
import io.tidemark.group.GroupSummary;
import io.tidemark.group.Schedule;
import io.tidemark.group.TagRequest;
import io.tidemark.image.ImageDirectory;
import io.tidemark.image.ImageEntity;
import io.tidemark.image.ImageEvent;
import io.tidemark.image.ImageSpec;
import io.tidemark.image.ImageState;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.RunTable;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.link.LinkDirectory;
import io.tidemark.link.LinkEvent;
import io.tidemark.link.LinkRules;
import io.tidemark.link.LinkSpec;
import io.tidemark.link.LinkState;
import io.tidemark.link.VolumeCommand;
import io.tidemark.order.ApplicationResult;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.plan.PlanCommand;
import io.tidemark.plan.PlanDirectory;
import io.tidemark.plan.PlanEvent;
import io.tidemark.plan.PlanNote;
import io.tidemark.plan.PlanRun;
import io.tidemark.plan.PlanSpec;
import io.tidemark.plan.PlanState;
import io.tidemark.plan.PlanSummary;
import io.tidemark.plan.RecoveryPlan;
import io.tidemark.plan.RunOrder;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.HistoryView;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.replication.Throttle;
import io.tidemark.retention.Compaction;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.site.DirectoryEvent;
import io.tidemark.site.VolumeSummary;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.TagEvent;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSpec;
import io.tidemark.tag.TagState;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.SessionKey;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeEvent;
import io.tidemark.volume.VolumeState;
import io.tidemark.witness.ArbiterEvent;
import io.tidemark.witness.ArbiterState;
import io.tidemark.witness.ArbiterWord;
import io.tidemark.witness.LeaseReport;
import io.tidemark.witness.PlanArbiter;
import io.tidemark.witness.WitnessCommand;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** Stored bytes of every event version are read by today's code; every message round-trips. */
class EventSerializerTest {
  private static ActorTestKit kit;
  private static EventSerializer serializer;

  @BeforeAll
  static void start() {
    kit = ActorTestKit.create(ConfigFactory.load());
    serializer = new EventSerializer((ExtendedActorSystem) Adapter.toClassic(kit.system()));
  }

  @AfterAll
  static void stop() {
    kit.shutdownTestKit();
  }

  private final Map<String, Integer> seen = new HashMap<>();
  private String method;

  @BeforeEach
  void nameMethod(TestInfo test) {
    method = test.getTestMethod().orElseThrow().getName();
  }

  private static final VolumeId ID =
      new VolumeId(new UUID(0x0102030405060708L, 0x0a0b0c0d0e0f1011L));
  private static final UUID TAP = new UUID(0x1112131415161718L, 0x191a1b1c1d1e1f20L);
  private static final NodeHeader NODE =
      new NodeHeader(77, 1, 1, 160, 1_000, 2_000, 3, 18, 12, 2, 4_096);

  private static final TagSpec TAG_SPEC =
      new TagSpec(
          TAP, "g", "t", List.of(new VolumeName("d")), true, List.of("pg"), "s", "note", 5_000, 9);

  private static final TagMark MARK = new TagMark(new VolumeName("d"), ID, 3, 1, 77, 5_400, 900);

  private static final ApplicationResult APPLICATION =
      new ApplicationResult("pg", true, 0, 12, "checkpoint complete");

  private static final Schedule SCHEDULE =
      new Schedule("s", 1, 3_600, "s-{time}", false, List.of());

  private static final LinkSpec LINK =
      new LinkSpec("l", TAP, List.of(new VolumeName("d")), Optional.of("g"), "site-1", "site-2");

  private static final LinkRules RULES =
      new LinkRules(
          new Throttle(
              2_500_000,
              List.of(
                  new Throttle.Window(List.of(java.time.DayOfWeek.MONDAY), 480, 1_080, 625_000))),
          7,
          30);

  private static final ImageSpec IMAGE =
      new ImageSpec(
          "d-seq9",
          new VolumeName("d"),
          ID,
          1 << 20,
          new RecoveryPoint(new WriteSeq(9), new MicroTime(8), "main"),
          true,
          "node-1",
          new MicroTime(7));

  private static final DrillSpec DRILL =
      new DrillSpec(
          "nightly", new VolumeName("d"), "latest", "command", List.of("own.sh", "-v"), 3_600, 60);
  private static final DrillResult DRILLED =
      new DrillResult(
          "r1",
          Optional.of(ID),
          Optional.of(IMAGE.point()),
          10,
          20,
          DrillResult.Verdict.PASSED,
          "exit code 0");

  private static final PlanSpec.Hook HOOK =
      new PlanSpec.Hook("site-2", "ip.sh", List.of("add"), 30, 2);

  private static final PlanSpec PLAN =
      new PlanSpec(
          "p",
          List.of(
              new PlanSpec.Step(
                  "database",
                  Optional.of("g"),
                  List.of(new VolumeName("d")),
                  List.of(),
                  List.of(HOOK),
                  List.of(HOOK),
                  Optional.of(new PlanSpec.Start("127.0.0.1:10810", "/srv/backing")))),
          "site-1",
          "site-2",
          3_600,
          PlanSpec.AfterLimit.ROLLBACK,
          5,
          60);

  private static final PlanRun.Outcome OUTCOME =
      new PlanRun.Outcome(true, 9, 8, 2, -1, "primary in epoch 2 on main");

  private static final PlanRun RUN =
      new PlanRun(
          TAP,
          1,
          PlanRun.Kind.FORCED,
          "site-1",
          "site-2",
          "latest",
          List.of(
              new PlanRun.Task(
                  PlanRun.TaskKind.PROMOTE, 0, Optional.of(new VolumeName("d")), -1, true),
              new PlanRun.Task(PlanRun.TaskKind.POST, 0, Optional.empty(), 0, true)),
          0,
          List.of(),
          List.of(
              new PlanRun.Volume(new VolumeName("d"), 1 << 20, 1, TAP, 12, false, 9, 8, 0, 4_096)),
          8_000,
          0,
          0);

  private static final PlanNote.Fork FORK = new PlanNote.Fork(new VolumeName("d"), 9, 8);

  /** Version 2: the loss is counted from where an earlier run's histories parted. */
  private static final PlanRun PARTED_RUN =
      new PlanRun(
          TAP,
          1,
          PlanRun.Kind.FORCED,
          "site-1",
          "site-2",
          "latest",
          RUN.tasks(),
          0,
          List.of(),
          List.of(
              new PlanRun.Volume(
                  new VolumeName("d"),
                  1 << 20,
                  1,
                  TAP,
                  12,
                  false,
                  11,
                  9,
                  0,
                  4_096,
                  Optional.of(FORK))),
          8_000,
          0,
          0);

  /**
   * One of each stored type, as version 1 wrote it. A file is only ever added: a type that changes
   * its shape gets another name or an added field, and keeps its old file.
   */
  private static Map<String, Object> golden() {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("volume-created.1", new VolumeEvent.VolumeCreated(ID, 1L << 30, true, 1_000));
    all.put("tap-attached.1", new VolumeEvent.TapAttached(3, TAP, "db1:/run/t.sock", 1_001));
    all.put("tap-detached.1", new VolumeEvent.TapDetached(3, "the tap detached", 1_002));
    all.put(
        "segment-journaled.1",
        VolumeEvent.SegmentJournaled.of(3L << 32 | 5, TestSite.segment(11, 10, 2_000), 777));
    all.put("gap-recorded.1", new VolumeEvent.GapRecorded(21, 29, 3_000, "tap was killed"));
    all.put("sync-completed.1", new VolumeEvent.SyncCompleted(29, 4_096, 3_001));
    all.put("index-advanced.1", new VolumeEvent.IndexAdvanced(NODE, List.of(5L, 6L), 16, 160));
    all.put("epoch-raised.1", new VolumeEvent.EpochRaised(2, 4_000));
    all.put("volume-deleted.1", new VolumeEvent.VolumeDeleted(ID, 5_000));
    all.put("orphans-collected.1", new VolumeEvent.OrphansCollected(2));
    all.put("storage-freed.1", new VolumeEvent.StorageFreed(ID));
    all.put("replica-made.1", new VolumeEvent.ReplicaMade(TAP, "site a", 5_001));
    all.put("volume-fenced.1", new VolumeEvent.VolumeFenced("failover of plan p", 5_002));
    all.put("volume-promoted.1", new VolumeEvent.VolumePromoted("epoch-2", true, 5_003));
    all.put("branch-followed.1", new VolumeEvent.BranchFollowed("epoch-2"));
    all.put(
        "history-forked.1",
        new VolumeEvent.HistoryForked("main-after-9", 9, 4_999, 2, 7, "site a is back", 5_004));
    RetentionPolicy policy =
        new RetentionPolicy(
            86_400_000_000L, 50L << 30, 60L << 30, List.of(new RetentionPolicy.Rung(0, 7)));
    all.put("retention-set.1", new VolumeEvent.RetentionSet(policy, 6_000));
    all.put("point-pinned.1", new VolumeEvent.PointPinned("image:d", 9, false, 7_000));
    all.put(
        "pins-ended.1",
        new VolumeEvent.PinsEnded(List.of("image:d"), List.of("t"), true, "closed"));
    all.put("tags-kept.1", new VolumeEvent.TagsKept(List.of(new KeptTag("t", 9, 8, true))));
    all.put("horizon-moved.1", new VolumeEvent.HorizonMoved(160, 2_000));
    all.put("compaction-began.1", new VolumeEvent.CompactionBegan(4, 77, 3, 6_001));
    all.put(
        "history-compacted.1",
        new VolumeEvent.HistoryCompacted(
            4,
            NODE,
            List.of(NODE),
            List.of(NODE),
            160,
            new RunTable.Ref(88, 1),
            List.of(new Compaction.RunRange(1, 0, 9)),
            List.of(NODE),
            List.of(5L),
            16,
            new RunTable.Size(10, 9),
            new RunTable.Size(20, 19),
            6_002));
    all.put("history-freed.1", new VolumeEvent.HistoryFreed());
    all.put("volume-listed.1", new DirectoryEvent.VolumeListed(new VolumeName("disk")));
    all.put("volume-unlisted.1", new DirectoryEvent.VolumeUnlisted(new VolumeName("disk")));
    all.put("image-requested.1", new ImageEvent.ImageRequested(IMAGE));
    all.put("image-served.1", new ImageEvent.ImageServed("nbd://127.0.0.1:10809/d-seq9", 42));
    all.put("image-closing.1", new ImageEvent.ImageClosingBegan());
    all.put("image-closed.1", new ImageEvent.ImageClosed());
    all.put("image-name-taken.1", new ImageDirectory.NameTaken("d-seq9", "node-1"));
    all.put("image-name-freed.1", new ImageDirectory.NameFreed("d-seq9"));
    all.put("drill-created.1", new DrillEvent.DrillCreated(DRILL, 9));
    all.put("drill-deleted.1", new DrillEvent.DrillDeleted("nightly"));
    all.put("drill-run-began.1", new DrillEvent.DrillRunBegan("nightly", "r1", "node-1", 10, 70));
    all.put("drill-run-ended.1", new DrillEvent.DrillRunEnded("nightly", DRILLED));
    all.put("volume-forgotten.1", new DirectoryEvent.VolumeForgotten(new VolumeName("disk")));
    all.put("tag-requested.1", new TagEvent.TagRequested(TAG_SPEC));
    all.put("tag-quiescing.1", new TagEvent.TagQuiescing(7 << 16));
    all.put("tag-holding.1", new TagEvent.TagHolding(7 << 16, List.of(APPLICATION)));
    all.put("tag-marked.1", new TagEvent.TagMarked(List.of(MARK), 5_500));
    all.put("tag-committed.1", new TagEvent.TagCommitted(List.of(APPLICATION), 5_600));
    all.put(
        "tag-failed.1", new TagEvent.TagFailed(ErrorCode.HOLD_TIMEOUT, "late", List.of(), 5_700));
    all.put("tag-locked.1", new TagEvent.TagLocked(true));
    all.put(
        "tag-adopted.1",
        new TagEvent.TagAdopted(TAG_SPEC, List.of(APPLICATION), List.of(MARK), 5_800));
    all.put("tag-removed.1", new TagEvent.TagRemoved());
    all.put(
        "group-created.1",
        new GroupEvent.GroupCreated(TAP, List.of(new VolumeName("d"), new VolumeName("e")), 6_000));
    all.put("group-schedule-set.1", new GroupEvent.ScheduleSet(SCHEDULE));
    all.put("group-schedule-removed.1", new GroupEvent.ScheduleRemoved("s"));
    all.put("group-tagging-began.1", new GroupEvent.TaggingBegan("t"));
    all.put("group-tagging-ended.1", new GroupEvent.TaggingEnded("t"));
    all.put("group-lock-noted.1", new GroupEvent.LockNoted("t", List.of(MARK)));
    all.put("group-unlock-noted.1", new GroupEvent.UnlockNoted("t"));
    all.put("group-closing.1", new GroupEvent.GroupClosing());
    all.put("group-deleted.1", new GroupEvent.GroupDeleted());
    all.put("group-listed.1", new GroupDirectory.GroupListed("g", List.of(new VolumeName("d"))));
    all.put("group-unlisted.1", new GroupDirectory.GroupUnlisted("g"));
    VolumeName d = new VolumeName("d");
    all.put("link-created.1", new LinkEvent.LinkCreated(LINK, RULES, 7_000));
    all.put("link-rules-set.1", new LinkEvent.LinkRulesSet(LinkRules.DEFAULT));
    all.put("link-paused.1", new LinkEvent.LinkPaused(7_001));
    all.put("link-resumed.1", new LinkEvent.LinkResumed(7_002));
    all.put("lane-advanced.1", new LinkEvent.LaneAdvanced(d, 9, 8, 7, 6, true));
    all.put("lane-sync-began.1", new LinkEvent.LaneSyncBegan(d, 7_003));
    all.put("lane-broken.1", new LinkEvent.LaneBroken(d, ErrorCode.FENCED, "promoted", 7_004));
    all.put("tags-shipped.1", new LinkEvent.TagsShipped(7_007));
    all.put("resync-ordered.1", new LinkEvent.ResyncOrdered(7_005));
    all.put("link-deleted.1", new LinkEvent.LinkDeleted(7_006));
    all.put("link-listed.1", new LinkDirectory.LinkListed("l"));
    all.put("link-unlisted.1", new LinkDirectory.LinkUnlisted("l"));
    all.put("plan-created.1", new PlanEvent.PlanCreated(PLAN, 8_000));
    all.put("plan-run-began.1", new PlanEvent.RunBegan(RUN));
    all.put("plan-task-done.1", new PlanEvent.TaskDone(0, OUTCOME, 8_001));
    all.put(
        "plan-run-failed.1",
        new PlanEvent.RunFailed(1, ErrorCode.NOT_ACKNOWLEDGED, "no answer", 8_002));
    all.put("plan-run-resumed.1", new PlanEvent.RunResumed(8_003));
    all.put("plan-run-ended.1", new PlanEvent.RunEnded(8_004));
    all.put("plan-run-noted.1", new PlanEvent.RunNoted(new PlanNote(3, "site-1", "FailingBack")));
    all.put(
        "plan-run-noted.2",
        new PlanEvent.RunNoted(new PlanNote(3, "site-1", "FailedOver", List.of(FORK))));
    all.put("plan-run-began.2", new PlanEvent.RunBegan(PARTED_RUN));
    UUID config = new UUID(5, 6);
    all.put(
        "plan-automatic-set.1",
        new PlanEvent.AutomaticSet(
            Optional.of(new PlanSpec.Automatic("site-3", 30, config)), 8_006));
    all.put("arbiter-armed.1", new ArbiterEvent.ArbiterArmed(config, "site-1", "site-2", 9_000));
    all.put("lease-claimed.1", new ArbiterEvent.LeaseClaimed(TAP, 9_001));
    all.put("lease-yielded.1", new ArbiterEvent.LeaseYielded(TAP, 9_002));
    all.put("arbiter-retired.1", new ArbiterEvent.ArbiterRetired(config, 9_003));
    all.put("write-leased.1", new VolumeEvent.WriteLeased(true, 9_004));
    all.put("plan-source-fenced.1", new PlanEvent.SourceFenced(d, 12, 8_005));
    all.put("plan-listed.1", new PlanDirectory.PlanListed("p"));
    all.put("plan-unlisted.1", new PlanDirectory.PlanUnlisted("p"));
    return all;
  }

  /** Run with -Dgolden.write=DIRECTORY to write the files of a new type or version. */
  @Test
  void shouldReadTheStoredBytesOfEveryVersion() throws IOException {
    String write = System.getProperty("golden.write");
    for (Map.Entry<String, Object> entry : golden().entrySet()) {
      if (write != null) {
        Path file = Path.of(write, entry.getKey() + ".cbor");
        if (!Files.exists(file)) {
          Files.write(file, serializer.toBinary(entry.getValue()));
        }
        continue;
      }
      try (InputStream in = getClass().getResourceAsStream("/golden/" + entry.getKey() + ".cbor")) {
        assertNotNull(in, "no golden file for " + entry.getKey());
        String manifest = entry.getKey().substring(0, entry.getKey().lastIndexOf('.'));
        assertEquals(entry.getValue(), serializer.fromBinary(in.readAllBytes(), manifest));
      }
    }
  }

  /** No event may be added without its golden file. */
  @Test
  void shouldHaveAGoldenFileForEveryEvent() {
    Set<String> stored = new TreeSet<>();
    for (Class<?> root :
        List.of(
            VolumeEvent.class,
            DirectoryEvent.class,
            ImageEvent.class,
            DrillEvent.class,
            ImageDirectory.Event.class,
            TagEvent.class,
            GroupEvent.class,
            GroupDirectory.Event.class,
            LinkEvent.class,
            LinkDirectory.Event.class,
            PlanEvent.class,
            PlanDirectory.Event.class,
            ArbiterEvent.class)) {
      for (Class<?> type : root.getPermittedSubclasses()) {
        stored.add(type.getAnnotation(com.fasterxml.jackson.annotation.JsonTypeName.class).value());
      }
    }
    Set<String> covered =
        golden().keySet().stream()
            .map(name -> name.substring(0, name.lastIndexOf('.')))
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(stored, covered);
  }

  /** Neither manifests nor bytes name a class (Z1). */
  @Test
  void shouldStoreNoClassName() {
    for (Object event : golden().values()) {
      String bytes =
          new String(serializer.toBinary(event), java.nio.charset.StandardCharsets.ISO_8859_1);
      assertTrue(!bytes.contains("tidemark.") && !bytes.contains("VolumeEvent"), bytes);
      assertTrue(serializer.manifest(event).matches("[a-z-]+"));
    }
  }

  /** Later versions may add fields; today's code passes over what it does not know. */
  @Test
  void shouldPassOverUnknownFields() throws IOException {
    byte[] later =
        new com.fasterxml.jackson.dataformat.cbor.databind.CBORMapper()
            .writeValueAsBytes(Map.of("epoch", 4, "timeMicros", 9, "since", "version 7"));
    assertEquals(new VolumeEvent.EpochRaised(4, 9), serializer.fromBinary(later, "epoch-raised"));
  }

  /** Damaged bytes and unknown names are refused, and only listed classes are created (Z3). */
  @Test
  void shouldRefuseDamagedBytesAndUnknownNames() {
    byte[] bytes = serializer.toBinary(new VolumeEvent.EpochRaised(4, 9));
    byte[] cut = java.util.Arrays.copyOf(bytes, bytes.length - 3);
    assertThrows(UncheckedIOException.class, () -> serializer.fromBinary(cut, "epoch-raised"));
    assertThrows(
        IllegalArgumentException.class, () -> serializer.fromBinary(bytes, "java.lang.Runtime"));
    assertThrows(IllegalArgumentException.class, () -> serializer.manifest("text"));
  }

  /** What volumes, links and failovers say of roles; snapshots of links. */
  @Test
  void shouldRoundTripRolesAndLinks() {
    VolumeState state = VolumeState.EMPTY;
    for (VolumeEvent event :
        List.of(
            new VolumeEvent.VolumeCreated(ID, 1 << 20, true, 1_000),
            new VolumeEvent.TapAttached(1, TAP, "here", 1_001),
            VolumeEvent.SegmentJournaled.of(1L << 32, TestSite.segment(1, 15, 2_000), 777),
            new VolumeEvent.VolumeFenced("promoted elsewhere", 3_006),
            new VolumeEvent.HistoryForked("main-after-11", 11, 2_009, 0, 0, "why", 3_007),
            new VolumeEvent.ReplicaMade(TAP, "site a", 3_008),
            new VolumeEvent.EpochRaised(2, 3_009),
            new VolumeEvent.BranchFollowed("epoch-2"),
            new VolumeEvent.VolumePromoted("epoch-3", true, 3_010))) {
      state = VolumeState.apply(state, event);
      roundTrip(state);
    }
    LinkState link = LinkState.EMPTY;
    for (LinkEvent event :
        List.of(
            new LinkEvent.LinkCreated(LINK, RULES, 7_000),
            new LinkEvent.LaneAdvanced(new VolumeName("d"), 9, 8, 7, 6, true),
            new LinkEvent.LaneBroken(new VolumeName("d"), ErrorCode.FENCED, "why", 7_001),
            new LinkEvent.LinkPaused(7_002))) {
      link = LinkState.apply(link, event);
      roundTrip(link);
    }
    TestProbe<VolumeEntity.Reply> probe = kit.createTestProbe();
    roundTrip(new VolumeEntity.CreateReplica(512, 9, 2, "main", TAP, "site a", probe.getRef()));
    roundTrip(new VolumeEntity.PromoteVolume(2, -1, true, probe.getRef()));
    roundTrip(new VolumeEntity.DemoteVolume(2, Optional.of(TAP), "site b", 9, 8, probe.getRef()));
    roundTrip(new VolumeEntity.GetBranches(probe.getRef()));
    roundTrip(new VolumeEntity.GetBranchHistory(1, "b", probe.getRef()));
    roundTrip(new VolumeEntity.GetProgress(1, 9, probe.getRef()));
    roundTrip(
        new VolumeEntity.Progress(
            1, ID, 512, "Replica", 2, "main", 9, 8, 7, 6, 5, true, 4, 3, 2, Map.of(1L, 2L)));
  }

  /** Snapshots of every state and messages with actor references come back as they were. */
  @Test
  void shouldRoundTripStatesAndMessages() {
    VolumeState state = VolumeState.EMPTY;
    roundTrip(state);
    for (VolumeEvent event :
        List.of(
            new VolumeEvent.VolumeCreated(ID, 1 << 20, true, 1_000),
            new VolumeEvent.TapAttached(1, TAP, "here", 1_001),
            new VolumeEvent.GapRecorded(1, 1, 1_002, "first"),
            new VolumeEvent.TapAttached(2, TAP, "here", 1_003),
            VolumeEvent.SegmentJournaled.of(2L << 32, TestSite.segment(2, 10, 2_000), 777),
            new VolumeEvent.SyncCompleted(11, 1, 3_000),
            new VolumeEvent.GapRecorded(12, 15, 3_002, "again"),
            new VolumeEvent.IndexAdvanced(NODE, List.of(), 1, 10),
            new VolumeEvent.SyncCompleted(15, 1, 3_005),
            new VolumeEvent.VolumeDeleted(ID, 5_000))) {
      state = VolumeState.apply(state, event);
      roundTrip(state);
    }
    TestProbe<VolumeEntity.Reply> probe = kit.createTestProbe();
    SessionKey key = new SessionKey(ID, 2, 1);
    roundTrip(new VolumeEntity.CreateVolume(512, true, probe.getRef()));
    roundTrip(new VolumeEntity.SetRetention(RetentionPolicy.ALL, probe.getRef()));
    roundTrip(new VolumeEntity.PinPoint(ID, "image:d", 9, true, 5, probe.getRef()));
    roundTrip(new VolumeEntity.UnpinPoint("image:d", probe.getRef()));
    roundTrip(new VolumeEntity.KeepTag(ID, new KeptTag("t", 9, 8, true, 7), probe.getRef()));
    roundTrip(new VolumeEntity.AttachTap(TAP, "here", 512, 7, probe.getRef()));
    roundTrip(
        new VolumeEntity.AppendSegments(
            9,
            key,
            List.of(VolumeEvent.SegmentJournaled.of(1, TestSite.segment(1, 3, 9), 5)),
            probe.getRef()));
    TapStatus status = new TapStatus(TapStatus.Mode.SPILLING, 1, 2, 3, 4, 5);
    roundTrip(new VolumeEntity.Heartbeat(key, Optional.of(status), probe.getRef()));
    roundTrip(new VolumeEntity.Heartbeat(key, Optional.empty(), probe.getRef()));
    roundTrip(new VolumeEntity.Refused(4, ErrorCode.BUSY, "no"));
    roundTrip(
        new VolumeEntity.Attached(
            new SessionGrant(
                ID,
                512,
                Epoch.FIRST,
                2,
                new WriteSeq(9),
                new MicroTime(8),
                true,
                false,
                1,
                1,
                false)));
    TapOrder order = new TapOrder(7, OrderKind.HOLD, 99, new byte[] {1, 2});
    roundTrip(new VolumeEntity.OrderTap(order, probe.getRef()));
    roundTrip(new VolumeEntity.PassOrder(order, probe.getRef()));
    roundTrip(new VolumeEntity.OrderDone(7, new byte[] {3}));
    roundTrip(new VolumeEntity.FindTap(3, probe.getRef()));
    roundTrip(new VolumeEntity.TapFound(3, ID, 2, "host", 1, false, probe.getRef()));
    DarkInterval dark = new DarkInterval(3, Long.MAX_VALUE, 4, Long.MAX_VALUE, "lost");
    roundTrip(
        new VolumeEntity.History(
            1,
            new HistoryView(
                ID, "volume|d", 512, 1, 9, 8, 0, 1, List.of(dark), List.of(NODE), 19, 20)));
    RecoveryPoint point = new RecoveryPoint(new WriteSeq(9), new MicroTime(8), "main");
    roundTrip(
        new VolumeEntity.Summary(
            new VolumeSummary(
                new VolumeName("d"),
                ID,
                512,
                "site-1",
                "Protected",
                "Primary",
                1,
                "main",
                false,
                point,
                point,
                1,
                2,
                true,
                Optional.of("here"),
                Optional.of("akka://site@127.0.0.1:1"),
                Optional.of(status),
                5,
                List.of(dark))));
  }

  /** The same for images. */
  @Test
  void shouldRoundTripImages() {
    ImageState state = ImageState.EMPTY;
    roundTrip(state);
    for (ImageEvent event :
        List.of(
            new ImageEvent.ImageRequested(IMAGE),
            new ImageEvent.ImageServed("uri", 4),
            new ImageEvent.ImageClosingBegan(),
            new ImageEvent.ImageClosed())) {
      state = state.apply(event);
      roundTrip(state);
    }
    TestProbe<ImageEntity.Reply> probe = kit.createTestProbe();
    roundTrip(new ImageEntity.Open(IMAGE, probe.getRef()));
    roundTrip(new ImageEntity.ConfirmServing("uri", 4, probe.getRef()));
    roundTrip(new ImageEntity.Close(probe.getRef()));
    roundTrip(new ImageEntity.ConfirmClosed(probe.getRef()));
    roundTrip(new ImageEntity.GetImage(probe.getRef()));
    roundTrip(new ImageEntity.Described(IMAGE, "Serving", "uri", 4));
    roundTrip(new ImageEntity.Gone());
    roundTrip(new ImageEntity.Refused(ErrorCode.BUSY, "no"));
    TestProbe<ImageDirectory.Reply> names = kit.createTestProbe();
    roundTrip(new ImageDirectory.TakeName("d", true, "node-1", names.getRef()));
    roundTrip(new ImageDirectory.FreeName("d", names.getRef()));
    roundTrip(new ImageDirectory.GetNames(names.getRef()));
    roundTrip(new ImageDirectory.Taken("d"));
    roundTrip(new ImageDirectory.Listed(Map.of("d", "node-1")));
    roundTrip(new ImageDirectory.Names(Map.of("d", "node-1")));
  }

  /** The same for tags and groups: every state that their events lead to. */
  @Test
  void shouldRoundTripTagsAndGroups() {
    TagState tag = TagState.EMPTY;
    roundTrip(tag);
    for (TagEvent event :
        List.of(
            new TagEvent.TagRequested(TAG_SPEC),
            new TagEvent.TagQuiescing(7 << 16),
            new TagEvent.TagHolding(7 << 16, List.of(APPLICATION)),
            new TagEvent.TagMarked(List.of(MARK), 5_500),
            new TagEvent.TagCommitted(List.of(APPLICATION), 5_600),
            new TagEvent.TagLocked(true))) {
      tag = TagState.apply(tag, event);
      roundTrip(tag);
      roundTrip(((TagState.Known) tag).summary());
    }
    roundTrip(
        TagState.apply(
            new TagState.Requested(TAG_SPEC),
            new TagEvent.TagFailed(ErrorCode.HOLD_TIMEOUT, "late", List.of(), 5_700)));
    GroupState group = GroupState.EMPTY;
    for (GroupEvent event :
        List.of(
            new GroupEvent.GroupCreated(TAP, List.of(new VolumeName("d")), 6_000),
            new GroupEvent.ScheduleSet(SCHEDULE),
            new GroupEvent.TaggingBegan("t"),
            new GroupEvent.TaggingEnded("t"),
            new GroupEvent.LockNoted("t", List.of(MARK)),
            new GroupEvent.GroupClosing())) {
      group = GroupState.apply(group, event);
      roundTrip(group);
    }
    TestProbe<ConsistencyTag.Reply> tags = kit.createTestProbe();
    roundTrip(new ConsistencyTag.RequestTag(TAG_SPEC, tags.getRef()));
    roundTrip(new ConsistencyTag.LockTag("t", true, tags.getRef()));
    roundTrip(new ConsistencyTag.Settled(((TagState.Known) tag).summary()));
    TestProbe<GroupEntity.Reply> groups = kit.createTestProbe();
    roundTrip(new GroupEntity.SetSchedule(SCHEDULE, groups.getRef()));
    roundTrip(
        new GroupEntity.TakeTag(
            new TagRequest("t", true, List.of("pg"), "note", 9), groups.getRef()));
    roundTrip(
        new GroupEntity.Described(
            new GroupSummary(
                "g",
                TAP,
                "Open",
                List.of(new VolumeName("d")),
                1,
                List.of(SCHEDULE),
                List.of("t"),
                Map.of("t", List.of(MARK)))));
    TestProbe<VolumeEntity.Reply> volumes = kit.createTestProbe();
    roundTrip(new VolumeEntity.ConfirmMark(1, ID, 2, 3, 4, volumes.getRef()));
    roundTrip(new GroupDirectory.Listing(Map.of("g", List.of(new VolumeName("d")))));
  }

  /** Every state of an arbiter, what it is asked, and what plans say of leases. */
  @Test
  void shouldRoundTripLeases() {
    UUID config = new UUID(5, 6);
    ArbiterState state = ArbiterState.EMPTY;
    roundTrip(state);
    for (ArbiterEvent event :
        List.of(
            new ArbiterEvent.ArbiterArmed(config, "site-1", "site-2", 1),
            new ArbiterEvent.LeaseClaimed(TAP, 2),
            new ArbiterEvent.LeaseYielded(TAP, 3),
            new ArbiterEvent.ArbiterRetired(config, 4))) {
      state = ArbiterState.apply(state, event);
      roundTrip(state);
    }
    TestProbe<PlanArbiter.Reply> probe = kit.createTestProbe();
    ActorRef<PlanArbiter.Reply> ref = probe.getRef();
    roundTrip(new PlanArbiter.AskVote(config, true, "site-1", "site-2", 0.5, ref));
    roundTrip(new PlanArbiter.Claim(config, TAP, 30_000, ref));
    roundTrip(new PlanArbiter.Yield(TAP, ref));
    roundTrip(new PlanArbiter.Retire(config, ref));
    roundTrip(new PlanArbiter.GetArbiter(ref));
    ArbiterWord word =
        new ArbiterWord(
            "site-3", true, Optional.of(config), Optional.of(TAP), 9, true, 8, 10_000, 0.5);
    roundTrip(new PlanArbiter.Word(word));
    roundTrip(new PlanArbiter.Refused(ErrorCode.BUSY, "heard"));
    roundTrip(new WitnessCommand.AskVote("p", config, true, "site-1", "site-2", 0.5));
    roundTrip(new WitnessCommand.Claim("p", config, TAP, 30_000));
    roundTrip(new WitnessCommand.Yield("p", TAP));
    roundTrip(new WitnessCommand.Retire("p", config));
    roundTrip(new WitnessCommand.Show("p"));
    roundTrip(new WitnessCommand.Answer(word));
    Optional<PlanSpec.Automatic> on = Optional.of(new PlanSpec.Automatic("site-3", 30, config));
    roundTrip(
        PlanState.apply(
            PlanState.apply(PlanState.EMPTY, new PlanEvent.PlanCreated(PLAN, 1)),
            new PlanEvent.AutomaticSet(on, 2)));
    TestProbe<RecoveryPlan.Reply> plans = kit.createTestProbe();
    roundTrip(new RecoveryPlan.SetAutomatic(on, false, plans.getRef()));
    roundTrip(new PlanCommand.SetAutomatic("p", on, true));
    LeaseReport report = new LeaseReport("site-2", "site-1", 9, true, "heard", "heard, too");
    roundTrip(
        new RecoveryPlan.Summary(
            new PlanSummary(
                PLAN.with(on),
                "site-2",
                1,
                "Ready",
                Optional.empty(),
                0,
                Optional.empty(),
                "",
                Optional.of(report))));
    TestProbe<VolumeEntity.Reply> volumes = kit.createTestProbe();
    roundTrip(new VolumeEntity.LeaseWrites(true, volumes.getRef()));
    roundTrip(new VolumeCommand.Lease(new VolumeName("d"), true));
    roundTrip(
        new VolumeEntity.Attached(
            new SessionGrant(
                ID,
                512,
                Epoch.FIRST,
                2,
                new WriteSeq(9),
                new MicroTime(8),
                true,
                false,
                1,
                0,
                true)));
  }

  /** Every state of a plan, and what plans are asked and asked across sites. */
  @Test
  void shouldRoundTripPlans() {
    PlanState state = PlanState.EMPTY;
    roundTrip(state);
    for (PlanEvent event :
        List.of(
            new PlanEvent.PlanCreated(PLAN, 8_000),
            new PlanEvent.RunBegan(RUN),
            new PlanEvent.TaskDone(0, OUTCOME, 8_001),
            new PlanEvent.RunFailed(1, ErrorCode.FAILED, "exit code 3", 8_002),
            new PlanEvent.RunResumed(8_003),
            new PlanEvent.TaskDone(1, OUTCOME, 8_004),
            new PlanEvent.RunEnded(8_005),
            new PlanEvent.SourceFenced(new VolumeName("d"), 12, 8_006),
            new PlanEvent.RunNoted(new PlanNote(4, "site-1", "FailingBack")))) {
      state = PlanState.apply(state, event);
      roundTrip(state);
    }
    roundTrip(new PlanState.Tested(PLAN, RUN));
    roundTrip(new PlanState.Committed(PLAN, RUN));
    TestProbe<RecoveryPlan.Reply> plans = kit.createTestProbe();
    RunOrder order = new RunOrder(PlanRun.Kind.FORCED, "seq:9", List.of(ErrorCode.SECOND_PRIMARY));
    roundTrip(new RecoveryPlan.CreatePlan(PLAN, plans.getRef()));
    roundTrip(new RecoveryPlan.GetPlan(plans.getRef()));
    roundTrip(new RecoveryPlan.BeginRun(order, plans.getRef()));
    roundTrip(new RecoveryPlan.NoteRun(new PlanNote(4, "site-1", "Ready"), plans.getRef()));
    roundTrip(new RecoveryPlan.Wake());
    PlanSummary summary =
        new PlanSummary(
            PLAN, "site-2", 1, "Failed", Optional.of(RUN), 0, Optional.of(ErrorCode.FAILED), "no");
    roundTrip(new RecoveryPlan.Summary(summary));
    roundTrip(new RecoveryPlan.Refused(ErrorCode.BUSY, "later"));
    VolumeName d = new VolumeName("d");
    roundTrip(new PlanCommand.Adopt(PLAN));
    roundTrip(new PlanCommand.Show("p"));
    roundTrip(new PlanCommand.Order("p", order));
    roundTrip(new PlanCommand.Note("p", new PlanNote(4, "site-1", "Ready")));
    roundTrip(new PlanCommand.FindLanes(List.of(d), "site-2"));
    roundTrip(new PlanCommand.ResumeLinks(List.of("l")));
    roundTrip(new PlanCommand.ShutTap(d, 7, true, 30));
    roundTrip(new PlanCommand.TakeTag("g", "p-1"));
    roundTrip(new PlanCommand.RunHook(HOOK, Map.of("TIDEMARK_PLAN", "p")));
    PlanCommand.Lane lane =
        new PlanCommand.Lane(d, "l", TAP, "site 1", true, 9, 4_096, 0.5, false, Optional.of("no"));
    roundTrip(new PlanCommand.Answer(Optional.of(summary), List.of(lane), 9, true, "said"));
    roundTrip(new PlanDirectory.Listing(List.of("p")));
  }

  /**
   * Today's bytes and those that version 1 sent both become the message: nodes of both versions
   * work together while a site is upgraded one node at a time. A recorded file is never replaced.
   */
  private void roundTrip(Object message) {
    byte[] bytes = serializer.toBinary(message);
    String manifest = serializer.manifest(message);
    assertEquals(message, serializer.fromBinary(bytes, manifest));
    String file =
        "%s.%s-%d.1.cbor".formatted(method, manifest, seen.merge(manifest, 1, Integer::sum));
    try {
      String write = System.getProperty("golden.write");
      if (write != null) {
        Path recorded = Path.of(write, "messages", file);
        Files.createDirectories(recorded.getParent());
        if (!Files.exists(recorded)) {
          Files.write(recorded, bytes);
        }
        return;
      }
      try (InputStream in = getClass().getResourceAsStream("/golden/messages/" + file)) {
        assertNotNull(in, "no recorded bytes in messages/" + file);
        byte[] recorded = in.readAllBytes();
        byte[] read = serializer.toBinary(serializer.fromBinary(recorded, manifest));
        CBORMapper cbor = new CBORMapper();
        assertSays(cbor.readTree(recorded), cbor.readTree(read), file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Whatever the recorded bytes say was read; later versions may have added fields. Addresses of
   * actors differ from run to run.
   */
  private static void assertSays(JsonNode recorded, JsonNode read, String where) {
    if (recorded.isObject()) {
      recorded
          .properties()
          .forEach(
              field ->
                  assertSays(
                      field.getValue(), read.path(field.getKey()), where + " " + field.getKey()));
    } else if (recorded.isArray()) {
      assertEquals(recorded.size(), read.size(), where);
      for (int i = 0; i < recorded.size(); i++) {
        assertSays(recorded.get(i), read.get(i), where + " " + i);
      }
    } else if (!recorded.asText().startsWith("akka://")) {
      assertEquals(recorded, read, where);
    }
  }
}
