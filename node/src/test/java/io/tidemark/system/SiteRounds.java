package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.certs.CertsCommand;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Rounds of writing, faults and comparing, over two sites in network namespaces of their own, with
 * TLS, joined by a line of 20 Mbit and 80 ms. Each round writes at site {@code a}, does something
 * to the line, a node, a Cassandra or the tap, heals it, waits until site {@code b} has caught up,
 * and compares the two journals with the writers' model and with each other: content at the newest
 * and at random older positions, positions' times, timelines, tags.
 *
 * <p>Long run: {@code java -cp ... io.tidemark.system.SiteRounds ROUNDS SEED DIRECTORY [FAULT...]};
 * figures only: {@code SECONDS SEED DIRECTORY FIGURES}; with a target whose clock is so many
 * seconds ahead: {@code -Dtidemark.test.skew=300}.
 */
final class SiteRounds implements AutoCloseable {
  private static final String VOLUME = "wan";
  private static final String GROUP = "wan-group";
  private static final String LINK = "wan-link";
  private static final int WRITERS = 3;
  private static final int REGION_BYTES = 64 << 10;
  private static final int VOLUME_BYTES = WRITERS * REGION_BYTES;
  private static final int PACE_MILLIS = 30;
  private static final int FIRST_WRITES = 10;
  private static final int POINTS_A_ROUND = 5;
  private static final int OLD_POINTS_A_ROUND = 1;
  private static final String FIGURES = "FIGURES";
  private static final Duration SAMPLE_EVERY = Duration.ofMillis(50);
  private static final long BACKLOG_BYTES = 40_000_000;
  private static final int TIMELINE_BUCKETS = 64;

  private static final long DISK_BYTES = 3L << 30;
  private static final String SMALL_DISK_SETTINGS =
      """
      tidemark.cassandra.embedded-server {
        minimum-free = 100 MiB, restart { attempts = 2, backoff-max = 1 s }
      }
      """;
  private static final Duration FULL_LIMIT = Duration.ofMinutes(5);

  private static final double DAMAGED_PERCENT = 1;
  private static final double LOST_PERCENT = 2;

  /** How far the target's clock is ahead. */
  private static final Duration SKEW =
      Duration.ofSeconds(Integer.getInteger("tidemark.test.skew", 0));

  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Duration MEETING_LIMIT = Duration.ofSeconds(180);

  /** After a heal: new connections, then what was not sent. */
  private static final Duration CATCH_UP_LIMIT = Duration.ofSeconds(150);

  /** What a node may keep in memory after a round more than after the first. */
  private static final long GROWTH_BYTES_MAX = 96L << 20;

  /** What happens in a round. */
  enum Fault {
    NOTHING,
    /** A few seconds, both directions. */
    CUT,
    MINUTE_CUT,
    /** What the source sends is lost, what the target sends arrives. */
    CUT_TO,
    CUT_BACK,
    /** Some packets' data is changed, half of them with a TCP checksum that fits. */
    DAMAGE,
    LOSS,
    SOURCE_NODE,
    TARGET_NODE,
    SOURCE_CASSANDRA,
    TARGET_CASSANDRA,
    TAP,
    /** The target dies while the line is cut and comes back before that heals. */
    CUT_AND_TARGET_NODE,
    /**
     * The target's Cassandra has no more room, until its node ends, there is room, and it starts.
     */
    TARGET_FULL
  }

  private final WanLink wan;
  private final Optional<SmallDisk> disk;
  private final TestSite a;
  private final TestSite b;
  private final TestSite.TestTap tap;
  private final Random random;
  private final PrintStream out;
  private final List<RegionWriter> writers = new ArrayList<>();
  private final ExecutorService threads = Executors.newFixedThreadPool(WRITERS);

  /** SHA-256 of the volume at positions of earlier rounds. */
  private final TreeMap<Long, String> remembered = new TreeMap<>();

  private final Map<Fault, Integer> done = new EnumMap<>(Fault.class);
  private final long began = System.nanoTime();
  private long writesInAll;
  private long pointsInAll;
  private long heapA;
  private long heapB;

  /**
   * @param smallDisk whether the target's Cassandra gets a small disk of its own
   */
  SiteRounds(Path directory, long seed, boolean smallDisk, PrintStream out) throws Exception {
    this.random = new Random(seed);
    this.out = out;
    this.wan = new WanLink(directory);
    TestSite source = null;
    TestSite target = null;
    SmallDisk small = null;
    try {
      Path authority = directory.resolve("authority");
      if (CertsCommand.run(new String[] {"init", authority.toString()}) != 0) {
        throw new IOException("no authority was made in " + authority);
      }
      source = new TestSite(directory.resolve("a")).in(wan.a).with("--site", "a");
      source.encrypt(authority);
      target =
          new TestSite(directory.resolve("b"))
              .in(wan.b)
              .with("--site", "b", "--join", source.artery());
      target.encrypt(authority);
      if (smallDisk) {
        Path home = target.directory.resolve("data/cassandra");
        small = new SmallDisk(directory.resolve("disk.img"), home, DISK_BYTES);
        target.alsoSet(SMALL_DISK_SETTINGS);
      }
      if (!SKEW.isZero()) {
        target.ahead(SKEW);
      }
    } catch (Exception | AssertionError e) {
      closeAll(source, target, small, wan);
      throw e;
    }
    disk = Optional.ofNullable(small);
    a = source;
    b = target;
    Path backing = directory.resolve("backing.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    for (int i = 0; i < WRITERS; i++) {
      writers.add(new RegionWriter((long) i * REGION_BYTES, REGION_BYTES, random.nextLong()));
    }
    tap = a.tap(VOLUME, backing);
  }

  private static void closeAll(AutoCloseable... all) throws Exception {
    for (AutoCloseable one : all) {
      if (one != null) {
        one.close();
      }
    }
  }

  /** The source's site, its tap and its line, for tests of their own. */
  TestSite source() {
    return a;
  }

  TestSite target() {
    return b;
  }

  WanLink wan() {
    return wan;
  }

  /** Starts both sites and the replication. */
  void start() throws Exception {
    a.launch();
    b.launch();
    a.awaitReady();
    b.awaitReady();
    awaitSeen(a, "b", true);
    awaitSeen(b, "a", true);
    a.awaitReady();
    b.awaitReady();
    tell("both sites are up and see each other");
    a.client.createVolume(VOLUME, VOLUME_BYTES);
    a.client
        .send("POST", "/api/v1/groups", "{\"name\":\"" + GROUP + "\",\"volumes\":[\"wan\"]}")
        .orFail();
    tap.start();
    tap.awaitServed();
    String link = "{\"name\":\"%s\",\"group\":\"%s\",\"to\":\"b\"}".formatted(LINK, GROUP);
    a.client.send("POST", "/api/v1/links", link).orFail();
    writers.get(0).run(tap.uri(), FIRST_WRITES, () -> false);
    awaitDrained();
    awaitCaughtUp(FIRST_WRITES);
    tell("the link stands");
  }

  private void tell(String what) {
    out.printf(Locale.ROOT, "%7.1f s: %s%n", seconds(began), what);
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  /** One round; {@code index} only for names and the log. */
  void round(int index, Fault fault) throws Exception {
    awaitDrained();
    long base = a.client.head(VOLUME);
    CountDownLatch stop = new CountDownLatch(1);
    List<Future<Void>> running = new ArrayList<>();
    for (RegionWriter writer : writers) {
      writer.beginPhase();
      running.add(threads.submit(() -> write(writer, stop, fault)));
    }
    awaitAcknowledged(20);
    String tag = "round-" + index;
    String words = strike(fault, tag);
    long healed = System.nanoTime();
    long before = acknowledged();
    if (fault != Fault.TAP) {
      Await.until("the link moves after " + fault, CATCH_UP_LIMIT, () -> acknowledged() > before);
    }
    double moving = seconds(healed);
    end(stop, running);
    String last = takeTag(tag + "-end");
    long head = a.client.head(VOLUME);
    awaitCaughtUp(head);
    double caughtUp = seconds(healed);
    compare(index, fault, base, head);
    compareTag(last);
    String memory = memory();
    done.merge(fault, 1, Integer::sum);
    tell(
        String.format(
            Locale.ROOT,
            "round %d: %s%s, seq %d..%d, moving %.1f s and equal %.1f s after the heal, %s",
            index,
            fault,
            words,
            base,
            head,
            moving,
            caughtUp,
            memory));
  }

  private Void write(RegionWriter writer, CountDownLatch stop, Fault fault) throws IOException {
    try {
      writer.run(tap.uri(), Integer.MAX_VALUE, () -> paced(stop));
    } catch (IOException e) {
      if (fault != Fault.TAP) {
        throw new AssertionError("a write failed although the tap lives", e);
      }
    }
    return null;
  }

  private static boolean paced(CountDownLatch stop) {
    try {
      return stop.await(PACE_MILLIS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return true;
    }
  }

  // ---- faults ---------------------------------------------------------------------------------

  /** Does it and undoes it; what is worth telling of it. */
  private String strike(Fault fault, String tag) throws Exception {
    switch (fault) {
      case NOTHING -> pass(Duration.ofMillis(1000 + random.nextInt(2000)));
      case CUT -> {
        return cut(WanLink.Direction.BOTH, Duration.ofMillis(1000 + random.nextInt(14_000)), tag);
      }
      case MINUTE_CUT -> {
        return cut(WanLink.Direction.BOTH, Duration.ofSeconds(60), tag);
      }
      case CUT_TO -> {
        return cut(WanLink.Direction.TO, Duration.ofMillis(3000 + random.nextInt(17_000)), tag);
      }
      case CUT_BACK -> {
        return cut(WanLink.Direction.BACK, Duration.ofMillis(3000 + random.nextInt(17_000)), tag);
      }
      case DAMAGE -> {
        return spoil(() -> wan.damage(DAMAGED_PERCENT));
      }
      case LOSS -> {
        return spoil(() -> wan.lose(LOST_PERCENT));
      }
      case SOURCE_NODE -> {
        a.kill();
        a.start();
      }
      case TARGET_NODE -> {
        b.kill();
        awaitAcknowledgedOverTap();
        b.start();
      }
      case SOURCE_CASSANDRA -> kill(a.cassandra().orElseThrow());
      case TARGET_CASSANDRA -> kill(b.cassandra().orElseThrow());
      case TAP -> {
        tap.kill();
        tap.start();
        tap.awaitServed();
      }
      case CUT_AND_TARGET_NODE -> {
        wan.cut(WanLink.Direction.BOTH);
        b.kill();
        b.start();
        aloneAndWell(tag);
        wan.heal();
      }
      case TARGET_FULL -> {
        return full();
      }
    }
    return "";
  }

  private String full() throws Exception {
    SmallDisk small = disk.orElseThrow();
    long since = System.nanoTime();
    small.fillUp();
    Await.until("the target's node ends", FULL_LIMIT, () -> !b.alive());
    double ended = seconds(since);
    require(b.output().contains("is full"), "the node ended otherwise: " + b.output());
    Await.until("the link tells why it stands", LIMIT, () -> lane().has("code"));
    String code = lane().path("code").asText();
    awaitAcknowledged(20);
    small.makeRoom();
    b.start();
    return String.format(
        Locale.ROOT, " (its node ended after %.0f s; the link said %s)", ended, code);
  }

  private interface Spoiling {
    void begin() throws IOException;
  }

  private String spoil(Spoiling spoiling) throws Exception {
    WanLink.Count before = wan.count();
    spoiling.begin();
    pass(Duration.ofMillis(3000 + random.nextInt(9000)));
    wan.heal();
    WanLink.Count after = wan.count();
    return " (%d packets damaged, %d lost)"
        .formatted(after.damaged() - before.damaged(), after.lost() - before.lost());
  }

  private String cut(WanLink.Direction which, Duration length, String tag) throws Exception {
    long since = System.nanoTime();
    wan.cut(which);
    String noticed = "";
    if (length.toSeconds() >= 40) {
      // A write that was acknowledged is known to lag, and the figures to be old.
      Await.until("the cut is noticed", LIMIT, () -> lane().path("stale").asBoolean());
      double stale = seconds(since);
      Await.until("the line is given up", LIMIT, () -> !lane().path("connected").asBoolean());
      double broken = seconds(since);
      awaitSeen(a, "b", false);
      noticed =
          String.format(
              Locale.ROOT,
              ", stale after %.1f s, line given up after %.1f s, site after %.1f s",
              stale,
              broken,
              seconds(since));
      aloneAndWell(tag);
    }
    pass(length.minusNanos(System.nanoTime() - since));
    wan.heal();
    return String.format(Locale.ROOT, " of %.1f s%s", seconds(since), noticed);
  }

  /** Each site takes orders while the other is gone; the source's tap goes on. */
  private void aloneAndWell(String tag) throws Exception {
    awaitAcknowledged(20);
    takeTag(tag);
    for (TestSite site : new TestSite[] {a, b}) {
      String name = "alone-" + tag;
      site.client.createVolume(name, VOLUME_BYTES);
      site.client.delete("/api/v1/volumes/" + name + "?confirm=" + name).orFail();
    }
    PhaseCheck.read(b, VOLUME, "latest", b.client.head(VOLUME));
  }

  private static void kill(ProcessHandle process) throws Exception {
    process.destroyForcibly();
    process.onExit().get(30, TimeUnit.SECONDS);
  }

  private static void pass(Duration time) throws InterruptedException {
    if (new CountDownLatch(1).await(time.toMillis(), TimeUnit.MILLISECONDS)) {
      throw new IllegalStateException("nobody counts down");
    }
  }

  /** More writes are journaled at the source than now. */
  private void awaitAcknowledged(int more) throws Exception {
    long from = a.client.head(VOLUME);
    Await.until(
        more + " more writes are journaled", LIMIT, () -> a.client.head(VOLUME) >= from + more);
  }

  private void awaitAcknowledgedOverTap() throws Exception {
    awaitAcknowledged(50);
  }

  /** Tries again, by another name, while the tap or the journal is not back; the tag's name. */
  private String takeTag(String name) throws Exception {
    String[] taken = new String[1];
    int[] attempts = new int[1];
    Await.until(
        "a tag is taken",
        LIMIT,
        () -> {
          taken[0] = name + "-" + ++attempts[0];
          SiteClient.Answer answer =
              a.client.send(
                  "POST", "/api/v1/groups/" + GROUP + "/tags", "{\"name\":\"" + taken[0] + "\"}");
          require(List.of(201, 202, 409, 503, 504).contains(answer.status()), "" + answer);
          return answer.status() == 201;
        });
    return taken[0];
  }

  // ---- where things are -----------------------------------------------------------------------

  private JsonNode lane() throws Exception {
    return a.client.get("/api/v1/links/" + LINK).orFail().at("/lanes/0");
  }

  private long acknowledged() throws Exception {
    return lane().at("/acknowledged/seq").asLong();
  }

  static void awaitSeen(TestSite by, String name, boolean reachable) throws Exception {
    Await.until(
        "site " + name + (reachable ? " is" : " is not") + " reachable, see " + by.directory,
        MEETING_LIMIT,
        () -> {
          for (JsonNode site : by.client.get("/api/v1/sites").orFail()) {
            if (site.path("name").asText().equals(name)) {
              return site.path("reachable").asBoolean() == reachable;
            }
          }
          return !reachable;
        });
  }

  private void awaitDrained() throws Exception {
    Instant since = Instant.now();
    Await.until(
        VOLUME + " is protected and drained",
        CATCH_UP_LIMIT,
        () -> {
          JsonNode volume = a.client.volume(VOLUME);
          return List.of("Created", "Protected").contains(volume.at("/state").asText())
              && volume.at("/tap/connected").asBoolean()
              && volume.at("/tap/mode").asText().equals("continuous")
              && SiteClient.drained(volume, since);
        });
  }

  private void awaitCaughtUp(long head) throws Exception {
    JsonNode[] last = new JsonNode[1];
    try {
      Await.until(
          "site b has seq " + head,
          CATCH_UP_LIMIT,
          () -> {
            last[0] = a.client.get("/api/v1/links/" + LINK).orFail();
            return last[0].path("state").asText().equals("Streaming")
                && lane().at("/acknowledged/seq").asLong() == head
                && b.client.head(VOLUME) == head;
          });
    } catch (AssertionError e) {
      throw new AssertionError(e.getMessage() + "; the link is " + last[0], e);
    }
  }

  // ---- comparing ------------------------------------------------------------------------------

  private void compare(int index, Fault fault, long base, long head) throws Exception {
    JsonNode source = a.client.volume(VOLUME);
    JsonNode target = b.client.volume(VOLUME);
    require(source.path("role").asText().equals("Primary"), "source: " + source);
    require(target.path("role").asText().equals("Replica"), "target: " + target);
    for (String field : List.of("head", "epoch", "branch", "dark")) {
      require(
          source.path(field).equals(target.path(field)),
          field + " differs: " + source + " and " + target);
    }
    byte[] live = readTap();
    settle(fault, live);
    long written = writers.stream().mapToLong(RegionWriter::acknowledged).sum();
    writesInAll += written;
    if (fault != Fault.TAP) {
      require(
          head == base + written,
          "%d writes of the one tap after seq %d, but: %s".formatted(written, base, source));
    }
    comparePoints(fault, base, head);
    byte[] newest = PhaseCheck.read(b, VOLUME, "latest", head);
    require(Arrays.equals(newest, live), "the target's head differs from the backing store");
    require(
        Arrays.equals(PhaseCheck.read(a, VOLUME, "latest", head), live),
        "the source's head differs from the backing store (J2)");
    compareOld();
    remembered.put(head, digest(newest));
    require(
        timeline(a).equals(timeline(b)),
        "round " + index + ": the timelines differ: " + timeline(a) + " and " + timeline(b));
  }

  /** What the writers know against the backing store. */
  private void settle(Fault fault, byte[] live) {
    for (RegionWriter writer : writers) {
      byte[] region = PhaseCheck.region(live, writer);
      if (fault == Fault.TAP) {
        writer.settle(region);
      }
      require(
          Arrays.equals(region, writer.content()),
          "the backing store differs from what was written");
    }
  }

  /** Some positions of this round: against the model at the target, byte for byte at both. */
  private void comparePoints(Fault fault, long base, long head) throws Exception {
    PhaseCheck check = new PhaseCheck(b, VOLUME, writers, base);
    long step = Math.max(1, (head - base) / POINTS_A_ROUND);
    for (long seq = base + 1; seq <= head; seq += 1 + random.nextLong(2 * step)) {
      SiteClient.Answer point = a.client.point(VOLUME, "seq:" + seq);
      SiteClient.Answer there = b.client.point(VOLUME, "seq:" + seq);
      if (fault == Fault.TAP && point.status() == 409) {
        require(point.code().equals(there.code()), point + " but at the target " + there);
        continue;
      }
      require(
          point.orFail().path("at").equals(there.orFail().path("at")),
          "seq %d is %s, and %s at the target".formatted(seq, point, there));
      byte[] content = PhaseCheck.read(b, VOLUME, "seq:" + seq, seq);
      require(
          Arrays.equals(content, PhaseCheck.read(a, VOLUME, "seq:" + seq, seq)),
          "the sites differ at seq " + seq);
      if (fault != Fault.TAP) {
        check.point(seq, content);
        check.time(seq);
      }
      remembered.put(seq, digest(content));
      pointsInAll++;
    }
  }

  private void compareOld() throws Exception {
    List<Long> seqs = List.copyOf(remembered.keySet());
    for (int i = 0; i < Math.min(OLD_POINTS_A_ROUND, seqs.size()); i++) {
      long seq = seqs.get(random.nextInt(seqs.size()));
      for (TestSite site : new TestSite[] {a, b}) {
        require(
            digest(PhaseCheck.read(site, VOLUME, "seq:" + seq, seq)).equals(remembered.get(seq)),
            "an old recovery point changed: seq " + seq + " at " + site.directory);
        pointsInAll++;
      }
    }
  }

  private static JsonNode timeline(TestSite site) throws Exception {
    return site.client
        .get("/api/v1/volumes/" + VOLUME + "/timeline?buckets=" + TIMELINE_BUCKETS)
        .orFail()
        .path("buckets");
  }

  private void compareTag(String name) throws Exception {
    String path = "/api/v1/groups/" + GROUP + "/tags/" + name;
    JsonNode taken = a.client.get(path).orFail();
    Await.until(
        "tag " + name + " is at the target", LIMIT, () -> b.client.get(path).status() == 200);
    JsonNode there = b.client.get(path).orFail();
    for (String field : List.of("points", "time", "state", "consistency")) {
      require(taken.path(field).equals(there.path(field)), taken + ", but at b " + there);
    }
    long seq = taken.at("/points/0/seq").asLong();
    JsonNode point = b.client.point(VOLUME, "tag:" + name).orFail();
    require(point.path("seq").asLong() == seq, name + " is seq " + seq + ", but at b " + point);
  }

  /** What the nodes' heaps hold after a collection. */
  private String memory() throws Exception {
    long nowA = heldBytes(a);
    long nowB = heldBytes(b);
    if (heapA == 0) {
      heapA = nowA;
      heapB = nowB;
    }
    require(nowA - heapA < GROWTH_BYTES_MAX, "the source holds " + nowA + ", not " + heapA);
    require(nowB - heapB < GROWTH_BYTES_MAX, "the target holds " + nowB + ", not " + heapB);
    return "heaps %d and %d MiB".formatted(nowA >> 20, nowB >> 20);
  }

  private static long heldBytes(TestSite site) throws Exception {
    String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    String[] lines = Shell.read(jcmd, Long.toString(site.pid()), "GC.class_histogram").split("\n");
    return Long.parseLong(lines[lines.length - 1].trim().split("\\s+")[2]);
  }

  private byte[] readTap() throws IOException {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      return client.read(0, VOLUME_BYTES);
    }
  }

  private static String digest(byte[] content) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  // ---- figures --------------------------------------------------------------------------------

  /** Lag under steady load, then how fast the link catches up after a cut. */
  void figures(int steadySeconds) throws Exception {
    CountDownLatch stop = new CountDownLatch(1);
    List<Future<Void>> running = new ArrayList<>();
    for (RegionWriter writer : writers) {
      running.add(threads.submit(() -> write(writer, stop, Fault.NOTHING)));
    }
    awaitAcknowledged(20);
    JsonNode first = lane();
    WanLink.Count before = wan.count();
    List<Double> lags = new ArrayList<>();
    long from = System.nanoTime();
    while (seconds(from) < steadySeconds) {
      lags.add(lane().at("/lag/seconds").asDouble());
      pass(SAMPLE_EVERY);
    }
    double took = seconds(from);
    JsonNode last = lane();
    long line = wan.count().to() - before.to();
    long raw = last.at("/sent/rawBytes").asLong() - first.at("/sent/rawBytes").asLong();
    long writes = last.path("headSeq").asLong() - first.path("headSeq").asLong();
    end(stop, running);
    lags.sort(null);
    tell(
        String.format(
            Locale.ROOT,
            "steady: %.0f s, %.0f writes/s, %.2f MB/s raw, %.1f of %.0f Mbit/s on the line, lag p50"
                + " %.0f p90 %.0f p99 %.0f max %.0f ms of %d samples",
            took,
            writes / took,
            raw / took / 1e6,
            line * 8 / took / 1e6,
            WanLink.MBIT,
            1e3 * lags.get(lags.size() / 2),
            1e3 * lags.get(lags.size() * 9 / 10),
            1e3 * lags.get(lags.size() * 99 / 100),
            1e3 * lags.get(lags.size() - 1),
            lags.size()));
    catchUp();
  }

  private void catchUp() throws Exception {
    awaitCaughtUp(a.client.head(VOLUME));
    wan.cut(WanLink.Direction.BOTH);
    CountDownLatch stop = new CountDownLatch(1);
    List<Future<Void>> running = new ArrayList<>();
    for (RegionWriter writer : writers) {
      running.add(
          threads.submit(
              () -> {
                writer.run(tap.uri(), Integer.MAX_VALUE, () -> stop.getCount() == 0);
                return null;
              }));
    }
    Await.until(
        "enough is waiting", MEETING_LIMIT, () -> lane().at("/lag/bytes").asLong() > BACKLOG_BYTES);
    end(stop, running);
    pass(Duration.ofSeconds(20));
    long head = a.client.head(VOLUME);
    long backlog = lane().at("/lag/bytes").asLong();
    long acknowledged = acknowledged();
    WanLink.Count before = wan.count();
    wan.heal();
    long healed = System.nanoTime();
    Await.until("the link moves", CATCH_UP_LIMIT, () -> acknowledged() > acknowledged);
    double moving = seconds(healed);
    Await.until("the link has all", CATCH_UP_LIMIT, () -> acknowledged() == head);
    double all = seconds(healed);
    long line = wan.count().to() - before.to();
    tell(
        String.format(
            Locale.ROOT,
            "catch-up: %.1f MB, moving %.1f s after the heal, all there %.1f s later: %.1f MB on"
                + " the line, %.1f of %.0f Mbit/s",
            backlog / 1e6,
            moving,
            all - moving,
            line / 1e6,
            line * 8 / (all - moving) / 1e6,
            WanLink.MBIT));
  }

  private void end(CountDownLatch stop, List<Future<Void>> running) throws Exception {
    stop.countDown();
    for (Future<Void> writer : running) {
      writer.get(120, TimeUnit.SECONDS);
    }
    awaitDrained();
  }

  /** A fault for the next round: what takes minutes is rarer than the others. */
  Fault next() {
    Fault fault = Fault.values()[random.nextInt(Fault.values().length)];
    boolean slow = fault == Fault.MINUTE_CUT || fault == Fault.TARGET_FULL;
    return slow && random.nextInt(3) > 0 ? Fault.CUT : fault;
  }

  String summary() throws IOException {
    WanLink.Count count = wan.count();
    return "%s; %d writes, %d points compared; line: %d bytes to b, %d back, %d packets damaged, %d lost"
        .formatted(
            done,
            writesInAll,
            pointsInAll,
            count.to(),
            count.back(),
            count.damaged(),
            count.lost());
  }

  @Override
  public void close() throws IOException {
    threads.shutdownNow();
    SmallDisk small = disk.orElse(null);
    try (wan;
        small;
        a;
        b) {
      tap.close();
    }
  }

  public static void main(String[] arguments) throws Exception {
    int rounds = Integer.parseInt(arguments[0]);
    long seed = Long.parseLong(arguments[1]);
    Path directory = Files.createDirectories(Path.of(arguments[2]));
    System.out.printf("%d rounds, seed %d%n", rounds, seed);
    try (SiteRounds oracle = new SiteRounds(directory, seed, true, System.out)) {
      oracle.start();
      if (arguments.length > 3 && arguments[3].equals(FIGURES)) {
        oracle.figures(rounds);
        return;
      }
      for (int i = 1; i <= rounds; i++) {
        oracle.round(
            i,
            arguments.length > 3
                ? Fault.valueOf(arguments[2 + Math.min(i, arguments.length - 3)])
                : oracle.next());
      }
      System.out.println(oracle.summary());
    }
    System.out.println("all rounds held");
    System.exit(0);
  }
}
