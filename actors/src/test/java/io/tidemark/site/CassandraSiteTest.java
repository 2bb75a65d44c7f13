package io.tidemark.site;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.get;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.cassandra.CassandraIndexStore;
import io.tidemark.cassandra.CassandraSegmentStore;
import io.tidemark.cassandra.CassandraSessions;
import io.tidemark.cassandra.CassandraSettings;
import io.tidemark.cassandra.CassandraTagCatalog;
import io.tidemark.cassandra.CassandraWriterFence;
import io.tidemark.cassandra.EmbeddedCassandra;
import io.tidemark.cassandra.Schema;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.group.Groups;
import io.tidemark.group.TagRequest;
import io.tidemark.group.TagWords;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapIdentity;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.Points;
import io.tidemark.point.StoredPoints;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.FakeTap;
import io.tidemark.tag.TagSummary;
import io.tidemark.testsite.TestSite;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The entities over the real journal, segment store and index in a real Cassandra. */
@Timeout(value = 10, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CassandraSiteTest {
  private static final Path LIB = Path.of("../persistence/cassandra-runtime/target/cassandra-lib");
  private static final int CHUNK_BYTES = 64 << 10;
  private static final long SIZE = 16L << 20;
  private static final long WINDOW_SIZE = 256L << 10;

  private static EmbeddedCassandra cassandra;
  private static Config config;
  private static CassandraSettings settings;
  private static CqlSession session;
  private static ExecutorService builders;
  private static CassandraSegmentStore store;

  @BeforeAll
  static void start() throws IOException {
    Assumptions.assumeTrue(
        Files.isDirectory(LIB),
        "skipped: no Cassandra runtime; build persistence/cassandra-runtime");
    Path data = Files.createTempDirectory(Path.of("target"), "cassandra-site");
    config =
        ConfigFactory.parseString(
                "tidemark.cluster.port = 0\n"
                    + "tidemark.volume.orphan-delay = 1 s\n"
                    + "tidemark.tag.sweep-every = 1 s\n"
                    + "tidemark.akka.loglevel = WARNING\n"
                    + "tidemark.cassandra.embedded-server.heap = 768 MiB\n"
                    + "tidemark.cassandra.embedded-server.jvm-options = [\"-XX:TieredStopAtLevel=1\"]\n"
                    + ("tidemark.cassandra.embedded-server.lib-directory = \"" + LIB + "\"\n"))
            .withFallback(ConfigFactory.load());
    CassandraSettings read = CassandraSettings.of(config);
    cassandra = EmbeddedCassandra.start(read.server().withAnyFreePorts(), data);
    settings = read.withContactPoint(cassandra.contactPoint());
    session = CassandraSessions.open(settings);
    Schema.create(session, settings);
    builders = Executors.newFixedThreadPool(2);
    store = new CassandraSegmentStore(session, settings, 2);
  }

  @AfterAll
  static void stop() {
    if (cassandra != null) {
      store.close();
      session.close();
      cassandra.close();
      builders.shutdownNow();
    }
  }

  private static SiteSystem node(Points points) throws Exception {
    return node(points, config);
  }

  private static SiteSystem node(Points points, Config with) throws Exception {
    CassandraIndexStore index = new CassandraIndexStore(session, settings);
    SiteSystem node =
        SiteSystem.start(
            with,
            new SiteParts(
                store,
                new StoredIndexWriter(index, builders),
                index,
                new CassandraWriterFence(session, settings),
                points,
                new CassandraTagCatalog(session, settings),
                MicroClock.system(),
                Optional.of(() -> CassandraSessions.openAsync(settings))));
    get(node.up());
    return node;
  }

  private static Points points() {
    return new StoredPoints(
        new StoredIndexReader(new CassandraIndexStore(session, settings), Runnable::run, 16 << 20),
        store,
        MicroClock.system(),
        16 << 20,
        16);
  }

  /** Random writes from a tap, a restart of everything, and every checked point reads right. */
  @Test
  void shouldReadEveryPointBackAfterARestart() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("CassandraSiteTest -Dseed=" + seed);
    Random random = new Random(seed);
    VolumeName name = new VolumeName("oracle");
    Points points = points();
    byte[] disk = new byte[(int) SIZE];
    List<byte[]> states = new ArrayList<>();
    List<Long> seqs = new ArrayList<>();
    SiteSystem node = node(points);
    try {
      get(node.site().createVolume(name, SIZE, false));
      JournalSession tap = attach(node, name);
      long seq = 1;
      for (int i = 0; i < 150; i++) {
        seq = write(tap, random, disk, seq);
        if (i % 10 == 9) {
          states.add(disk.clone());
          seqs.add(seq - 1);
        }
      }
    } finally {
      get(node.stop());
    }
    SiteSystem again = node(points);
    try {
      assertEquals(seqs.get(seqs.size() - 1), get(again.site().volume(name)).head().seq().value());
      JournalSession tap = attach(again, name);
      assertEquals(2, tap.grant().session());
      HistoryView view = get(again.site().history(name));
      assertTrue(view.frontier().size() > 0);
      var history = again.histories().of(view.persistenceId());
      for (int i = 0; i < states.size(); i++) {
        var point = get(points.resolve(view, history, new At.Seq(new WriteSeq(seqs.get(i)))));
        PointReader reader = get(points.open(view, history, point));
        ByteBuffer all = get(reader.read(0, (int) SIZE));
        byte[] bytes = new byte[(int) SIZE];
        all.get(bytes);
        assertArrayEquals(states.get(i), bytes, "seed " + seed + " at seq " + seqs.get(i));
      }
      ByteBuffer hashes = get(tap.hashes(new ByteRange(0, SIZE), 1 << 20));
      byte[] expected =
          java.security.MessageDigest.getInstance("SHA-256")
              .digest(java.util.Arrays.copyOf(disk, 1 << 20));
      byte[] first = new byte[32];
      hashes.get(first);
      assertArrayEquals(expected, first);
      get(again.site().deleteVolume(name));
      await(
          "the old incarnation is freed",
          () ->
              session
                      .execute("SELECT count(*) FROM " + settings.keyspace() + ".segment_chunk")
                      .one()
                      .getLong(0)
                  == 0);
    } finally {
      get(again.stop());
    }
  }

  private record Write(int offset, byte[] data) {}

  /** Four windows' worth of writes: open points stay exact, rows do not add up (J8). */
  @Test
  void shouldStayExactWhileTheHorizonMoves() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("CassandraSiteTest -Dseed=" + seed);
    Random random = new Random(seed);
    VolumeName name = new VolumeName("window");
    Points points = points();
    Config quick =
        ConfigFactory.parseString(
                "tidemark.volume.retention-every = 300 ms\n"
                    + "tidemark.volume.free-delay = 1 s\n"
                    + "tidemark.volume.leaf-segments = 8\n")
            .withFallback(config);
    SiteSystem node = node(points, quick);
    try {
      get(node.site().createVolume(name, WINDOW_SIZE, false));
      get(
          node.retention()
              .setRetention(
                  name, new RetentionPolicy(TimeUnit.SECONDS.toMicros(2), 0, 0, List.of())));
      JournalSession tap =
          get(node.journal().attach(new TapIdentity(name, new UUID(1, 1), "test", WINDOW_SIZE)));
      List<Write> model = new ArrayList<>();
      append(tap, random, model, 20);
      long held = model.size();
      get(
          node.retention()
              .hold(
                  name,
                  tap.grant().volume(),
                  "image:held",
                  new WriteSeq(held),
                  false,
                  Duration.ofMinutes(5)));
      PointReader image = open(node, points, name, held);
      long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(8);
      while (System.nanoTime() < until || model.size() < 1_200) {
        append(tap, random, model, 16);
        HistoryView view = get(node.site().history(name));
        long seq =
            view.headSeq() - random.nextInt((int) (view.headSeq() - view.horizonSeq()) / 2 + 1);
        exact(model, seq, open(node, points, name, seq));
        exact(model, held, image);
      }
      assertTrue(get(node.site().history(name)).horizonSeq() > held, "the horizon does not move");
      exact(model, held, open(node, points, name, held));
      // What lives is less than 100 writes; at most as much is dead, and some runs are open.
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
      for (long rows = rowsOf(tap.grant().volume());
          rows > 500;
          rows = rowsOf(tap.grant().volume())) {
        long left = rows;
        RetentionSummary now = get(node.retention().retention(name));
        assertTrue(System.nanoTime() < deadline, () -> left + " rows are left: " + now);
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(100));
      }
      exact(model, held, image);
      exact(model, model.size(), open(node, points, name, model.size()));
      get(node.retention().release(name, "image:held"));
      await(
          "a released point is refused",
          () -> !io.tidemark.testsite.TestSite.join(node.site().history(name)).keeps(held));
      get(node.site().deleteVolume(name));
      await("the volume is freed", () -> rowsOf(tap.grant().volume()) == 0);
    } finally {
      get(node.stop());
    }
  }

  /** Tags in the catalog by time and name; one that expired leaves neither row nor event behind. */
  @Test
  void shouldKeepTagsInTheCatalog() throws Exception {
    VolumeName name = new VolumeName("tagged");
    SiteSystem node = node(points());
    try {
      get(node.site().createVolume(name, TestSite.VOLUME_BYTES, false));
      FakeTap tap = new FakeTap(name).attach(node);
      get(node.groups().create("g", List.of(name)));
      long soon = MicroClock.system().micros() + 12_000_000;
      for (int i = 0; i < 4; i++) {
        tap.write(3);
        tap.journal();
        String notes = i % 2 == 0 ? "Before the upgrade" : "";
        var request = new TagRequest("t" + i, false, List.of(), notes, i == 0 ? soon : 0);
        TagSummary tag = get(node.groups().take("g", request));
        assertEquals("Committed", tag.state(), tag.reason());
        assertEquals(3L * (i + 1), tag.marks().get(0).seq());
      }
      assertEquals(List.of("t3", "t2", "t1", "t0"), names(node, "", 100));
      assertEquals(List.of("t3", "t2"), names(node, "", 2));
      assertEquals(List.of("t1"), names(node, "t1", 100));
      assertWordsFound(node);
      UUID group = get(node.groups().get("g")).id();
      assertTrue(events(group, "t0") > 0);
      await("t0 expired", () -> names(node, "", 100).equals(List.of("t3", "t2", "t1")));
      await("without a trace", () -> events(group, "t0") == 0);
      assertNotFound(node.groups().resolve(name, "t0"));
      assertNotFound(node.groups().lock("g", "t0", true));
      assertTrue(events(group, "t1") > 0);
      get(node.groups().delete("g"));
      await("the group is gone", () -> TestSite.join(node.groups().list()).isEmpty());
      assertEquals(0, events(group, "t1"));
      assertEquals(
          0,
          session
              .execute("SELECT count(*) FROM " + settings.keyspace() + ".group_tag")
              .one()
              .getLong(0));
    } finally {
      get(node.stop());
    }
  }

  private static long rowsOf(VolumeId volume) {
    return session
        .execute(
            "SELECT count(*) FROM "
                + settings.keyspace()
                + ".segment_chunk WHERE volume = ? ALLOW FILTERING",
            volume.value())
        .one()
        .getLong(0);
  }

  private static void assertNotFound(CompletionStage<?> asked) {
    Refusal refusal = assertThrows(Refusal.class, () -> get(asked));
    assertEquals(ErrorCode.NOT_FOUND, refusal.code(), refusal.getMessage());
    assertTrue(refusal.getMessage().contains("'t0'"), refusal.getMessage());
  }

  /** Words of names and of notes; page by page each is found once. */
  private static void assertWordsFound(SiteSystem node) throws Exception {
    TagWords words = TagWords.parse("upgrade BEFORE");
    List<String> found = new ArrayList<>();
    long to = Long.MAX_VALUE;
    Groups.TagList page;
    do {
      page = get(node.groups().search("g", words, new TagCatalog.Query(0, to, "", 1)));
      page.tags().forEach(tag -> found.add(tag.spec().name()));
      to = page.untilMicros() - 1;
    } while (page.more());
    assertEquals(List.of("t2", "t0"), found);
    TagCatalog.Query all = new TagCatalog.Query(0, Long.MAX_VALUE, "", 100);
    assertEquals(1, get(node.groups().search("g", TagWords.parse("t2 up"), all)).tags().size());
    assertEquals(0, get(node.groups().search("g", TagWords.parse("t1 up"), all)).tags().size());
  }

  private static List<String> names(SiteSystem node, String prefix, int limit) {
    TagCatalog.Query query = new TagCatalog.Query(0, Long.MAX_VALUE, prefix, limit);
    return TestSite.join(node.groups().tags("g", query)).tags().stream()
        .map(tag -> tag.spec().name())
        .toList();
  }

  private static long events(UUID group, String tag) {
    return session
        .execute(
            "SELECT count(*) FROM "
                + settings.keyspace()
                + ".events WHERE persistence_id = '"
                + ConsistencyTag.persistenceIdOf(group, tag)
                + "' AND partition_nr = 0")
        .one()
        .getLong(0);
  }

  private static PointReader open(SiteSystem node, Points points, VolumeName name, long seq)
      throws Exception {
    HistoryView view = get(node.site().history(name));
    var history = node.histories().of(view.persistenceId());
    var point = get(points.resolve(view, history, new At.Seq(new WriteSeq(seq))));
    return get(points.open(view, history, point, () -> node.site().history(name)));
  }

  private static void exact(List<Write> model, long seq, PointReader reader) throws Exception {
    byte[] expected = new byte[(int) WINDOW_SIZE];
    for (Write write : model.subList(0, (int) seq)) {
      System.arraycopy(write.data(), 0, expected, write.offset(), write.data().length);
    }
    byte[] bytes = new byte[(int) WINDOW_SIZE];
    get(reader.read(0, (int) WINDOW_SIZE)).get(bytes);
    assertArrayEquals(expected, bytes, "seq " + seq);
  }

  /** Segments of one write each, at the time it is. */
  private static void append(JournalSession tap, Random random, List<Write> model, int segments)
      throws Exception {
    CompletionStage<WriteSeq> last = null;
    for (int i = 0; i < segments; i++) {
      byte[] data = new byte[512 * (1 + random.nextInt(16))];
      random.nextBytes(data);
      int offset = 512 * random.nextInt((int) (WINDOW_SIZE - data.length) / 512 + 1);
      model.add(new Write(offset, data));
      SegmentMeta meta =
          new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(model.size()), CHUNK_BYTES)
              .add(MicroClock.system().micros(), offset, data.length, false)
              .build(crcs(data));
      last = tap.append(meta, List.of(ByteBuffer.wrap(data)));
    }
    get(last);
  }

  private static JournalSession attach(SiteSystem node, VolumeName name) throws Exception {
    return get(node.journal().attach(new TapIdentity(name, new UUID(1, 1), "test", SIZE)));
  }

  /** One segment of random writes, applied to the model too; returns the next seq. */
  private static long write(JournalSession tap, Random random, byte[] disk, long seq)
      throws Exception {
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(seq), CHUNK_BYTES);
    long micros = tap.grant().headTime().micros() + seq;
    int writes = 1 + random.nextInt(40);
    java.io.ByteArrayOutputStream data = new java.io.ByteArrayOutputStream();
    for (int i = 0; i < writes; i++) {
      int length = 512 * (1 + random.nextInt(64));
      int offset = 512 * random.nextInt((int) (SIZE - length) / 512 + 1);
      boolean zero = random.nextInt(8) == 0;
      byte[] content = new byte[length];
      if (!zero) {
        random.nextBytes(content);
        data.write(content);
      }
      builder.add(micros + i, offset, length, zero);
      System.arraycopy(content, 0, disk, offset, length);
    }
    byte[] all = data.toByteArray();
    SegmentMeta meta = builder.build(crcs(all));
    get(tap.append(meta, List.of(ByteBuffer.wrap(all))));
    return seq + writes;
  }

  private static int[] crcs(byte[] data) {
    int[] crcs = new int[(data.length + CHUNK_BYTES - 1) / CHUNK_BYTES];
    for (int i = 0; i < crcs.length; i++) {
      CRC32C crc = new CRC32C();
      int from = i * CHUNK_BYTES;
      crc.update(data, from, Math.min(CHUNK_BYTES, data.length - from));
      crcs[i] = (int) crc.getValue();
    }
    return crcs;
  }

  /**
   * Recovery does not depend on the history. {@code -Dsegments=10000} makes it ten million writes.
   */
  @Test
  void shouldRecoverInUnderASecondWhateverTheHistory() throws Exception {
    int segments = Integer.getInteger("segments", 500);
    int writes = 1_000;
    long size = 1L << 40;
    VolumeName name = new VolumeName("long");
    Random random = new Random(1);
    Points points = points();
    SiteSystem node = node(points);
    try {
      get(node.site().createVolume(name, size, false));
      JournalSession tap =
          get(node.journal().attach(new TapIdentity(name, new UUID(1, 1), "test", size)));
      long micros = tap.grant().headTime().micros();
      long begun = System.nanoTime();
      Deque<CompletionStage<WriteSeq>> acks = new ArrayDeque<>();
      for (int i = 0; i < segments; i++) {
        SegmentMeta.Builder builder =
            new SegmentMeta.Builder(
                SegmentKind.LIVE, new WriteSeq(1 + (long) i * writes), CHUNK_BYTES);
        for (int w = 0; w < writes; w++) {
          long offset = (long) random.nextInt(1 << 28) * 4096;
          builder.add(micros + (long) i * writes + w, offset, 4096, true);
        }
        acks.add(tap.append(builder.build(new int[0]), List.of()));
        if (acks.size() > 64) {
          get(acks.remove());
        }
      }
      while (!acks.isEmpty()) {
        get(acks.remove());
      }
      System.out.printf(
          "journaled %,d writes in %d segments: %d ms%n",
          (long) segments * writes, segments, millisSince(begun));
      long indexed = System.nanoTime();
      await(
          "indexed",
          () -> {
            HistoryView view = io.tidemark.testsite.TestSite.join(node.site().history(name));
            return view.tailToEventNr() - view.tailFromEventNr() < 40;
          });
      System.out.printf("index caught up after %d ms more%n", millisSince(indexed));
    } finally {
      get(node.stop());
    }
    SiteSystem again = node(points);
    try {
      get(again.site().createVolume(new VolumeName("warm-up"), 4096, false));
      long begun = System.nanoTime();
      VolumeSummary summary = get(again.site().volume(name));
      long recovery = millisSince(begun);
      assertEquals((long) segments * writes, summary.head().seq().value());
      HistoryView view = get(again.site().history(name));
      begun = System.nanoTime();
      var history = again.histories().of(view.persistenceId());
      var point =
          get(points.resolve(view, history, new At.Seq(new WriteSeq(segments * writes / 2L))));
      PointReader reader = get(points.open(view, history, point));
      get(reader.read(0, 4096));
      System.out.printf(
          "recovery %d ms, %d index nodes in the frontier, open in the middle and first read %d"
              + " ms%n",
          recovery, view.frontier().size(), millisSince(begun));
      assertTrue(recovery < Duration.ofSeconds(1).toMillis(), recovery + " ms");
    } finally {
      get(again.stop());
    }
  }

  private static long millisSince(long nanos) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos);
  }
}
