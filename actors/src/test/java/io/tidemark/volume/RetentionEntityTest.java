package io.tidemark.volume;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.fence.WriterFence;
import io.tidemark.index.InMemoryIndexStore;
import io.tidemark.index.IndexCheck;
import io.tidemark.index.IndexedHistory;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.index.TestSeed;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.point.StoredPoints;
import io.tidemark.position.At;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.segment.ChunkCache;
import io.tidemark.segment.InMemorySegmentStore;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.VolumeSummary;
import io.tidemark.testsite.TestSite;
import io.tidemark.testsite.World;
import io.tidemark.volume.VolumeEntity.AppendSegments;
import io.tidemark.volume.VolumeEntity.AttachTap;
import io.tidemark.volume.VolumeEntity.Attached;
import io.tidemark.volume.VolumeEntity.Command;
import io.tidemark.volume.VolumeEntity.CreateVolume;
import io.tidemark.volume.VolumeEntity.DeleteVolume;
import io.tidemark.volume.VolumeEntity.Done;
import io.tidemark.volume.VolumeEntity.GetHistory;
import io.tidemark.volume.VolumeEntity.GetSummary;
import io.tidemark.volume.VolumeEntity.History;
import io.tidemark.volume.VolumeEntity.Journaled;
import io.tidemark.volume.VolumeEntity.KeepTag;
import io.tidemark.volume.VolumeEntity.PinPoint;
import io.tidemark.volume.VolumeEntity.Refused;
import io.tidemark.volume.VolumeEntity.Reply;
import io.tidemark.volume.VolumeEntity.SetRetention;
import io.tidemark.volume.VolumeEntity.Summary;
import io.tidemark.volume.VolumeEntity.UnpinPoint;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Retention of the entity over stores in memory, against a plain model of the disk: points inside
 * the window and kept points are exact, others refused, whenever the entity is restarted.
 */
class RetentionEntityTest {
  private static final VolumeName NAME = new VolumeName("disk");
  private static final String ID = VolumeEntity.persistenceIdOf(NAME);
  private static final int BLOCK = 512;
  private static final int CHUNK_BYTES = 4096;
  private static final int SIZE = 64 << 10;

  private record Write(long time, int offset, byte[] data) {}

  private final String worldName = UUID.randomUUID().toString();
  private final World world = World.of(worldName);
  private final InMemorySegmentStore store = new InMemorySegmentStore();
  private final InMemoryIndexStore index = new InMemoryIndexStore();
  private final AtomicLong clock = new AtomicLong(1_000_000);
  private final AtomicLong nodeIds = new AtomicLong();
  private final Queue<SiteEvent> events = new ConcurrentLinkedQueue<>();
  private final RestingVolumes resting = new RestingVolumes(none -> {});
  private final Queue<KeptTag> catalog = new ConcurrentLinkedQueue<>();
  private final ExecutorService workers = Executors.newFixedThreadPool(3);
  private final List<Write> writes = new ArrayList<>();
  private final StoredPoints points =
      new StoredPoints(
          new StoredIndexReader(index, Runnable::run, 0),
          new ChunkCache(store, 0),
          clock::get,
          16,
          0);
  private ActorTestKit kit;
  private VolumeParts parts;
  private ActorRef<Command> volume;
  private TestProbe<Reply> asker;
  private Random random;
  private SessionKey session;
  private int ordinal;

  @BeforeEach
  void start() {
    Config config =
        ConfigFactory.parseString(
                "akka.persistence.journal.plugin = memory-journal\n"
                    + "akka.persistence.snapshot-store.plugin = memory-snapshots\n"
                    + "tidemark.volume.retention-every = 10 ms\n"
                    + "tidemark.volume.free-delay = 5 ms\n"
                    + "tidemark.volume.leaf-segments = 4\n"
                    + "tidemark.volume.session-silence = 1 h\n"
                    + "tidemark.volume.snapshot-every = 20\n")
            .withFallback(TestSite.config(worldName, ""));
    kit = ActorTestKit.create(config);
    parts =
        new VolumeParts(
            "here",
            VolumeSettings.of(config),
            store,
            new StoredIndexWriter(index, workers),
            index,
            WriterFence.NONE,
            VolumeHistories.of(kit.system()),
            workers,
            workers,
            clock::incrementAndGet,
            () -> nodeIds.addAndGet(1_000),
            resting,
            events::add,
            (volume, id, known, from, to) ->
                CompletableFuture.supplyAsync(() -> tags(known, from, to)));
    volume = kit.spawn(VolumeEntity.create(NAME, parts));
    asker = kit.createTestProbe();
  }

  @AfterEach
  void stop() {
    kit.shutdownTestKit();
    workers.shutdownNow();
  }

  /** As a catalog answers: locked tags, known ones, and those of the time. */
  private List<KeptTag> tags(List<KeptTag> known, long fromMicros, long toMicros) {
    List<String> names = known.stream().map(KeptTag::name).toList();
    return catalog.stream()
        .filter(
            tag ->
                tag.locked()
                    || names.contains(tag.name())
                    || tag.timeMicros() >= fromMicros && tag.timeMicros() <= toMicros)
        .toList();
  }

  private void restart() {
    kit.stop(volume);
    volume = kit.spawn(VolumeEntity.create(NAME, parts));
  }

  private <T extends Reply> T ask(Class<T> type, Function<ActorRef<Reply>, Command> command) {
    volume.tell(command.apply(asker.getRef()));
    return asker.expectMessageClass(type, Duration.ofSeconds(20));
  }

  private HistoryView view() {
    return ask(History.class, ref -> new GetHistory(0, ref)).view();
  }

  private VolumeSummary summary() {
    return ask(Summary.class, GetSummary::new).summary();
  }

  private void create(RetentionPolicy policy) {
    ask(Summary.class, ref -> new CreateVolume(SIZE, false, ref));
    ask(Summary.class, ref -> new SetRetention(policy, ref));
    TestProbe<Reply> tap = kit.createTestProbe();
    volume.tell(new AttachTap(UUID.randomUUID(), "host:tap", SIZE, 0, tap.getRef()));
    var grant = tap.expectMessageClass(Attached.class, Duration.ofSeconds(10)).grant();
    session = new SessionKey(grant.volume(), grant.session(), grant.epoch().value());
  }

  private void write(int segments) {
    for (int i = 0; i < segments; i++) {
      segment();
    }
  }

  private void segment() {
    long first = writes.size() + 1L;
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(first), CHUNK_BYTES);
    ByteBuffer data = ByteBuffer.allocate(64 << 10);
    int count = 1 + random.nextInt(6);
    for (int i = 0; i < count; i++) {
      int blocks = 1 + random.nextInt(8);
      int offset = random.nextInt(SIZE / BLOCK - blocks) * BLOCK;
      byte[] bytes = null;
      if (random.nextInt(5) > 0) {
        bytes = new byte[blocks * BLOCK];
        random.nextBytes(bytes);
        data.put(bytes);
      }
      long time = clock.addAndGet(1_000);
      writes.add(new Write(time, offset, bytes == null ? new byte[blocks * BLOCK] : bytes));
      builder.add(time, offset, (long) blocks * BLOCK, bytes == null);
    }
    data.flip();
    int[] crcs = new int[(int) ((builder.dataBytes() + CHUNK_BYTES - 1) / CHUNK_BYTES)];
    for (int i = 0; i < crcs.length; i++) {
      CRC32C crc = new CRC32C();
      crc.update(
          data.array(), i * CHUNK_BYTES, Math.min(CHUNK_BYTES, data.limit() - i * CHUNK_BYTES));
      crcs[i] = (int) crc.getValue();
    }
    SegmentMeta meta = builder.build(crcs);
    long number = SegmentRef.number(session.session(), ordinal++);
    long stored = join(store.store(new SegmentRef(session.volume(), number), meta, List.of(data)));
    VolumeEvent.SegmentJournaled event = VolumeEvent.SegmentJournaled.of(number, meta, stored);
    assertEquals(
        writes.size(),
        ask(Journaled.class, ref -> new AppendSegments(1, session, List.of(event), ref)).headSeq());
  }

  private byte[] model(long seq) {
    byte[] disk = new byte[SIZE];
    for (Write write : writes.subList(0, (int) seq)) {
      System.arraycopy(write.data(), 0, disk, write.offset(), write.data().length);
    }
    return disk;
  }

  private PointReader open(long seq) {
    HistoryView view = view();
    RecoveryPoint point =
        join(
            points.resolve(
                view,
                parts.histories().of(ID),
                new At.Seq(new WriteSeq(seq)),
                () -> CompletableFuture.completedFuture(view())));
    return join(
        points.open(
            view,
            parts.histories().of(ID),
            point,
            () -> CompletableFuture.completedFuture(view())));
  }

  /** The point is exact; false when the horizon has passed it meanwhile. */
  private boolean exact(PointReader reader) {
    long seq = reader.point().seq().value();
    try {
      ByteBuffer read = join(reader.read(0, SIZE));
      byte[] bytes = new byte[SIZE];
      read.get(bytes);
      assertArrayEquals(model(seq), bytes, () -> "seq " + seq);
      return true;
    } catch (CompletionException e) {
      return passed(seq, e);
    }
  }

  private boolean exact(long seq) {
    try {
      return exact(open(seq));
    } catch (CompletionException e) {
      return passed(seq, e);
    }
  }

  /** A point that is refused is before the horizon and not kept. */
  private boolean passed(long seq, CompletionException e) {
    if (e.getCause() instanceof Refusal refusal && refusal.code() == ErrorCode.BEYOND_HORIZON) {
      HistoryView now = view();
      assertTrue(now.horizonSeq() > seq && !now.keeps(seq), () -> seq + ": " + refusal);
      return false;
    }
    throw e;
  }

  private static <T> T join(CompletionStage<T> stage) {
    return stage.toCompletableFuture().orTimeout(20, TimeUnit.SECONDS).join();
  }

  private static void await(BooleanSupplier condition, String what) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, what);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }

  private static RetentionPolicy window(long writes) {
    return new RetentionPolicy(writes * 1_000, 0, 0, List.of());
  }

  /** What is checked may be cut meanwhile; then it is checked again. */
  private void checkIndex() {
    HistoryView view = view();
    IndexCheck.Report report = check(view);
    for (int i = 0; i < 50 && !view().base().equals(view.base()); i++) {
      view = view();
      report = check(view);
    }
    assertEquals(List.of(), report.problems());
  }

  private IndexCheck.Report check(HistoryView view) {
    return new IndexCheck(index)
        .check(
            new IndexedHistory(
                view.volume(),
                view.frontier(),
                parts.histories().of(ID),
                view.tailFromEventNr(),
                view.tailToEventNr(),
                view.layers()),
            SIZE,
            event -> {});
  }

  /** Many windows with restarts at any moment: exact where not refused, and everything flat. */
  @Test
  void shouldKeepTheWindowExactAndStayFlat() {
    random = new Random(TestSeed.next("retention entity"));
    int window = 300;
    create(window(window));
    long rowsMost = 0;
    int eventsMost = 0;
    long indexMost = 0;
    int snapshotMost = 0;
    for (int step = 0; step < 70; step++) {
      write(12 + random.nextInt(20));
      if (random.nextInt(2) == 0) {
        restart();
      }
      long head = writes.size();
      long horizon = view().horizonSeq();
      assertTrue(exact(head));
      for (int i = 0; i < 4; i++) {
        exact(horizon + random.nextInt((int) (head - horizon) + 1));
      }
      if (horizon > 0) {
        long before = random.nextInt((int) horizon);
        assertThrows(CompletionException.class, () -> open(before));
      }
      assertTrue(
          horizon == 0 || writes.get((int) horizon - 1).time() <= clock.get() - window * 1_000L,
          "the horizon is inside the window");
      if (step > 25) {
        long expected = head - window - 200;
        await(() -> view().horizonSeq() > expected, "the horizon stays behind " + expected);
        await(() -> view().base().isPresent(), "no base");
        rowsMost = Math.max(rowsMost, bytes());
        eventsMost = Math.max(eventsMost, world.eventCount(ID));
        indexMost = Math.max(indexMost, index.bytes());
        snapshotMost = Math.max(snapshotMost, world.snapshotBytes(ID));
      }
      if (step % 10 == 9) {
        checkIndex();
      }
    }
    VolumeSummary summary = summary();
    assertTrue(writes.size() > 12 * window);
    long written = writes.stream().mapToLong(w -> w.data().length).sum();
    System.out.printf(
        "retention entity: %d writes, %d bytes; held at most %d bytes, %d events, %d index bytes, "
            + "%d snapshot bytes; says raw %d stored %d%n",
        writes.size(),
        written,
        rowsMost,
        eventsMost,
        indexMost,
        snapshotMost,
        summary.rawBytes(),
        summary.storedBytes());
    assertTrue(rowsMost < 4_000_000, rowsMost + " bytes");
    assertTrue(eventsMost < 700, eventsMost + " events");
    assertTrue(indexMost < 1_000_000, indexMost + " bytes of index");
    assertTrue(snapshotMost < 60_000, snapshotMost + " bytes of state");
    assertTrue(summary.rawBytes() < written / 3, summary.rawBytes() + " raw");
  }

  private long bytes() {
    return store.rows().values().stream().mapToLong(ByteBuffer::remaining).sum();
  }

  /** Open images (pins) and tags outlive the window; what ends is refused (J8). */
  @Test
  void shouldKeepPinsAndTags() {
    random = new Random(TestSeed.next("pins and tags"));
    create(window(100));
    write(20);
    long pinned = writes.size() - 3;
    ask(Done.class, ref -> new PinPoint(session.volume(), "image:a", pinned, false, 60_000, ref));
    PointReader image = open(pinned);
    write(10);
    long tagged = writes.size();
    KeptTag tag = new KeptTag("nightly", tagged, clock.get(), true);
    KeptTag loose = new KeptTag("loose", tagged - 5, clock.get(), false);
    catalog.add(tag);
    catalog.add(loose);
    for (int i = 0; i < 25; i++) {
      write(20);
      if (i % 4 == 0) {
        restart();
      }
      assertTrue(exact(image));
      assertTrue(exact(pinned));
      assertTrue(exact(tagged));
    }
    await(
        () -> view().base().map(b -> b.firstSeq() <= tagged && b.lastSeq() > tagged).orElse(false),
        "no base");
    assertTrue(exact(image) && exact(tagged));
    assertEquals(List.of(pinned, tagged), view().keptSeqs());
    checkIndex();
    ask(Done.class, ref -> new UnpinPoint("image:a", ref));
    await(() -> !exact(pinned), "the closed image's point is still served");
    assertTrue(exact(tagged));
    catalog.clear();
    write(60);
    await(() -> view().layers().size() == 1, "the layers of ended pins stay");
    checkIndex();
    assertEquals(
        ErrorCode.BEYOND_HORIZON,
        ask(Refused.class, ref -> new PinPoint(session.volume(), "late", pinned, false, 1_000, ref))
            .code());
  }

  /**
   * A locked tag is kept from the answer on, one with an expiry until then; what is gone is gone.
   */
  @Test
  void shouldKeepLockedTagsAndThoseWithAnExpiry() {
    random = new Random(TestSeed.next("locked tags"));
    create(window(60));
    write(20);
    long locked = writes.size();
    KeptTag lock = new KeptTag("g/locked", locked, clock.get(), true);
    assertEquals(
        ErrorCode.NOT_FOUND,
        ask(Refused.class, ref -> new KeepTag(VolumeId.random(), lock, ref)).code());
    // The groups are not asked about it before the horizon comes there: the volume knows itself.
    ask(Done.class, ref -> new KeepTag(session.volume(), lock, ref));
    catalog.add(lock);
    write(5);
    long expiring = writes.size();
    long until = clock.get() + 100_000_000;
    catalog.add(new KeptTag("g/expiring", expiring, clock.get(), false, until));
    write(100);
    restart();
    await(() -> view().horizonSeq() > expiring, "the horizon does not move");
    assertEquals(List.of(locked, expiring), view().keptSeqs());
    assertTrue(exact(locked) && exact(expiring));
    KeptTag gone = new KeptTag("g/gone", expiring + 1, clock.get(), true);
    assertEquals(
        ErrorCode.BEYOND_HORIZON,
        ask(Refused.class, ref -> new KeepTag(session.volume(), gone, ref)).code());
    KeptTag unlocked = new KeptTag("g/locked", locked, lock.timeMicros(), false);
    catalog.remove(lock);
    catalog.add(unlocked);
    ask(Done.class, ref -> new KeepTag(session.volume(), unlocked, ref));
    await(() -> view().keptSeqs().equals(List.of(expiring)), "the unlocked tag stays");
    clock.set(until + 1);
    await(() -> view().keptSeqs().isEmpty(), "the expired tag stays");
    checkIndex();
  }

  /** A link's pin moves on with what it has shipped, and the horizon follows it. */
  @Test
  void shouldFollowAPinThatMoves() {
    random = new Random(TestSeed.next("moving pin"));
    create(window(30));
    write(10);
    for (int i = 0; i < 8; i++) {
      long shipped = writes.size();
      ask(
          Done.class,
          ref -> new PinPoint(session.volume(), "link:b", shipped, true, 900_000_000, ref));
      write(25);
      if (i % 3 == 0) {
        restart();
      }
      assertTrue(view().horizonSeq() <= shipped);
      assertTrue(exact(shipped) && exact(shipped + 1));
    }
    assertEquals(1, summary().pins());
    long last = writes.size();
    ask(Done.class, ref -> new PinPoint(session.volume(), "link:b", last, true, 900_000_000, ref));
    write(60);
    await(() -> view().horizonSeq() > last - 60, "the horizon does not follow");
    assertTrue(view().horizonSeq() <= last);
    assertEquals(
        ErrorCode.BEYOND_HORIZON,
        ask(Refused.class, ref -> new PinPoint(session.volume(), "link:c", 1, true, 1_000, ref))
            .code());
  }

  /** The empty volume before the first write is a point, too, and stays while it is held. */
  @Test
  void shouldKeepTheEmptyVolume() {
    random = new Random(TestSeed.next("empty"));
    create(window(30));
    ask(Done.class, ref -> new PinPoint(session.volume(), "image:e", 0, false, 900_000_000, ref));
    PointReader image = open(0);
    write(120);
    await(() -> view().base().isPresent(), "no base");
    assertTrue(exact(0) && exact(image));
    assertTrue(open(0).point().time().micros() < writes.get(0).time());
  }

  /** A pin that is not renewed lapses; an onward pin (a link's) holds the horizon itself. */
  @Test
  void shouldHoldTheHorizonForALinkUntilItsLeaseEnds() {
    random = new Random(TestSeed.next("link"));
    create(window(50));
    write(10);
    long shipped = writes.size();
    ask(Done.class, ref -> new PinPoint(session.volume(), "link:b", shipped, true, 3_000, ref));
    write(60);
    restart();
    write(10);
    assertTrue(view().horizonSeq() <= shipped);
    assertTrue(exact(shipped) && exact(shipped + 1));
    clock.addAndGet(3_000_000);
    await(() -> view().horizonSeq() > shipped + 20, "the lapsed lease still holds the horizon");
  }

  /** Above the hard cap the oldest pins lose, with an alert, and are refused (J8). */
  @Test
  void shouldGiveUpTheOldestPinsAboveTheHardCap() {
    random = new Random(TestSeed.next("hard cap"));
    create(new RetentionPolicy(0, 400_000, 500_000, List.of()));
    write(20);
    long shipped = writes.size();
    ask(Done.class, ref -> new PinPoint(session.volume(), "link:b", shipped, true, 900_000, ref));
    write(300);
    await(() -> view().horizonSeq() > shipped, "the hard cap does not hold");
    await(() -> summary().storedBytes() <= 500_000, "above the hard cap");
    assertTrue(events.stream().anyMatch(e -> e.type().equals("pins-lost")));
    assertTrue(exact(writes.size()));
    checkIndex();
  }

  /** A deleted volume leaves neither data nor nodes, whatever retention was doing. */
  @Test
  void shouldLeaveNothingWhenDeleted() {
    random = new Random(TestSeed.next("deleted"));
    create(window(60));
    write(150);
    await(() -> view().base().isPresent(), "no base");
    write(40);
    ask(Done.class, DeleteVolume::new);
    restart();
    await(() -> store.rows().isEmpty(), "data is left");
    await(() -> index.blocks.isEmpty(), "index nodes are left: " + index.blocks.size());
  }

  /** The ladder thins old tags: all, then one a span, then none; locked ones stay. */
  @Test
  void shouldThinTags() {
    RetentionPolicy policy =
        new RetentionPolicy(
            10, 0, 0, List.of(new RetentionPolicy.Rung(0, 100), new RetentionPolicy.Rung(50, 300)));
    List<KeptTag> tags = new ArrayList<>();
    for (int t = 0; t <= 1000; t += 10) {
      tags.add(new KeptTag("t" + t, t, t, t == 100));
    }
    List<String> kept = policy.thinned(tags, 1000).stream().map(KeptTag::name).toList();
    assertEquals(
        Arrays.asList(
            "t100", "t700", "t750", "t800", "t850", "t900", "t910", "t920", "t930", "t940", "t950",
            "t960", "t970", "t980", "t990", "t1000"),
        kept);
  }
}
