package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Rounds of writing, killing with -9 and checking. Each round writes from several connections,
 * kills the tap, the node, Cassandra or nothing at a random moment, restarts it, waits until
 * everything is journaled, and then checks J1 to J5 against the writers' models, and some points of
 * earlier rounds again.
 *
 * <p>Long run: {@code java -cp ... io.tidemark.system.KillRounds ROUNDS SEED DIRECTORY}.
 */
final class KillRounds implements AutoCloseable {
  private static final String VOLUME = "oracle";
  private static final int WRITERS = 4;
  private static final int REGION_BYTES = 1 << 20;

  /** Points of a round that are opened and compared, spread over it at random; more cost time. */
  static final int POINTS_A_ROUND = 40;

  private static final int OLD_POINTS_A_ROUND = 3;
  private static final Duration DRAIN_LIMIT = Duration.ofSeconds(150);

  private static final Duration SETTLED = Duration.ofSeconds(4);

  private enum Victim {
    NONE,
    TAP,
    NODE,
    CASSANDRA
  }

  private final TestSite site;
  private final TestSite.TestTap tap;
  private final Path backing;
  private final Random random;
  private final PrintStream out;
  private final List<RegionWriter> writers = new ArrayList<>();
  private final ExecutorService threads = Executors.newFixedThreadPool(WRITERS);

  /** SHA-256 of the volume at the head after each round. */
  private final Map<Long, byte[]> remembered = new HashMap<>();

  private final int pointsARound;

  KillRounds(Path directory, long seed, int pointsARound, PrintStream out) throws Exception {
    this.pointsARound = pointsARound;
    this.random = new Random(seed);
    this.out = out;
    this.site = new TestSite(directory);
    this.backing = directory.resolve("backing.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength((long) WRITERS * REGION_BYTES);
    }
    for (int i = 0; i < WRITERS; i++) {
      writers.add(new RegionWriter((long) i * REGION_BYTES, REGION_BYTES, random.nextLong()));
    }
    tap = site.tap(VOLUME, backing);
  }

  /** Starts the site and the tap; a failure leaves it to {@link #close} to end what was started. */
  void start() throws Exception {
    site.start();
    site.client.createVolume(VOLUME, (long) WRITERS * REGION_BYTES);
    tap.start();
    awaitDrained();
  }

  /** One round; {@code index} only for the log. */
  void round(int index) throws Exception {
    long base = site.client.head(VOLUME);
    writers.forEach(RegionWriter::beginPhase);
    Victim victim = Victim.values()[random.nextInt(Victim.values().length)];
    int count = 20 + random.nextInt(120);
    AtomicBoolean stop = new AtomicBoolean();
    List<Future<?>> running = new ArrayList<>();
    for (RegionWriter writer : writers) {
      running.add(threads.submit(() -> runWriter(writer, count, stop, victim)));
    }
    pause(random.nextInt(600));
    long acknowledged = victim == Victim.NODE ? 0 : headOrZero();
    kill(victim);
    for (Future<?> writer : running) {
      writer.get(120, TimeUnit.SECONDS);
    }
    if (victim == Victim.TAP) {
      tap.start();
      awaitDrained();
    } else {
      awaitHead(base + writers.stream().mapToInt(RegionWriter::acknowledged).sum());
    }
    check(index, victim, base, acknowledged);
  }

  private Void runWriter(RegionWriter writer, int count, AtomicBoolean stop, Victim victim)
      throws IOException {
    try {
      writer.run(tap.uri(), count, stop);
    } catch (IOException e) {
      if (victim != Victim.TAP) {
        throw new AssertionError("a write failed although the tap lives", e);
      }
    }
    return null;
  }

  private long headOrZero() throws InterruptedException {
    try {
      return site.client.head(VOLUME);
    } catch (IOException | AssertionError e) {
      out.println("  (head unknown: " + e.getMessage() + ")");
      return 0;
    }
  }

  private void kill(Victim victim) throws Exception {
    switch (victim) {
      case NONE -> {}
      case TAP -> tap.kill();
      case NODE -> {
        site.kill();
        site.start();
      }
      case CASSANDRA -> {
        ProcessHandle cassandra = site.cassandra().orElseThrow();
        cassandra.destroyForcibly();
        cassandra.onExit().get(30, TimeUnit.SECONDS);
      }
    }
  }

  private void pause(int millis) throws InterruptedException {
    if (new CountDownLatch(1).await(millis, TimeUnit.MILLISECONDS)) {
      throw new IllegalStateException("nobody counts down");
    }
  }

  /** Every write of a tap that lived is journaled sooner or later, and nothing else is. */
  private void awaitHead(long seq) throws Exception {
    Await.until("seq " + seq + " is journaled", DRAIN_LIMIT, () -> site.client.head(VOLUME) >= seq);
  }

  /**
   * What a volume tells of its tap is as old as the tap's last word, which comes every second: only
   * what holds for longer than that counts.
   */
  private void awaitDrained() throws Exception {
    AtomicLong since = new AtomicLong(Long.MAX_VALUE);
    Await.until(
        "volume protected and drained: " + site.client.base(),
        DRAIN_LIMIT,
        () -> {
          if (!drained(site.client.volume(VOLUME))) {
            since.set(Long.MAX_VALUE);
            return false;
          }
          since.compareAndSet(Long.MAX_VALUE, System.nanoTime());
          return System.nanoTime() - since.get() > SETTLED.toNanos();
        });
  }

  private static boolean drained(JsonNode volume) {
    return volume.at("/state").asText().equals("Protected")
        && volume.at("/tap/connected").asBoolean()
        && volume.at("/tap/mode").asText().equals("continuous")
        && volume.at("/rpo/writes").asLong() == 0;
  }

  private void check(int index, Victim victim, long base, long acknowledged) throws Exception {
    byte[] live = readTap();
    for (RegionWriter writer : writers) {
      byte[] region = PhaseCheck.region(live, writer);
      if (victim == Victim.TAP) {
        writer.settle(region);
      } else if (!Arrays.equals(region, writer.content())) {
        throw new AssertionError("the backing store differs from what was written");
      }
    }
    JsonNode volume = site.client.volume(VOLUME);
    long head = volume.at("/head/seq").asLong();
    if (head < acknowledged) {
      throw new AssertionError("head " + head + " is behind acknowledged " + acknowledged);
    }
    long written = writers.stream().mapToInt(RegionWriter::acknowledged).sum();
    long last = lastPointBeforeDark(volume, base, head);
    if (victim != Victim.TAP && (head != base + written || last != head)) {
      throw new AssertionError(
          "%d writes acknowledged after seq %d, but the head is %d: %s"
              .formatted(written, base, head, volume));
    }
    if (last < acknowledged) {
      throw new AssertionError("a journaled write was lost: " + acknowledged + ", " + volume);
    }
    // After a crash of the tap the head may be the end of a gap in which nothing differed, and no
    // write; its content is compared below.
    checkPoints(base, victim == Victim.TAP && last == head ? head - 1 : last);
    if (!Arrays.equals(PhaseCheck.read(site, VOLUME, "latest", head), live)) {
      throw new AssertionError("image(head) differs from the backing store (J2)");
    }
    checkDark(volume);
    checkOldPoints();
    remembered.put(head, digest(live));
    out.printf(
        "round %d: kill %s, seq %d..%d, %d writes, %s%n",
        index, victim, base, head, written, last == head ? "no gap" : "dark from " + (last + 1));
  }

  private void checkPoints(long base, long last) throws Exception {
    PhaseCheck check = new PhaseCheck(site, VOLUME, writers, base);
    long points = last - base;
    long step = Math.max(1, (points + pointsARound - 1) / pointsARound);
    for (long seq = base + 1; seq <= last; seq += 1 + random.nextLong(2 * step - 1)) {
      check.point(seq);
      check.time(seq);
    }
  }

  private void checkDark(JsonNode volume) throws Exception {
    for (JsonNode dark : volume.at("/dark")) {
      long from = dark.at("/fromSeq").asLong();
      SiteClient.Answer answer = site.client.openImage(VOLUME, "seq:" + from, false);
      if (answer.status() != 409
          || !List.of("DARK_INTERVAL", "BEYOND_HORIZON").contains(answer.code())) {
        throw new AssertionError("inside " + dark + " an image was given: " + answer);
      }
    }
  }

  private void checkOldPoints() throws Exception {
    List<Long> seqs = new ArrayList<>(remembered.keySet());
    for (int i = 0; i < Math.min(OLD_POINTS_A_ROUND, seqs.size()); i++) {
      long seq = seqs.get(random.nextInt(seqs.size()));
      byte[] now = digest(PhaseCheck.read(site, VOLUME, "seq:" + seq, seq));
      if (!Arrays.equals(now, remembered.get(seq))) {
        throw new AssertionError("an old recovery point changed: seq " + seq);
      }
    }
  }

  private static byte[] digest(byte[] content) throws NoSuchAlgorithmException {
    return MessageDigest.getInstance("SHA-256").digest(content);
  }

  private static long lastPointBeforeDark(JsonNode volume, long base, long head) {
    for (JsonNode dark : volume.at("/dark")) {
      if (dark.at("/fromSeq").asLong() > base) {
        return dark.at("/fromSeq").asLong() - 1;
      }
    }
    return head;
  }

  private byte[] readTap() throws IOException {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      return client.read(0, Math.toIntExact(client.sizeBytes()));
    }
  }

  @Override
  public void close() throws IOException {
    threads.shutdownNow();
    try (site) {
      tap.close();
    }
  }

  public static void main(String[] arguments) throws Exception {
    int rounds = Integer.parseInt(arguments[0]);
    long seed = Long.parseLong(arguments[1]);
    Path directory = Files.createDirectories(Path.of(arguments[2]));
    int points = arguments.length > 3 ? Integer.parseInt(arguments[3]) : POINTS_A_ROUND;
    System.out.printf(
        "%d rounds, seed %d, about %d points checked in each%n", rounds, seed, points);
    try (KillRounds oracle = new KillRounds(directory, seed, points, System.out)) {
      oracle.start();
      for (int i = 1; i <= rounds; i++) {
        oracle.round(i);
      }
    }
    System.out.println("all rounds held");
  }
}
