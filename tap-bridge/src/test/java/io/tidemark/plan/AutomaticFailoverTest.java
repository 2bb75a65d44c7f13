package io.tidemark.plan;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.Address;
import akka.actor.ExtendedActorSystem;
import akka.actor.typed.javadsl.Adapter;
import akka.cluster.typed.Cluster;
import akka.remote.RemoteActorRefProvider;
import akka.remote.testkit.SetThrottle;
import akka.remote.testkit.ThrottleMode;
import io.tidemark.link.LinkRules;
import io.tidemark.link.Links.NewLink;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdTestClient;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.plan.PlanSpec.Automatic;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.WanSite;
import io.tidemark.tap.Tap;
import io.tidemark.tap.TapSettings;
import io.tidemark.tap.VolumeSpec;
import io.tidemark.taplink.FaultyProxy;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.testsite.TestSite;
import io.tidemark.witness.LeaseReport;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Three sites, a real tap with a client that writes without end, and lines that are cut: nobody
 * orders anything, and there is never a second writer.
 */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class AutomaticFailoverTest {
  private static final int VOLUME_BYTES = 1 << 19;
  private static final int BLOCK = 4096;
  private static final int AFTER_SECONDS = 5;
  private static final String SETTINGS =
      "tidemark.witness { lease = 4 s, renew-every = 300 ms }\n"
          + "tidemark.akka.remote.artery.advanced.test-mode = on\n"
          + "tidemark.akka.cluster.multi-data-center.failure-detector"
          + ".acceptable-heartbeat-pause = 3 s\n";
  private static final LinkSettings LINK =
      new LinkSettings(
          512 << 10,
          128 << 10,
          64,
          Duration.ofMillis(200),
          Duration.ofMillis(1500),
          Duration.ofSeconds(3),
          Duration.ofMillis(100),
          Optional.empty());

  private static WanSite a;
  private static WanSite b;
  private static WanSite w;
  private static FaultyProxy line;

  @TempDir Path directory;
  private final String plan = "p-" + UUID.randomUUID().toString().substring(0, 8);
  private final VolumeName name = new VolumeName(plan + "-disk");
  private Tap tap;
  private Writer writer;

  /** A client that writes block after block, and notes when the last reply came. */
  private static final class Writer extends Thread {
    final AtomicLong lastAckMicros = new AtomicLong();
    final AtomicInteger acks = new AtomicInteger();
    final AtomicInteger errors = new AtomicInteger();
    private final NbdTestClient client;
    private volatile boolean stopping;

    Writer(NbdListenAddress address, String export) throws IOException {
      client = NbdTestClient.connect(address, export);
      setDaemon(true);
    }

    @Override
    public void run() {
      byte[] data = new byte[BLOCK];
      try {
        for (long i = 0; !stopping; i++) {
          data[0] = (byte) i;
          int error = client.write(i % (VOLUME_BYTES / BLOCK) * BLOCK, data);
          if (error == 0) {
            lastAckMicros.set(MicroClock.system().micros());
            acks.incrementAndGet();
          } else {
            errors.incrementAndGet();
          }
          LockSupport.parkNanos(10_000_000);
        }
      } catch (IOException e) {
        errors.incrementAndGet(); // the tap ended the connection
      }
    }

    void finish() throws Exception {
      stopping = true;
      client.close();
      join(10_000);
    }
  }

  @BeforeAll
  static void start() throws Exception {
    a = new WanSite("a", LINK, SETTINGS);
    b = new WanSite("b", LINK, SETTINGS, Optional.of(a));
    w = new WanSite("w", LINK, SETTINGS, Optional.of(a));
    line = new FaultyProxy(new InetSocketAddress("127.0.0.1", b.server.address().getPort()), 1);
    b.node.remotes().announce("tap-link", "127.0.0.1:" + line.address().getPort());
  }

  private static void awaitSites() throws Exception {
    await(
        "the sites know each other's lines",
        () -> knows(a, "b") && knows(a, "w") && knows(b, "a") && knows(b, "w") && knows(w, "a"));
  }

  private static boolean knows(WanSite site, String other) {
    return site.node.remotes().sites().stream()
        .filter(one -> one.name().equals(other))
        .flatMap(one -> one.nodes().stream())
        .anyMatch(node -> node.reachable() && node.tapLink().isPresent());
  }

  @AfterAll
  static void stop() throws Exception {
    line.close();
    w.close();
    b.close();
    a.close();
  }

  private static Address address(WanSite site) {
    return Cluster.get(site.node.system()).selfMember().address();
  }

  /** Both directions between two sites, for whatever is no block data. */
  private static void cut(WanSite one, WanSite other, boolean on) {
    throttle(one, address(other), on);
    throttle(other, address(one), on);
  }

  private static void throttle(WanSite at, Address to, boolean on) {
    ThrottleMode mode =
        on ? akka.remote.testkit.Blackhole$.MODULE$ : akka.remote.testkit.Unthrottled$.MODULE$;
    ((RemoteActorRefProvider)
            ((ExtendedActorSystem) Adapter.toClassic(at.node.system())).provider())
        .transport()
        .managementCommand(new SetThrottle(to, akka.remote.testkit.Direction.Both$.MODULE$, mode));
  }

  private PlanSpec spec(Optional<Automatic> automatic) {
    Step step =
        new Step(
            "one",
            Optional.empty(),
            List.of(name),
            List.of(),
            List.of(),
            List.of(),
            Optional.empty());
    return new PlanSpec(plan, List.of(step), "a", "b", 0, AfterLimit.STAY, 0, 0).with(automatic);
  }

  @BeforeEach
  void protect() throws Exception {
    awaitSites();
    get(a.node.site().createVolume(name, VOLUME_BYTES, false));
    Path backing = directory.resolve("disk.img");
    try (RandomAccessFile sparse = new RandomAccessFile(backing.toFile(), "rw")) {
      sparse.setLength(VOLUME_BYTES);
    }
    startTap(backing);
    get(
        a.links.create(
            new NewLink(plan + "-out", List.of(name), Optional.empty(), "b", LinkRules.DEFAULT)));
    TestSite.eventually(() -> a.plans.create(spec(Optional.of(Automatic.of("w", AFTER_SECONDS)))));
    await("armed", () -> lease(b).armed());
    await(
        "the link streams",
        () ->
            join(a.links.list()).stream()
                .flatMap(link -> link.lanes().stream())
                .anyMatch(lane -> lane.volume().equals(name) && lane.state().equals("Streaming")));
  }

  private void startTap(Path backing) throws Exception {
    tap =
        Tap.start(
            TapSettings.of(
                List.of(VolumeSpec.parse(name + "=" + backing)),
                List.of(NbdListenAddress.parse("127.0.0.1:0")),
                List.of(new InetSocketAddress("127.0.0.1", a.server.address().getPort()))));
    get(tap.ready());
    writer = new Writer(tap.addresses().get(0), name.value());
    writer.start();
    await("a write is acknowledged", () -> writer.acks.get() > 0);
  }

  @AfterEach
  void stopTap() throws Exception {
    writer.finish();
    tap.close();
  }

  private LeaseReport lease(WanSite site) {
    return join(site.plans.list()).stream()
        .filter(one -> one.spec().name().equals(plan))
        .flatMap(one -> one.lease().stream())
        .findFirst()
        .orElseGet(() -> LeaseReport.none("?"));
  }

  private static String state(WanSite site, String plan) {
    return join(site.plans.list()).stream()
        .filter(one -> one.spec().name().equals(plan))
        .map(PlanSummary::state)
        .findFirst()
        .orElse("");
  }

  /** Lets so much time pass, and then looks whether the client's writes still go on. */
  private void assertGoesOnFor(int seconds) throws Exception {
    long until = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
    await(seconds + " s have passed", () -> System.nanoTime() - until > 0);
    int before = writer.acks.get();
    long limit = System.nanoTime() + Duration.ofSeconds(2).toNanos();
    await(
        "another write is acknowledged",
        () -> writer.acks.get() > before || System.nanoTime() - limit > 0);
    assertTrue(writer.acks.get() > before, "production stands still");
    assertEquals("Ready", state(b, plan));
    assertEquals(0, writer.errors.get());
  }

  private PlanRun awaitFailedOver() throws Exception {
    await("failed over", () -> state(b, plan).equals("FailedOver"));
    PlanSummary over = get(b.plans.get(plan));
    PlanRun run = over.run().orElseThrow();
    assertTrue(run.automatic(), run.toString());
    assertTrue(
        run.outcomes().get(0).words().startsWith("site 'w' agreed"), run.outcomes().toString());
    await("the target has the lease for good", () -> lease(b).holder().equals("b"));
    assertEquals("Primary", get(b.node.site().volume(name)).role());
    return run;
  }

  /**
   * The witness goes, then the target: production does not notice. The source is cut off: its tap
   * stops acknowledging before the target begins; it comes back, and its tail is a branch.
   */
  @Test
  @Order(1)
  @Timeout(150)
  void shouldFailOverOnlyWhenTheSourceIsCutOff() throws Exception {
    cut(w, a, true);
    cut(w, b, true);
    assertGoesOnFor(AFTER_SECONDS + 4);
    cut(w, a, false);
    cut(w, b, false);
    await("the witness hears the source", () -> lease(a).witness().startsWith("heard"));

    cut(b, a, true);
    cut(b, w, true);
    assertGoesOnFor(AFTER_SECONDS + 4);
    cut(b, a, false);
    cut(b, w, false);
    await("the target hears the source", () -> lease(a).target().startsWith("heard"));

    line.block(true);
    int shipped = writer.acks.get();
    await("writes that are not shipped", () -> writer.acks.get() > shipped + 5);
    cut(a, b, true);
    cut(a, w, true);
    PlanRun run = awaitFailedOver();
    assertTrue(
        writer.lastAckMicros.get() < run.startedMicros(),
        "acknowledged at %d, the run began at %d"
            .formatted(writer.lastAckMicros.get(), run.startedMicros()));
    int acks = writer.acks.get();

    cut(a, b, false);
    cut(a, w, false);
    line.block(false);
    await("the source is fenced", () -> role(a).equals("Fenced"));
    await("the client is told", () -> writer.errors.get() > 0);
    assertEquals(acks, writer.acks.get(), "acknowledged after the takeover");
    await(
        "the loss is counted",
        () ->
            join(b.plans.get(plan)).run().orElseThrow().volumes().get(0).lostWrites().orElse(0L)
                > 0);
    get(b.plans.commit(plan));
    await("committed", () -> state(b, plan).equals("Committed"));
    assertEquals(1, get(a.node.replicas().branches(name)).size());
  }

  private String role(WanSite site) {
    return join(site.node.site().volume(name)).role();
  }

  /** Turned off, nothing happens by itself, and no lease is needed; a witness has to be a third. */
  @Test
  @Order(2)
  void shouldNeedNoLeaseWhenOff() throws Exception {
    for (String witness : List.of("a", "b")) {
      Refusal refusal =
          assertThrows(
              Refusal.class,
              () -> get(a.plans.automatic(plan, Optional.of(Automatic.of(witness, 9)), false)));
      assertEquals(ErrorCode.INVALID, refusal.code());
    }
    assertEquals(
        ErrorCode.NOT_FOUND,
        assertThrows(
                Refusal.class,
                () -> get(a.plans.automatic(plan, Optional.of(Automatic.of("x", 9)), false)))
            .code());
    assertTrue(Files.exists(leaseFile()), "the tap keeps that it needs leases");
    get(b.plans.automatic(plan, Optional.empty(), false));
    await("the tap needs no lease", () -> !Files.exists(leaseFile()));
    assertTrue(get(a.plans.get(plan)).spec().automatic().isEmpty());
    cut(a, b, true);
    cut(a, w, true);
    try {
      assertGoesOnFor(AFTER_SECONDS + 4);
    } finally {
      cut(a, b, false);
      cut(a, w, false);
    }
  }

  private Path leaseFile() {
    return directory.resolve("disk.img.tidemark").resolve("lease");
  }

  /** The source's site dies: the target goes on within the silence, a lease and the run itself. */
  @Test
  @Order(3)
  void shouldFailOverWhenTheSourceIsKilled() throws Exception {
    long killed = MicroClock.system().micros();
    cut(a, b, true);
    cut(a, w, true);
    line.block(true);
    a.node.system().terminate();
    PlanRun run = awaitFailedOver();
    double seconds = (run.promotedMicros() - killed) / 1e6;
    System.out.printf("promoted %.1f s after the source was killed%n", seconds);
    assertTrue(writer.lastAckMicros.get() < run.startedMicros());
    assertTrue(seconds < AFTER_SECONDS + 4 + 15, "after " + seconds + " s");
  }
}
