package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Failovers of a volume under load between two real sites, back and forth: planned ones, forced
 * ones, and forced ones while the source's node is dead; with a node, a Cassandra or the tap killed
 * with -9 in the middle of the run. After each one the new primary is compared with the old one's
 * backing store, both lines of history with the writers' models, the loss with what was reported,
 * and the taps' logs with the rule that no epoch has two writers.
 *
 * <p>{@code java -cp ... io.tidemark.system.FailoverRounds ROUNDS SEED DIRECTORY}
 */
final class FailoverRounds implements AutoCloseable {
  private static final String VOLUME = "oracle";
  private static final String PLAN = "/api/v1/plans/go";
  private static final int WRITERS = 2;
  private static final int REGION_BYTES = 256 << 10;

  /** Most of it never changes, and so must never be sent again. */
  private static final int VOLUME_BYTES = 16 << 20;

  private static final int PACE_MILLIS = 5;
  private static final int POINTS = 6;
  private static final Duration LIMIT = Duration.ofSeconds(600);
  private static final Pattern ATTACHED =
      Pattern.compile("volume " + VOLUME + ": attached in epoch Epoch\\[value=(\\d+)]");

  private enum Mode {
    PLANNED,
    FORCED,
    SITE_LOST,
    TEST
  }

  private enum Victim {
    NONE,
    SOURCE_NODE,
    TARGET_NODE,
    SOURCE_CASSANDRA,
    TARGET_CASSANDRA,
    TAP
  }

  private final TestSite a;
  private final TestSite b;
  private final Path directory;
  private final Random random;
  private final PrintStream out;
  private final List<RegionWriter> writers = new ArrayList<>();
  private final ExecutorService threads = Executors.newFixedThreadPool(WRITERS);

  /** From the order to the first write that the new site took; of rounds without a kill. */
  private final Map<Mode, List<Double>> seconds = new EnumMap<>(Mode.class);

  /** From the order to the promotion, as the plan tells. */
  private final Map<Mode, List<Double>> promotions = new EnumMap<>(Mode.class);

  private final List<Failback> failbacks = new ArrayList<>();

  /** What was written at the second site until the failback, and what of it was sent home. */
  private record Failback(long changedBytes, long sentRawBytes, long sentLineBytes) {}

  private Failback atFork = new Failback(0, 0, 0);

  /** Nothing was killed since the fork, so that nothing was sent again. */
  private boolean undisturbed;

  private TestSite.TestTap tap;
  private boolean atA = true;
  private long lostInAll;

  FailoverRounds(Path directory, long seed, PrintStream out) throws IOException {
    this(
        new TestSite(directory.resolve("a")).with("--site", "a"),
        new TestSite(directory.resolve("b")),
        directory,
        seed,
        out);
    b.with("--site", "b", "--join", "127.0.0.1:" + a.arteryPort);
  }

  /** Between sites that run. */
  FailoverRounds(TestSite a, TestSite b, Path directory, long seed, PrintStream out) {
    this.a = a;
    this.b = b;
    this.directory = directory;
    this.random = new Random(seed);
    this.out = out;
    for (int i = 0; i < WRITERS; i++) {
      writers.add(new RegionWriter((long) i * REGION_BYTES, REGION_BYTES, random.nextLong()));
    }
  }

  void start() throws Exception {
    a.launch();
    b.launch();
    a.awaitReady();
    b.awaitReady();
    protect();
  }

  /** The volume, its tap, its link and the plan; the sites run. */
  void protect() throws Exception {
    awaitTogether();
    a.client.createVolume(VOLUME, VOLUME_BYTES);
    byte[] content = new byte[VOLUME_BYTES];
    random.nextBytes(content);
    Arrays.fill(content, 0, WRITERS * REGION_BYTES, (byte) 0);
    Files.write(backing(a), content);
    startTap(a);
    ok(a, "POST", "/api/v1/links", "{\"volumes\":[\"%s\"],\"to\":\"b\"}".formatted(VOLUME));
    ok(
        a,
        "POST",
        "/api/v1/plans",
        ("{\"name\":\"go\",\"source\":\"a\",\"target\":\"b\","
                + "\"steps\":[{\"name\":\"all\",\"volumes\":[\"%s\"]}]}")
            .formatted(VOLUME));
    awaitStreaming();
  }

  // ---- who is where ---------------------------------------------------------------------------

  private TestSite here() {
    return atA ? a : b;
  }

  private TestSite there() {
    return atA ? b : a;
  }

  private Path backing(TestSite site) {
    return directory.resolve(site == a ? "oracle-a.img" : "oracle-b.img");
  }

  private void startTap(TestSite site) throws Exception {
    tap = site.tap(VOLUME, backing(site));
    tap.start();
    tap.awaitServed();
  }

  private void awaitTogether() throws Exception {
    for (TestSite site : List.of(a, b)) {
      String other = site == a ? "b" : "a";
      Await.until(
          "site " + other + " is reachable, see " + site.directory,
          LIMIT,
          () -> {
            for (JsonNode seen : ok(site, "GET", "/api/v1/sites", null)) {
              if (seen.path("name").asText().equals(other) && seen.path("reachable").asBoolean()) {
                return site.client.ready();
              }
            }
            return false;
          });
    }
  }

  /** An answer, or an exception that an await takes for not yet. */
  private static JsonNode ok(TestSite at, String method, String path, String body)
      throws IOException, InterruptedException {
    SiteClient.Answer answer = at.client.send(method, path, body);
    if (answer.status() >= 300) {
      throw new IOException(path + ": HTTP " + answer.status() + ": " + answer.body());
    }
    return answer.body();
  }

  private static JsonNode volume(TestSite at) throws IOException, InterruptedException {
    return ok(at, "GET", "/api/v1/volumes/" + VOLUME, null);
  }

  private String link() throws Exception {
    for (JsonNode link : ok(here(), "GET", "/api/v1/links", null)) {
      if (link.path("to").asText().equals(atA ? "b" : "a")) {
        return link.path("name").asText();
      }
    }
    throw new IOException("there is no link");
  }

  private void awaitStreaming() throws Exception {
    Await.until(
        "the link streams and has all",
        LIMIT,
        () -> {
          JsonNode link = ok(here(), "GET", "/api/v1/links/" + link(), null);
          return link.path("state").asText().equals("Streaming")
              && volume(here()).at("/head/seq").asLong() == volume(there()).at("/head/seq").asLong()
              && volume(there()).path("role").asText().equals("Replica");
        });
  }

  private void awaitDrained() throws Exception {
    java.time.Instant since = java.time.Instant.now();
    Await.until(
        "the tap is drained",
        LIMIT,
        () -> {
          JsonNode volume = volume(here());
          return List.of("Created", "Protected").contains(volume.path("state").asText())
              && volume.at("/tap/connected").asBoolean()
              && volume.at("/tap/mode").asText().equals("continuous")
              && SiteClient.drained(volume, since);
        });
  }

  // ---- a round --------------------------------------------------------------------------------

  /** One failover; {@code index} only for the log. */
  void round(int index) throws Exception {
    Mode mode = mode();
    Victim victim = mode == Mode.SITE_LOST ? Victim.NONE : victim();
    awaitDrained();
    awaitStreaming();
    final TestSite from = here();
    final long base = volume(from).at("/head/seq").asLong();
    writers.forEach(RegionWriter::beginPhase);
    CountDownLatch stop = new CountDownLatch(1);
    List<Future<Boolean>> running = new ArrayList<>();
    for (RegionWriter writer : writers) {
      String uri = tap.uri();
      running.add(threads.submit(() -> write(writer, uri, stop)));
    }
    Await.until(
        "writes are journaled", LIMIT, () -> volume(from).at("/head/seq").asLong() > base + 30);
    if (atA && (index == 1 || random.nextInt(2) == 0)) {
      test(index);
    }
    long foretold = mode == Mode.PLANNED ? 0 : diverge(mode, from, stop, running);
    final long began = System.nanoTime();
    order(mode);
    kill(victim, from);
    JsonNode over = awaitOver(mode, victim);
    end(stop, running);
    if (mode == Mode.PLANNED && !atA && victim == Victim.NONE && undisturbed) {
      failbacks.add(sentHome());
    }
    undisturbed = victim == Victim.NONE && mode != Mode.SITE_LOST;
    atFork = counters(there(), atA ? "a" : "b");
    fill(there(), over);
    final TestSite.TestTap old = tap;
    if (mode != Mode.SITE_LOST) {
      old.kill();
    }
    startTap(there());
    firstWrite();
    final double took = (System.nanoTime() - began) / 1e9;
    if (victim == Victim.NONE) {
      note(seconds, mode, took);
      note(promotions, mode, over.at("/run/rtoSeconds").asDouble());
    }
    if (mode == Mode.SITE_LOST) {
      from.start();
      awaitTogether();
    }
    long lost = mode == Mode.PLANNED ? 0 : awaitCounted(foretold, victim);
    if (mode == Mode.SITE_LOST) {
      assertFenced(old);
    }
    check(mode, victim, base, over);
    atA = !atA;
    settle();
    lostInAll += lost;
    out.printf(
        "round %d: %s to %s, kill %s, seq %d..%d, %d writes lost, first write after %.1f s%n",
        index,
        mode,
        atA ? "a" : "b",
        victim,
        base,
        over.at("/run/volumes/0/goesOnAtSeq").asLong(),
        lost,
        took);
    writers(index);
  }

  private static void note(Map<Mode, List<Double>> all, Mode mode, double seconds) {
    all.computeIfAbsent(mode, m -> new ArrayList<>()).add(seconds);
  }

  /** Since the fork: the link back has sent what changed, and not the volume. */
  private Failback sentHome() throws Exception {
    Failback now = counters(here(), "a");
    boolean begunAgain = now.sentRawBytes() < atFork.sentRawBytes();
    Failback failback =
        new Failback(
            volume(here()).at("/journal/rawBytes").asLong() - atFork.changedBytes(),
            now.sentRawBytes() - (begunAgain ? 0 : atFork.sentRawBytes()),
            now.sentLineBytes() - (begunAgain ? 0 : atFork.sentLineBytes()));
    // Which a line that is begun again may send once more, but never the volume.
    if (failback.sentRawBytes() > failback.changedBytes() + VOLUME_BYTES / 16) {
      throw new AssertionError("more was sent home than what changed: " + failback);
    }
    return failback;
  }

  /** All that was journaled at a site, and what its link back has sent since it was begun. */
  private static Failback counters(TestSite site, String to) throws Exception {
    long journaled = volume(site).at("/journal/rawBytes").asLong();
    for (JsonNode link : ok(site, "GET", "/api/v1/links", null)) {
      if (link.path("to").asText().equals(to)) {
        JsonNode sent = link.at("/lanes/0/sent");
        return new Failback(
            journaled, sent.path("rawBytes").asLong(), sent.path("lineBytes").asLong());
      }
    }
    return new Failback(journaled, 0, 0);
  }

  /** A test failover under load: writable images, and replication goes on all the while. */
  private void test(int index) throws Exception {
    final long began = System.nanoTime();
    TestSite at = random.nextBoolean() ? a : b;
    at.client.send("POST", PLAN + "/failover", "{\"mode\":\"test\"}").orFail();
    awaitPlan(b, "Tested");
    JsonNode image = images().get(0);
    long seq = image.at("/at/seq").asLong();
    byte[] content;
    double took;
    try (NbdClient client = NbdClient.connect(NbdUri.parse(image.path("uri").asText()))) {
      client.write(0, ByteBuffer.wrap(client.read(0, 512)));
      took = (System.nanoTime() - began) / 1e9;
      content = client.read(0, VOLUME_BYTES);
      client.write(0, ByteBuffer.wrap(new byte[REGION_BYTES])); // Which nobody else sees.
    }
    note(seconds, Mode.TEST, took);
    same("the test's image", content, "its point", PhaseCheck.read(a, VOLUME, "seq:" + seq, seq));
    Await.until("writes arrive", LIMIT, () -> volume(b).at("/head/seq").asLong() > seq + 20);
    at.client.send("POST", PLAN + "/rollback", null).orFail();
    awaitPlan(b, "Ready");
    if (!images().isEmpty()) {
      throw new AssertionError("a test's images are left: " + images());
    }
    out.printf("round %d: TEST at b, seq %d, first write after %.1f s%n", index, seq, took);
  }

  private List<JsonNode> images() throws Exception {
    List<JsonNode> found = new ArrayList<>();
    for (JsonNode image : ok(b, "GET", "/api/v1/images", null)) {
      if (image.path("name").asText().equals("plan-go-" + VOLUME)) {
        found.add(image);
      }
    }
    return found;
  }

  private static void awaitPlan(TestSite at, String state) throws Exception {
    JsonNode[] last = new JsonNode[1];
    Await.until(
        "the plan is " + state,
        LIMIT,
        () -> {
          last[0] = ok(at, "GET", PLAN, null);
          if (last[0].path("state").asText().equals("Failed")) {
            throw new AssertionError("the run failed: " + last[0]);
          }
          return last[0].path("state").asText().equals(state);
        });
  }

  private Mode mode() {
    int luck = random.nextInt(10);
    return luck < 6 ? Mode.PLANNED : luck < 9 ? Mode.FORCED : Mode.SITE_LOST;
  }

  private Victim victim() {
    return random.nextInt(4) < 3 ? Victim.NONE : Victim.values()[1 + random.nextInt(5)];
  }

  private static Boolean write(RegionWriter writer, String uri, CountDownLatch stop) {
    try {
      writer.run(uri, Integer.MAX_VALUE, () -> paced(stop));
      return true;
    } catch (IOException shutOut) {
      return false; // As a client of a volume that goes on elsewhere sees it.
    }
  }

  private static boolean paced(CountDownLatch stop) {
    try {
      return stop.await(PACE_MILLIS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return true;
    }
  }

  private static void end(CountDownLatch stop, List<Future<Boolean>> running) throws Exception {
    stop.countDown();
    for (Future<Boolean> writer : running) {
      writer.get(120, TimeUnit.SECONDS);
    }
  }

  /** Has the source journal what the target lacks; returns how much, as the plan tells. */
  private long diverge(Mode mode, TestSite from, CountDownLatch stop, List<Future<Boolean>> running)
      throws Exception {
    ok(from, "PATCH", "/api/v1/links/" + link(), "{\"paused\":true}");
    long head = volume(from).at("/head/seq").asLong();
    Await.until("more writes", LIMIT, () -> volume(from).at("/head/seq").asLong() > head + 20);
    if (mode == Mode.SITE_LOST) {
      from.kill();
      String name = from == a ? "a" : "b";
      Await.until(
          "the loss of site " + name + " is noticed",
          LIMIT,
          () -> {
            for (JsonNode seen : ok(there(), "GET", "/api/v1/sites", null)) {
              if (seen.path("name").asText().equals(name)) {
                return !seen.path("reachable").asBoolean();
              }
            }
            return true;
          });
      return -1;
    }
    end(stop, running);
    awaitDrained();
    JsonNode plan = ok(there(), "GET", PLAN, null);
    return plan.at("/exposure/0/lost/writes").asLong(-1);
  }

  private void order(Mode mode) throws Exception {
    boolean home = atA;
    TestSite at = mode != Mode.PLANNED ? there() : random.nextBoolean() ? a : b;
    String what = home || mode != Mode.PLANNED ? "/failover" : "/failback";
    String body =
        what.equals("/failback")
            ? null
            : "{\"mode\":\"%s\",\"override\":[%s]}"
                .formatted(
                    mode == Mode.PLANNED ? "planned" : "forced",
                    mode == Mode.SITE_LOST ? "\"SECOND_PRIMARY\"" : "");
    SiteClient.Answer answer = at.client.send("POST", PLAN + what, body);
    if (answer.status() != 202 && !answer.code().equals("BUSY")) {
      throw new AssertionError(mode + ": " + answer);
    }
  }

  private void kill(Victim victim, TestSite from) throws Exception {
    TestSite to = there();
    if (victim != Victim.NONE) {
      pause(random.nextInt(400));
    }
    switch (victim) {
      case NONE -> {}
      case TAP -> {
        tap.kill();
        tap.start();
      }
      case SOURCE_NODE, TARGET_NODE -> {
        TestSite site = victim == Victim.SOURCE_NODE ? from : to;
        site.kill();
        site.start();
      }
      case SOURCE_CASSANDRA, TARGET_CASSANDRA -> {
        TestSite site = victim == Victim.SOURCE_CASSANDRA ? from : to;
        ProcessHandle cassandra = site.cassandra().orElseThrow();
        cassandra.destroyForcibly();
        cassandra.onExit().get(30, TimeUnit.SECONDS);
      }
    }
  }

  private static void pause(int millis) throws InterruptedException {
    if (new CountDownLatch(1).await(millis, TimeUnit.MILLISECONDS)) {
      throw new IllegalStateException("nobody counts down");
    }
  }

  /** A run that failed for what was killed is ordered again. */
  private JsonNode awaitOver(Mode mode, Victim victim) throws Exception {
    String wanted = mode == Mode.PLANNED && !atA ? "Ready" : "FailedOver";
    JsonNode[] last = new JsonNode[1];
    Await.until(
        "the plan is " + wanted,
        LIMIT,
        () -> {
          last[0] = ok(there(), "GET", PLAN, null);
          if (last[0].path("state").asText().equals("Failed")) {
            if (victim == Victim.NONE) {
              throw new AssertionError("the run failed: " + last[0]);
            }
            out.println("  failed, ordered again: " + last[0].path("reason").asText());
            awaitTogether();
            order(mode);
          }
          return last[0].path("state").asText().equals(wanted);
        });
    return last[0];
  }

  /** What is promoted fills the backing store of its tap, which knows nothing of earlier times. */
  private void fill(TestSite at, JsonNode over) throws Exception {
    forget(backing(at).resolveSibling(backing(at).getFileName() + ".tidemark"));
    Files.write(backing(at), PhaseCheck.read(at, VOLUME, "latest", -1));
    if (!volume(at).path("role").asText().equals("Primary")) {
      throw new AssertionError("no primary: " + over);
    }
  }

  private static void forget(Path state) throws IOException {
    if (Files.exists(state)) {
      try (Stream<Path> files = Files.walk(state)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  /** Writes back what is there, so that the models hold. */
  private void firstWrite() throws IOException {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      client.write(0, ByteBuffer.wrap(client.read(0, 512)));
    }
  }

  /** It took writes all the time that its site was gone, and takes none since it was back. */
  private static void assertFenced(TestSite.TestTap old) throws Exception {
    Await.until(
        "the old tap fails writes",
        LIMIT,
        () -> {
          try (NbdClient client = NbdClient.connect(NbdUri.parse(old.uri()))) {
            client.write(0, ByteBuffer.wrap(client.read(0, 512)));
            return false;
          } catch (IOException fenced) {
            return true;
          }
        });
    old.kill();
  }

  private long awaitCounted(long foretold, Victim victim) throws Exception {
    long[] lost = {-1};
    Await.until(
        "the loss is counted",
        LIMIT,
        () -> {
          JsonNode volume = ok(there(), "GET", PLAN, null).at("/run/volumes/0");
          lost[0] = volume.path("lostWrites").asLong(-1);
          return lost[0] >= 0 && volume.path("sourceFenced").asBoolean();
        });
    if (foretold >= 0 && victim == Victim.NONE && lost[0] != foretold) {
      throw new AssertionError(foretold + " lost writes were foretold, " + lost[0] + " reported");
    }
    return lost[0];
  }

  // ---- checks ---------------------------------------------------------------------------------

  /** Hashes before the demotion and after the promotion; points of both lines of history. */
  private void check(Mode mode, Victim victim, long base, JsonNode over) throws Exception {
    TestSite from = here();
    TestSite to = there();
    long fork = over.at("/run/volumes/0/goesOnAtSeq").asLong();
    JsonNode source = volume(from);
    long head = source.at("/head/seq").asLong();
    byte[] promoted = PhaseCheck.read(to, VOLUME, "seq:" + fork, fork);
    byte[] demoted = PhaseCheck.read(from, VOLUME, "seq:" + fork, fork);
    same("the target as it was promoted", promoted, "the source at that write", demoted);
    if (mode == Mode.PLANNED) {
      // The old tap failed every write since it was shut: its store is what the clients had.
      same("the target", promoted, "the old backing store", Files.readAllBytes(backing(from)));
      if (head != fork || over.at("/run/volumes/0/lostWrites").asLong(-1) != 0) {
        throw new AssertionError("a planned failover lost writes: " + over);
      }
    }
    // A tap that was killed may end its gap with nothing that differed, which is no write.
    long unsure = victim == Victim.TAP ? 1 : 0;
    points(from, base, Math.min(last(source, base, head), head - unsure));
    points(to, base, Math.min(last(volume(to), base, fork), fork - unsure));
    byte[] now = Files.readAllBytes(backing(from));
    for (RegionWriter writer : writers) {
      if (mode == Mode.PLANNED || victim != Victim.TAP && mode != Mode.SITE_LOST) {
        writer.settle(PhaseCheck.region(now, writer));
      }
      writer.adopt(PhaseCheck.region(promoted, writer));
    }
  }

  private static void same(String what, byte[] one, String that, byte[] other) throws Exception {
    if (!Arrays.equals(sha256(one), sha256(other))) {
      throw new AssertionError(
          "%s (%s) differs from %s (%s) at byte %d"
              .formatted(what, hex(one), that, hex(other), Arrays.mismatch(one, other)));
    }
  }

  private static byte[] sha256(byte[] content) throws Exception {
    return MessageDigest.getInstance("SHA-256").digest(content);
  }

  private static String hex(byte[] content) throws Exception {
    return HexFormat.of().formatHex(sha256(content), 0, 6);
  }

  /** The last position of the phase before a dark interval. */
  private static long last(JsonNode volume, long base, long head) {
    long last = head;
    for (JsonNode dark : volume.at("/dark")) {
      if (dark.at("/toSeq").asLong() > base) {
        last = Math.min(last, dark.at("/fromSeq").asLong() - 1);
      }
    }
    return last;
  }

  private void points(TestSite site, long base, long last) throws Exception {
    PhaseCheck check = new PhaseCheck(site, VOLUME, writers, base);
    long step = Math.max(1, (last - base + POINTS - 1) / POINTS);
    for (long seq = base + 1; seq <= last; seq += 1 + random.nextLong(2 * step - 1)) {
      check.point(seq);
    }
  }

  /** The old site follows, or the volume goes back to it. */
  private void settle() throws Exception {
    String state = ok(here(), "GET", PLAN, null).path("state").asText();
    if (state.equals("Ready")) {
      awaitStreaming();
      return;
    }
    String wanted = atA ? "Ready" : "Committed";
    SiteClient.Answer answer = here().client.send("POST", PLAN + "/commit", null);
    if (answer.status() != 202) {
      throw new AssertionError("commit: " + answer);
    }
    Await.until(
        "the plan is " + wanted,
        LIMIT,
        () -> ok(here(), "GET", PLAN, null).path("state").asText().equals(wanted));
    awaitStreaming();
    long head = volume(here()).at("/head/seq").asLong();
    same(
        "the new primary",
        PhaseCheck.read(here(), VOLUME, "seq:" + head, head),
        "its replica",
        PhaseCheck.read(there(), VOLUME, "seq:" + head, head));
  }

  /** Every tap says in its log in which epoch it was let in. */
  private int writers(int index) throws IOException {
    Map<Long, String> writer = new HashMap<>();
    for (TestSite site : List.of(a, b)) {
      String name = site == a ? "a" : "b";
      Matcher lines =
          ATTACHED.matcher(Files.readString(site.directory.resolve("tap-" + VOLUME + ".log")));
      while (lines.find()) {
        long epoch = Long.parseLong(lines.group(1));
        String before = writer.putIfAbsent(epoch, name);
        if (before != null && !before.equals(name)) {
          throw new AssertionError("taps of both sites wrote in epoch " + epoch);
        }
      }
    }
    if (writer.size() < 2) {
      throw new AssertionError("after round " + index + " the taps' logs tell of " + writer);
    }
    return writer.size();
  }

  /** For the log and for benchmarks. */
  String figures() throws IOException {
    StringBuilder text = new StringBuilder();
    seconds.forEach((mode, all) -> text.append(line(mode + ": order to first write", all)));
    promotions.forEach((mode, all) -> text.append(line(mode + ": order to promotion", all)));
    long changed = failbacks.stream().mapToLong(Failback::changedBytes).sum();
    long raw = failbacks.stream().mapToLong(Failback::sentRawBytes).sum();
    long sent = failbacks.stream().mapToLong(Failback::sentLineBytes).sum();
    text.append(
        ("%d failbacks of a volume of %d bytes: %d bytes written since the fork, %d bytes sent home, in"
                + " %d bytes on the line%n")
            .formatted(failbacks.size(), VOLUME_BYTES, changed, raw, sent));
    return text
        + "%d epochs, each with writers of one site only; %d writes lost in all, as reported"
            .formatted(writers(0), lostInAll);
  }

  private static String line(String what, List<Double> all) {
    List<Double> sorted = all.stream().sorted().toList();
    return "%s: %d times, %.2f s median, %.2f s p95, %.2f s max%n"
        .formatted(what, sorted.size(), part(sorted, 50), part(sorted, 95), part(sorted, 100));
  }

  private static double part(List<Double> sorted, int percent) {
    return sorted.get(Math.max(0, (sorted.size() * percent + 99) / 100 - 1));
  }

  /** The tap and the writers; the sites go on. */
  void end() {
    threads.shutdownNow();
    Optional.ofNullable(tap).ifPresent(TestSite.TestTap::kill);
  }

  @Override
  public void close() throws IOException {
    try (a;
        b) {
      end();
    }
  }

  public static void main(String[] arguments) throws Exception {
    int rounds = Integer.parseInt(arguments[0]);
    long seed = Long.parseLong(arguments[1]);
    Path directory = Files.createDirectories(Path.of(arguments[2]));
    System.out.printf("%d failovers, seed %d%n", rounds, seed);
    try (FailoverRounds oracle = new FailoverRounds(directory, seed, System.out)) {
      oracle.start();
      for (int i = 1; i <= rounds; i++) {
        oracle.round(i);
      }
      System.out.println(oracle.figures());
    }
    System.out.println("all rounds held");
  }
}
