package io.tidemark.plan;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.eventually;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import io.tidemark.index.TestSeed;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapIdentity;
import io.tidemark.link.LinkRules;
import io.tidemark.link.Links.NewLink;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.Scribe;
import io.tidemark.replication.WanSite;
import io.tidemark.site.VolumeSummary;
import io.tidemark.taplink.LinkSettings;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Two sites, real links between them, and plans: every byte that was replied to before a planned
 * failover is there after it; what a forced one loses is what it says.
 */
class FailoverTest {
  private static final int VOLUME_BYTES = 1 << 19;
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
  private static final String IMPATIENT = "tidemark.site.ask-timeout = 2 s\n";
  private static WanSite a;
  private static WanSite b;

  private final long seed = TestSeed.next("FailoverTest");
  private final Random random = new Random(seed);
  private final String plan = "p-" + UUID.randomUUID().toString().substring(0, 8);
  private final VolumeName name = new VolumeName(plan + "-disk");
  private final Set<Integer> restartedAt = new TreeSet<>();
  private Scribe scribe = new Scribe(VOLUME_BYTES, random);
  private JournalSession session;

  @BeforeAll
  static void start() throws Exception {
    a = new WanSite("a", LINK, IMPATIENT);
    b = new WanSite("b", LINK, IMPATIENT, Optional.of(a));
    await("the sites know each other's lines", () -> lines(a) && lines(b));
  }

  private static boolean lines(WanSite site) {
    return site.node.remotes().sites().stream()
        .flatMap(one -> one.nodes().stream())
        .anyMatch(node -> node.reachable() && node.tapLink().isPresent());
  }

  @AfterAll
  static void stop() {
    b.close();
    a.close();
  }

  @BeforeEach
  void createVolume() throws Exception {
    get(a.node.site().createVolume(name, VOLUME_BYTES, false));
    attach(a);
    write(5);
    get(
        a.links.create(
            new NewLink(plan + "-out", List.of(name), Optional.empty(), "b", LinkRules.DEFAULT)));
  }

  /** A tap at that site, with all that has been written. */
  private void attach(WanSite site) throws Exception {
    TapIdentity tap = new TapIdentity(name, UUID.randomUUID(), "host:tap", VOLUME_BYTES);
    session = eventually(() -> site.node.journal().attach(tap));
    Scribe writes = scribe;
    session.takeOrders(
        order ->
            CompletableFuture.completedStage(
                ByteBuffer.allocate(Long.BYTES).putLong(writes.head()).array()));
  }

  private void write(int segments) throws Exception {
    for (int i = 0; i < segments; i++) {
      Scribe.Segment segment = scribe.next(10);
      get(session.append(segment.meta(), List.of(ByteBuffer.wrap(segment.data()))));
    }
  }

  private PlanSpec spec(List<Hook> pre, List<Hook> post) {
    Step step =
        new Step("one", Optional.empty(), List.of(name), pre, post, List.of(), Optional.empty());
    return new PlanSpec(plan, List.of(step), "a", "b", 0, AfterLimit.STAY, 0, 0);
  }

  private void createPlan() throws Exception {
    get(a.plans.create(spec(List.of(), List.of())));
    awaitStreaming(a, "b");
  }

  private void awaitStreaming(WanSite from, String to) throws Exception {
    long head = scribe.head();
    await(
        "streaming to " + to + " up to " + head,
        () ->
            join(from.links.list()).stream()
                .filter(link -> link.spec().toSite().equals(to))
                .flatMap(link -> link.lanes().stream())
                .filter(lane -> lane.volume().equals(name))
                .anyMatch(lane -> lane.state().equals("Streaming") && lane.ackedSeq() == head));
  }

  private PlanSummary awaitState(WanSite site, String state) throws Exception {
    PlanSummary[] last = new PlanSummary[1];
    try {
      await(
          state,
          () -> {
            last[0] = join(site.plans.get(plan));
            return last[0].state().equals(state) || last[0].state().equals("Failed");
          });
    } catch (java.util.concurrent.TimeoutException e) {
      throw new AssertionError("never " + state + ": " + last[0], e);
    }
    assertEquals(state, last[0].state(), last[0].toString());
    return last[0];
  }

  /** Stops the plan's entity in the middle of every task that is seen. */
  private PlanSummary awaitStateWithRestarts(WanSite carrier, String state) throws Exception {
    PlanSummary[] last = new PlanSummary[1];
    try {
      await(
          state,
          () -> {
            try {
              last[0] = join(carrier.plans.get(plan));
            } catch (CompletionException asItStopped) {
              return false;
            }
            last[0]
                .run()
                .filter(run -> run.endedMicros() == 0 && restartedAt.add(run.next()))
                .ifPresent(
                    run ->
                        ClusterSharding.get(carrier.node.system())
                            .entityRefFor(RecoveryPlan.TYPE_KEY, plan)
                            .tell(RecoveryPlan.sleep()));
            return last[0].state().equals(state) || last[0].state().equals("Failed");
          });
    } catch (java.util.concurrent.TimeoutException e) {
      throw new AssertionError("never " + state + ": " + last[0], e);
    }
    assertEquals(state, last[0].state(), last[0].toString());
    return last[0];
  }

  private static VolumeSummary volume(WanSite site, VolumeName name) throws Exception {
    return get(site.node.site().volume(name));
  }

  private static ErrorCode refused(CompletionStage<?> stage) {
    return assertThrows(Refusal.class, () -> get(stage)).code();
  }

  private void assertSameAs(WanSite site) throws Exception {
    assertEquals(scribe.head(), site.history(name).headSeq());
    for (int i = 0; i < 5; i++) {
      long seq = 1 + random.nextInt((int) scribe.head());
      assertArrayEquals(scribe.at(seq), site.image(name, seq), "as of " + seq);
    }
    assertArrayEquals(scribe.disk, site.image(name, scribe.head()), "head");
  }

  private static void program(WanSite site, String file, String script) throws Exception {
    Path path = site.hooks.resolve(file);
    Files.writeString(path, "#!/bin/sh\n" + script + "\n");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Over, committed, written there, and back; the entity is stopped in the middle of it all. */
  @Test
  void shouldFailOverAndBackWithoutLoss() throws Exception {
    Path said = Files.createTempFile("tidemark-said", ".txt");
    for (WanSite site : List.of(a, b)) {
      program(
          site, "note.sh", "echo \"$1 $TIDEMARK_SITE $TIDEMARK_RUN $TIDEMARK_VOLUMES\" >> " + said);
    }
    List<Hook> pre = List.of(hook("a", "left"), hook("b", "left"));
    List<Hook> post = List.of(hook("a", "entered"), hook("b", "entered"));
    get(a.plans.create(spec(pre, post)));
    awaitStreaming(a, "b");
    write(3);
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    PlanSummary over = awaitStateWithRestarts(b, "FailedOver");
    assertEquals("b", over.site());
    assertEquals(0L, over.run().orElseThrow().volumes().get(0).lostWrites().orElseThrow());
    assertSameAs(b);
    assertEquals("Primary", volume(b, name).role());
    assertEquals("main", volume(b, name).branch());
    assertEquals("Fenced", volume(a, name).role());
    assertEquals("FailedOver", awaitState(a, "FailedOver").state());
    List<String> lines = Files.readAllLines(said);
    assertTrue(lines.contains("left a planned " + name), lines.toString());
    assertTrue(lines.contains("entered b planned " + name), lines.toString());
    assertTrue(lines.stream().noneMatch(line -> line.startsWith("left b")), lines.toString());
    System.out.println("restarted at tasks " + restartedAt);
    assertTrue(restartedAt.size() >= 3, "restarted at " + restartedAt);

    attach(b);
    write(4);
    restartedAt.clear();
    get(b.plans.commit(plan));
    awaitStateWithRestarts(b, "Committed");
    awaitStreaming(b, "a");
    assertSameAs(a);
    assertEquals("Replica", volume(a, name).role());
    write(2);
    awaitStreaming(b, "a");
    restartedAt.clear();
    get(b.plans.failback(plan));
    awaitStateWithRestarts(a, "Ready");
    assertSameAs(a);
    assertEquals("Primary", volume(a, name).role());
    assertEquals(3, volume(a, name).epoch());
    attach(a);
    write(2);
    awaitStreaming(a, "b");
    assertSameAs(b);
    assertEquals("Replica", volume(b, name).role());
    awaitState(b, "Ready");
    Files.delete(said);
  }

  private static Hook hook(String site, String word) {
    return new Hook(site, "note.sh", List.of(word), 10, 0);
  }

  /** Two operators, one at each site, at the same moment: one of them is told that it is BUSY. */
  @Test
  void shouldLetOneOfTwoOperatorsFailOver() throws Exception {
    createPlan();
    CompletionStage<PlanSummary> one = a.plans.failover(plan, RunOrder.of(Kind.PLANNED));
    CompletionStage<PlanSummary> other = b.plans.failover(plan, RunOrder.of(Kind.PLANNED));
    int begun = 0;
    for (CompletionStage<PlanSummary> order : List.of(one, other)) {
      try {
        get(order);
        begun++;
      } catch (Refusal e) {
        assertEquals(ErrorCode.BUSY, e.code(), e.getMessage());
      }
    }
    assertEquals(1, begun);
    awaitState(b, "FailedOver");
    assertEquals(2, volume(b, name).epoch());
    assertSameAs(b);
    assertEquals(ErrorCode.BUSY, refused(a.plans.failover(plan, RunOrder.of(Kind.PLANNED))));
  }

  /** What was written before the rollback stays as a branch; the source goes on, and its link. */
  @Test
  void shouldRollBack() throws Exception {
    createPlan();
    get(b.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    awaitState(b, "FailedOver");
    final long fork = scribe.head();
    Scribe kept = scribe;
    scribe = scribe.fork(fork);
    attach(b);
    write(3);
    final Scribe lost = scribe;
    scribe = kept;
    get(a.plans.rollback(plan));
    awaitStateWithRestarts(b, "Ready");
    assertEquals("Primary", volume(a, name).role());
    assertEquals(3, volume(a, name).epoch());
    assertEquals("main", volume(a, name).branch());
    attach(a);
    write(2);
    awaitStreaming(a, "b");
    assertSameAs(a);
    assertSameAs(b);
    var left = get(b.node.replicas().branches(name));
    assertEquals(1, left.size());
    var view = get(b.node.replicas().branch(name, left.get(0).name()));
    assertArrayEquals(lost.disk, b.image(view, lost.head()));
    awaitState(a, "Ready");
  }

  /** The loss is told before, counted after, and readable as a branch once all is committed. */
  @Test
  void shouldCountWhatAForcedFailoverLoses() throws Exception {
    createPlan();
    get(a.links.pause(plan + "-out"));
    final long fork = scribe.head();
    final Scribe kept = scribe.fork(fork);
    write(4);
    final long lost = scribe.head() - fork;
    PlanExposure before = get(b.plans.exposure(plan)).get(0);
    assertEquals(lost, before.lostWrites().orElseThrow());
    get(b.plans.failover(plan, RunOrder.of(Kind.FORCED)));
    PlanSummary over = awaitStateWithRestarts(b, "FailedOver");
    PlanRun.Volume volume = over.run().orElseThrow().volumes().get(0);
    assertEquals(lost, volume.lostWrites().orElseThrow());
    assertEquals(fork, volume.forkSeq());
    assertTrue(volume.fenced());
    Scribe.Segment late = scribe.fork(scribe.head()).next(1);
    assertThrows(
        Refusal.class,
        () -> get(session.append(late.meta(), List.of(ByteBuffer.wrap(late.data())))));
    final Scribe branch = scribe;
    scribe = kept;
    assertSameAs(b);
    assertEquals("epoch-2", volume(b, name).branch());
    attach(b);
    write(3);
    restartedAt.clear();
    get(b.plans.commit(plan));
    awaitStateWithRestarts(b, "Committed");
    awaitStreaming(b, "a");
    assertSameAs(a);
    var left = get(a.node.replicas().branches(name));
    var view = get(a.node.replicas().branch(name, left.get(0).name()));
    for (int i = 0; i < 5; i++) {
      long seq = 1 + random.nextInt((int) branch.head());
      assertArrayEquals(branch.at(seq), a.image(view, seq), "branch as of " + seq);
    }
  }

  /** To an earlier point, which becomes the first of another line of history. */
  @Test
  void shouldForceToAnEarlierPoint() throws Exception {
    createPlan();
    long at = 1 + random.nextInt((int) scribe.head() - 1);
    RunOrder order = new RunOrder(Kind.FORCED, "seq:" + at, List.of());
    assertEquals(
        ErrorCode.BEYOND_HEAD,
        refused(b.plans.failover(plan, new RunOrder(Kind.FORCED, "seq:99999", List.of()))));
    get(b.plans.failover(plan, order));
    PlanSummary over = awaitState(b, "FailedOver");
    PlanRun.Volume volume = over.run().orElseThrow().volumes().get(0);
    assertEquals(scribe.head() - at, volume.lostWrites().orElseThrow());
    assertArrayEquals(scribe.at(at), b.image(name, at));
    assertEquals(at, b.history(name).headSeq());
    scribe = scribe.fork(at);
    attach(b);
    write(2);
    assertSameAs(b);
  }

  /** What must not happen by mistake is refused, each with its code. */
  @Test
  void shouldRefuseWhatGuardRailsForbid() throws Exception {
    get(a.plans.create(spec(List.of(), List.of())));
    assertEquals(
        ErrorCode.ALREADY_EXISTS,
        refused(
            a.plans.create(
                new PlanSpec(
                    plan,
                    spec(List.of(), List.of()).steps(),
                    "a",
                    "b",
                    9,
                    AfterLimit.STAY,
                    0,
                    0))));
    assertEquals(ErrorCode.NOT_FOUND, refused(a.plans.get("none")));
    assertEquals(ErrorCode.BUSY, refused(a.plans.commit(plan)));
    assertEquals(ErrorCode.BUSY, refused(a.plans.failback(plan)));
    awaitStreaming(a, "b");
    get(session.detach());
    assertEquals(
        ErrorCode.NOT_ACKNOWLEDGED, refused(a.plans.failover(plan, RunOrder.of(Kind.PLANNED))));
    get(a.links.delete(plan + "-out"));
    assertEquals(
        ErrorCode.NOT_SYNCHRONIZED, refused(a.plans.failover(plan, RunOrder.of(Kind.PLANNED))));
    get(a.node.site().deleteVolume(name));
    Refusal gone =
        assertThrows(Refusal.class, () -> get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED))));
    assertTrue(gone.getMessage().contains(name.value()), gone.getMessage());
    get(b.node.site().deleteVolume(name));
    assertEquals(ErrorCode.NOT_FOUND, refused(a.plans.failover(plan, RunOrder.of(Kind.FORCED))));
    get(b.node.site().createVolume(name, VOLUME_BYTES, false));
    assertEquals(
        ErrorCode.SECOND_PRIMARY, refused(a.plans.failover(plan, RunOrder.of(Kind.FORCED))));
  }

  /** A hook that fails stops the failover; rolled back, the source goes on in its epoch. */
  @Test
  void shouldStopWhereAHookFailsAndRollBack() throws Exception {
    program(a, "fail.sh", "echo no way; exit 3");
    Hook hook = new Hook("a", "fail.sh", List.of(), 10, 1);
    get(a.plans.create(spec(List.of(hook), List.of())));
    awaitStreaming(a, "b");
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    await("failed", () -> join(b.plans.get(plan)).state().equals("Failed"));
    PlanSummary failed = get(b.plans.get(plan));
    assertTrue(failed.reason().contains("exit code 3: no way"), failed.reason());
    assertEquals("Primary", volume(a, name).role());
    get(b.plans.rollback(plan));
    awaitState(b, "Ready");
    assertEquals(1, volume(a, name).epoch());
    write(2);
    awaitStreaming(a, "b");
    assertSameAs(b);
  }
}
