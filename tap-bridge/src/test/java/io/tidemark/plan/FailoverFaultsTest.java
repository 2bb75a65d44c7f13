package io.tidemark.plan;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import io.tidemark.index.TestSeed;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanSites.Disk;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.Scribe;
import io.tidemark.replication.WanSite;
import io.tidemark.testsite.World;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Runs of plans in which the entity that carries them out is killed at every step, messages between
 * the sites are lost, nodes die and sites are gone. However it goes, no epoch has two primaries,
 * and every point of every line of history is exact (P1, P2, P3, P4, P7, P9).
 */
class FailoverFaultsTest {
  /** What happens while a run is carried out. */
  enum Fault {
    /** Each task is done, and its outcome cannot be stored: the entity dies and does it again. */
    OUTCOME_LOST,
    /** The entity dies as soon as it has stored an outcome, while the next task is under way. */
    STOPPED,
    /** One message of four is lost, or its answer is. */
    MESSAGES_LOST,
    /** The volumes' entities die when their role or epoch changes, and a moment later do it. */
    VOLUMES_DIE
  }

  private static final Set<String> ROLE_EVENTS =
      Set.of("volume-fenced", "replica-made", "volume-promoted", "epoch-raised", "history-forked");
  private static PlanSites sites;
  private static WanSite a;
  private static WanSite b;

  private final long seed = TestSeed.next("FailoverFaultsTest");
  private final Random random = new Random(seed);
  private final String plan = "p-" + UUID.randomUUID().toString().substring(0, 8);
  private final Set<String> struck = ConcurrentHashMap.newKeySet();
  private final AtomicInteger stored = new AtomicInteger();
  private Disk disk;

  @BeforeAll
  static void start() throws Exception {
    sites = new PlanSites();
    a = sites.a;
    b = sites.b;
  }

  @AfterAll
  static void stop() {
    sites.close();
  }

  @BeforeEach
  void createVolume() throws Exception {
    disk = sites.new Disk(plan + "-disk", random).create(plan + "-out");
    get(a.plans.create(PlanSites.spec(plan, 0, AfterLimit.STAY, disk)));
    disk.awaitStreaming(a, "b");
  }

  @AfterEach
  void heal() {
    calm();
    sites.assertOnePrimaryAnEpoch();
    sites.forget();
  }

  // ---- faults ---------------------------------------------------------------------------------

  private void disturb(Fault fault) {
    for (WanSite site : List.of(a, b)) {
      World world = World.of(site.world);
      switch (fault) {
        case OUTCOME_LOST -> {
          world.stored = (id, event) -> count(id);
          world.refuses =
              (id, event) ->
                  id.equals("plan|" + plan)
                      && event.equals("plan-task-done")
                      && struck.add("task " + stored.get());
        }
        case STOPPED ->
            world.stored =
                (id, event) -> {
                  if (id.equals("plan|" + plan) && event.startsWith("plan-task")) {
                    struck.add("stopped " + stored.getAndIncrement());
                    ClusterSharding.get(site.node.system())
                        .entityRefFor(RecoveryPlan.TYPE_KEY, plan)
                        .tell(RecoveryPlan.sleep());
                  }
                };
        case MESSAGES_LOST ->
            world.stored =
                (id, event) -> {
                  if (id.equals("plan|" + plan) && event.equals("plan-run-began")) {
                    site.lossy.lose(25, random.nextLong());
                  }
                };
        case VOLUMES_DIE ->
            world.refuses =
                (id, event) ->
                    id.equals("volume|" + disk.name)
                        && ROLE_EVENTS.contains(event)
                        && random.nextBoolean()
                        && struck.add(site.world + event + World.of(site.world).eventCount(id));
      }
    }
  }

  private void count(String id) {
    if (id.equals("plan|" + plan)) {
      stored.incrementAndGet();
    }
  }

  private void calm() {
    for (WanSite site : List.of(a, b)) {
      World.of(site.world).refuses = (id, event) -> false;
      World.of(site.world).stored = (id, event) -> {};
      site.lossy.lose(0, 0);
    }
  }

  /** Done in the end, or failed with a reason, and then done when it is ordered again. */
  private PlanSummary run(
      Fault fault, Supplier<CompletionStage<PlanSummary>> order, WanSite carrier, String state)
      throws Exception {
    disturb(fault);
    get(order.get());
    PlanSummary end = sites.awaitEnd(carrier, plan, state);
    calm();
    if (end.state().equals("Failed")) {
      assertFalse(end.reason().isEmpty(), end.toString());
      System.out.println(fault + ": " + end.run().orElseThrow().kind() + ": " + end.reason());
      get(order.get());
      end = sites.awaitState(carrier, plan, state);
    }
    sites.assertOnePrimaryAnEpoch();
    return end;
  }

  private static long lost(PlanSummary plan) {
    return plan.run().orElseThrow().volumes().get(0).lostWrites().orElse(-1L);
  }

  private boolean fenced(WanSite carrier) {
    return join(carrier.plans.get(plan)).run().orElseThrow().volumes().get(0).fenced();
  }

  private static RunOrder forced(String at, ErrorCode... overrides) {
    return new RunOrder(Kind.FORCED, at, List.of(overrides));
  }

  // ---- every step -----------------------------------------------------------------------------

  /** Over, committed and home again; over and rolled back; a test; nothing is lost. */
  @ParameterizedTest
  @EnumSource(Fault.class)
  void shouldLoseNothingInPlannedRuns(Fault fault) throws Exception {
    PlanSummary over =
        run(fault, () -> a.plans.failover(plan, RunOrder.of(Kind.PLANNED)), b, "FailedOver");
    assertEquals(0, lost(over));
    disk.assertAllAt(b);
    disk.attach(b);
    disk.write(2);
    run(fault, () -> b.plans.commit(plan), b, "Committed");
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
    run(fault, () -> b.plans.failback(plan), a, "Ready");
    disk.assertAllAt(a);
    disk.attach(a);
    disk.write(2);
    disk.awaitStreaming(a, "b");

    run(fault, () -> a.plans.failover(plan, RunOrder.of(Kind.TEST)), b, "Tested");
    assertEquals(1, get(b.images.list()).size());
    assertEquals(disk.scribe.head(), get(b.images.list()).get(0).at().seq().value());
    run(fault, () -> a.plans.rollback(plan), b, "Ready");
    assertEquals(0, get(b.images.list()).size());

    run(fault, () -> a.plans.failover(plan, RunOrder.of(Kind.PLANNED)), b, "FailedOver");
    Scribe kept = disk.scribe;
    disk.scribe = kept.fork(kept.head());
    disk.attach(b);
    disk.write(2);
    final Scribe meanwhile = disk.scribe;
    disk.scribe = kept;
    run(fault, () -> b.plans.rollback(plan), b, "Ready");
    disk.assertNewestBranch(b, meanwhile);
    disk.attach(a);
    disk.write(2);
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(a);
    disk.assertAllAt(b);
    System.out.println(fault + " struck " + struck.size() + " times");
    assertTrue(fault == Fault.MESSAGES_LOST || struck.size() >= 4, struck.toString());
  }

  /**
   * Forced at the latest point, then home by force again: each loses what it says, to the write.
   */
  @ParameterizedTest
  @EnumSource(Fault.class)
  void shouldLoseWhatItSaysInForcedRuns(Fault fault) throws Exception {
    get(a.links.pause(plan + "-out"));
    Scribe shipped = disk.scribe.fork(disk.scribe.head());
    disk.write(2);
    final Scribe unshipped = disk.scribe;
    final long loss = unshipped.head() - shipped.head();
    assertEquals(loss, get(b.plans.exposure(plan)).get(0).lostWrites().orElseThrow());
    run(fault, () -> b.plans.failover(plan, forced("latest")), b, "FailedOver");
    await("fenced", () -> fenced(b));
    assertEquals(loss, lost(get(b.plans.get(plan))));
    Scribe.Segment late = unshipped.fork(unshipped.head()).next(1);
    assertThrows(
        Refusal.class,
        () -> get(disk.session.append(late.meta(), List.of(ByteBuffer.wrap(late.data())))));
    disk.scribe = shipped;
    disk.assertAllAt(b);
    disk.attach(b);
    disk.write(2);
    run(fault, () -> b.plans.commit(plan), b, "Committed");
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
    disk.assertNewestBranch(a, unshipped);

    String back =
        join(b.links.list()).stream()
            .filter(link -> link.spec().volumes().contains(disk.name))
            .findFirst()
            .orElseThrow()
            .spec()
            .name();
    get(b.links.pause(back));
    Scribe home = disk.scribe.fork(disk.scribe.head());
    disk.write(2);
    final Scribe left = disk.scribe;
    run(fault, () -> a.plans.failover(plan, forced("latest")), a, "FailedOver");
    await("fenced", () -> fenced(a));
    assertEquals(left.head() - home.head(), lost(get(a.plans.get(plan))));
    disk.scribe = home;
    disk.attach(a);
    disk.write(1);
    run(fault, () -> a.plans.commit(plan), a, "Ready");
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(a);
    disk.assertAllAt(b);
    disk.assertNewestBranch(b, left);
  }

  // ---- sites and nodes ------------------------------------------------------------------------

  /** The source is fenced when it returns, and what it never shipped is counted and kept. */
  @Test
  void shouldFenceTheSourceWhenItsSiteReturns() throws Exception {
    get(a.links.pause(plan + "-out"));
    final Scribe shipped = disk.scribe.fork(disk.scribe.head());
    disk.write(1);
    a.lossy.cut(true);
    b.lossy.cut(true);
    Refusal rail = assertThrows(Refusal.class, () -> get(b.plans.failover(plan, forced("latest"))));
    assertEquals(ErrorCode.SECOND_PRIMARY, rail.code());
    get(b.plans.failover(plan, forced("latest", ErrorCode.SECOND_PRIMARY)));
    PlanSummary over = sites.awaitState(b, plan, "FailedOver");
    assertEquals(-1, lost(over), "nobody can know");
    disk.write(2);
    assertEquals(1, disk.at(a).epoch());
    assertEquals("Primary", disk.at(a).role());
    assertEquals(2, disk.at(b).epoch());
    a.lossy.cut(false);
    b.lossy.cut(false);
    await("the loss is counted", () -> lost(join(b.plans.get(plan))) >= 0);
    final Scribe unshipped = disk.scribe;
    assertEquals(unshipped.head() - shipped.head(), lost(get(b.plans.get(plan))));
    assertEquals("Fenced", disk.at(a).role());
    get(disk.session.ended());
    sites.awaitState(a, plan, "FailedOver");
    disk.scribe = shipped;
    disk.attach(b);
    disk.write(1);
    get(a.plans.commit(plan));
    sites.awaitState(b, plan, "Committed");
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
    disk.assertNewestBranch(a, unshipped);
  }

  /** Its own site is lost after a failover: the first one goes on, in an epoch of its own (P9). */
  @Test
  void shouldForceBackBeforeTheCommit() throws Exception {
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    sites.awaitState(b, plan, "FailedOver");
    final Scribe kept = disk.scribe.fork(disk.scribe.head());
    disk.attach(b);
    disk.write(2);
    a.lossy.cut(true);
    b.lossy.cut(true);
    get(a.plans.failover(plan, forced("latest", ErrorCode.SECOND_PRIMARY)));
    sites.awaitState(a, plan, "FailedOver");
    disk.write(1);
    final Scribe gone = disk.scribe;
    assertEquals("Primary", disk.at(b).role());
    assertEquals(2, disk.at(b).epoch());
    assertEquals("Primary", disk.at(a).role());
    assertEquals(3, disk.at(a).epoch());
    a.lossy.cut(false);
    b.lossy.cut(false);
    await(
        "the other one is fenced",
        () -> join(b.node.site().volume(disk.name)).role().equals("Fenced"));
    await("counted", () -> lost(join(a.plans.get(plan))) == gone.head() - kept.head());
    await("told", () -> join(b.plans.get(plan)).site().equals("a"));
    disk.scribe = kept;
    disk.attach(a);
    disk.write(2);
    get(a.plans.commit(plan));
    sites.awaitState(a, plan, "Ready");
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(a);
    disk.assertAllAt(b);
    disk.assertNewestBranch(b, gone);
  }

  /**
   * The same after a forced one: the first site's own writes count again, from where they parted.
   */
  @Test
  void shouldForceBackToItsOwnLineOfHistory() throws Exception {
    long parted = 1 + random.nextInt((int) disk.scribe.head() - 1);
    get(b.plans.failover(plan, forced("seq:" + parted)));
    sites.awaitState(b, plan, "FailedOver");
    sites.awaitState(a, plan, "FailedOver");
    final Scribe own = disk.scribe;
    disk.scribe = own.fork(parted);
    disk.attach(b);
    disk.write(3);
    final Scribe gone = disk.scribe;
    a.lossy.cut(true);
    b.lossy.cut(true);
    get(a.plans.failover(plan, forced("latest", ErrorCode.SECOND_PRIMARY)));
    sites.awaitState(a, plan, "FailedOver");
    disk.scribe = own;
    disk.attach(a);
    disk.write(1);
    a.lossy.cut(false);
    b.lossy.cut(false);
    await("counted", () -> lost(join(a.plans.get(plan))) == gone.head() - parted);
    get(a.plans.commit(plan));
    sites.awaitState(a, plan, "Ready");
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(a);
    disk.assertAllAt(b);
    disk.assertNewestBranch(b, gone);
  }

  /** To a moment; what came after it is a loss, and stays as a branch at the target. */
  @Test
  void shouldForceToAMoment() throws Exception {
    long at = 1 + random.nextInt((int) disk.scribe.head() - 1);
    MicroTime moment = new MicroTime(disk.scribe.timeOf(at));
    get(b.plans.failover(plan, forced("time:" + moment)));
    PlanSummary over = sites.awaitState(b, plan, "FailedOver");
    assertEquals(at, over.run().orElseThrow().volumes().get(0).forkSeq());
    assertEquals(disk.scribe.head() - at, lost(over));
    final Scribe left = disk.scribe;
    disk.scribe = left.fork(at);
    disk.assertAllAt(b);
    disk.assertNewestBranch(b, left);
    disk.attach(b);
    disk.write(1);
    get(b.plans.commit(plan));
    sites.awaitState(b, plan, "Committed");
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
    disk.assertNewestBranch(a, left);
  }

  /** Taken back from a point within a segment: the target gets the rest of that segment. */
  @Test
  void shouldRollBackFromAnEarlierPoint() throws Exception {
    long at = 1 + random.nextInt((int) disk.scribe.head() - 1);
    get(b.plans.failover(plan, forced("seq:" + at)));
    sites.awaitState(b, plan, "FailedOver");
    final Scribe own = disk.scribe;
    disk.scribe = own.fork(at);
    disk.attach(b);
    disk.write(1);
    final Scribe meanwhile = disk.scribe;
    get(b.plans.rollback(plan));
    sites.awaitState(b, plan, "Ready");
    disk.assertNewestBranch(b, meanwhile);
    disk.scribe = own;
    disk.attach(a);
    disk.write(1);
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(a);
    disk.assertAllAt(b);
  }

  /** What was left is longer than what a reader takes of the journal at once. */
  @Test
  void shouldKeepALongLeftLineApart() throws Exception {
    get(a.links.pause(plan + "-out"));
    Scribe shipped = disk.scribe.fork(disk.scribe.head());
    disk.write(90);
    final Scribe unshipped = disk.scribe;
    get(b.plans.failover(plan, forced("latest")));
    sites.awaitState(b, plan, "FailedOver");
    disk.scribe = shipped;
    disk.attach(b);
    disk.write(3);
    get(b.plans.commit(plan));
    sites.awaitState(b, plan, "Committed");
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
    disk.assertNewestBranch(a, unshipped);
  }

  /** The node that carries the run out is lost, and then the source's. */
  @Test
  void shouldGoOnAfterNodesAreLost() throws Exception {
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    b.restart(Optional.of(a));
    sites.awaitState(b, plan, "FailedOver");
    disk.assertAllAt(b);
    disk.attach(b);
    disk.write(1);
    get(b.plans.commit(plan));
    a.restart(Optional.of(b));
    sites.awaitState(b, plan, "Committed");
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
    get(b.plans.failback(plan));
    b.restart(Optional.of(a));
    // As a tap does whose node was replaced.
    if (disk.at(b).role().equals("Primary")) {
      disk.attach(b);
    }
    PlanSummary back = sites.awaitEnd(a, plan, "Ready");
    if (back.state().equals("Failed")) {
      System.out.println("failed: " + back.reason());
      disk.attach(b);
      get(b.plans.failback(plan));
      sites.awaitState(a, plan, "Ready");
    }
    disk.assertAllAt(a);
  }
}
