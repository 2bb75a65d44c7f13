package io.tidemark.plan;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.TestSeed;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanSites.Disk;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.Scribe;
import io.tidemark.replication.WanSite;
import io.tidemark.site.Replicas.ReplicaSpec;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSpec;
import io.tidemark.tag.TagSummary;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a plan says, and what it refuses: steps, hooks, its time limit, guard rails (P5, P6). */
class PlanRulesTest {
  private static PlanSites sites;
  private static WanSite a;
  private static WanSite b;

  private final Random random = new Random(TestSeed.next("PlanRulesTest"));
  private final String plan = "p-" + UUID.randomUUID().toString().substring(0, 8);

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

  @AfterEach
  void heal() {
    sites.assertOnePrimaryAnEpoch();
    sites.forget();
  }

  private Disk disk(String name) throws Exception {
    return sites.new Disk(plan + "-" + name, random).create(plan + "-" + name + "-out");
  }

  private Disk planned(int commitWithin, AfterLimit after) throws Exception {
    Disk disk = disk("disk");
    get(a.plans.create(PlanSites.spec(plan, commitWithin, after, disk)));
    disk.awaitStreaming(a, "b");
    return disk;
  }

  private static ErrorCode refused(CompletionStage<?> stage) {
    return assertThrows(Refusal.class, () -> get(stage)).code();
  }

  private static RunOrder forced(String at, ErrorCode... overrides) {
    return new RunOrder(Kind.FORCED, at, List.of(overrides));
  }

  private static void program(WanSite site, String file, String script) throws Exception {
    Path path = site.hooks.resolve(file);
    Files.writeString(path, "#!/bin/sh\n" + script + "\n");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  // ---- steps and hooks ------------------------------------------------------------------------

  private static Hook hook(String site, int retries, String... arguments) {
    return new Hook(site, "note.sh", List.of(arguments), 10, retries);
  }

  private static Step step(Disk disk, String name) {
    return new Step(
        name,
        Optional.empty(),
        List.of(disk.name),
        List.of(hook("a", 0, "pre", name), hook("b", 0, "not-here", name)),
        List.of(hook("b", 2, "post", name)),
        List.of(hook("b", 0, "check", name)),
        Optional.empty());
  }

  /**
   * Steps are left in reverse and entered in order; a hook that fails is tried as often as said.
   */
  @Test
  void shouldRunStepsInOrder() throws Exception {
    Disk one = disk("one");
    Disk two = disk("two");
    Path said = Files.createTempFile("tidemark-said", ".txt");
    Path tries = Files.createTempFile("tidemark-tries", ".txt");
    String script =
        "echo \"$1 $2 $TIDEMARK_STEP\" >> %s\n[ \"$1 $2\" != 'post db' ] || { echo x >> %s; [ $(wc -l < %s) -ge 3 ]; }"
            .formatted(said, tries, tries);
    for (WanSite site : List.of(a, b)) {
      program(site, "note.sh", script);
    }
    get(
        a.plans.create(
            new PlanSpec(
                plan,
                List.of(step(one, "db"), step(two, "web")),
                "a",
                "b",
                0,
                AfterLimit.STAY,
                0,
                0)));
    one.awaitStreaming(a, "b");
    two.awaitStreaming(a, "b");
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    sites.awaitState(b, plan, "FailedOver");
    assertEquals(
        List.of(
            "pre web web",
            "pre db db",
            "post db db",
            "post db db",
            "post db db",
            "check db db",
            "post web web",
            "check web web"),
        Files.readAllLines(said));
    for (Disk disk : List.of(one, two)) {
      disk.assertAllAt(b);
      assertEquals("Primary", disk.at(b).role());
    }
    Files.delete(said);
    Files.delete(tries);
  }

  /** A hook that takes too long is killed, with what it started; then the run can be taken back. */
  @Test
  void shouldEndAHookThatTakesTooLong() throws Exception {
    Disk disk = disk("disk");
    program(b, "slow.sh", "echo waiting; tail -f /dev/null");
    Step step =
        new Step(
            "one",
            Optional.empty(),
            List.of(disk.name),
            List.of(),
            List.of(new Hook("b", "slow.sh", List.of(), 1, 1)),
            List.of(),
            Optional.empty());
    get(a.plans.create(new PlanSpec(plan, List.of(step), "a", "b", 0, AfterLimit.STAY, 0, 0)));
    disk.awaitStreaming(a, "b");
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    PlanSummary failed = sites.awaitState(b, plan, "Failed");
    assertTrue(failed.reason().contains("not over within 1 s: waiting"), failed.reason());
    assertEquals("Primary", disk.at(b).role(), "it was promoted before its post hooks");
    get(a.plans.rollback(plan));
    sites.awaitState(b, plan, "Ready");
    assertEquals("Primary", disk.at(a).role());
    assertEquals(3, disk.at(a).epoch());
    disk.attach(a);
    disk.write(1);
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(b);
  }

  /** One of a plan's volumes is gone: nothing of the others is touched. */
  @Test
  void shouldNotBeginWithAVolumeThatWasDeleted() throws Exception {
    Disk one = disk("one");
    Disk two = disk("two");
    get(a.plans.create(PlanSites.spec(plan, 0, AfterLimit.STAY, one, two)));
    one.awaitStreaming(a, "b");
    two.awaitStreaming(a, "b");
    get(b.node.site().deleteVolume(two.name));
    for (RunOrder order : List.of(RunOrder.of(Kind.PLANNED), forced("latest"))) {
      Refusal refusal = assertThrows(Refusal.class, () -> get(a.plans.failover(plan, order)));
      assertEquals(ErrorCode.NOT_FOUND, refusal.code());
      assertTrue(refusal.getMessage().contains(two.name.value()), refusal.getMessage());
    }
    assertEquals("Ready", get(a.plans.get(plan)).state());
    assertTrue(get(a.plans.exposure(plan)).get(1).problem().orElseThrow().startsWith("NOT_FOUND"));
    one.write(1);
    one.awaitStreaming(a, "b");
  }

  // ---- the time limit -------------------------------------------------------------------------

  @Test
  void shouldCommitAtItsLimit() throws Exception {
    Disk disk = planned(1, AfterLimit.COMMIT);
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    sites.awaitState(b, plan, "Committed");
    disk.attach(b);
    disk.write(1);
    disk.awaitStreaming(b, "a");
    disk.assertAllAt(a);
  }

  /** Not while the other site is gone: until then it says what it waits for, and nothing stops. */
  @Test
  void shouldRollBackAtItsLimitOnceTheOtherSiteAnswers() throws Exception {
    Disk disk = planned(1, AfterLimit.ROLLBACK);
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    PlanSummary over = sites.awaitState(b, plan, "FailedOver");
    assertTrue(over.commitUntilMicros() > 0);
    b.lossy.cut(true);
    await("it waits", () -> join(b.plans.get(plan)).reason().contains("does not answer"));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refused(b.plans.rollback(plan)));
    assertEquals("FailedOver", get(b.plans.get(plan)).state());
    final Scribe kept = disk.scribe;
    disk.scribe = kept.fork(kept.head());
    disk.attach(b);
    disk.write(1);
    final Scribe meanwhile = disk.scribe;
    disk.scribe = kept;
    b.lossy.cut(false);
    sites.awaitState(b, plan, "Ready");
    assertEquals("Primary", disk.at(a).role());
    disk.assertNewestBranch(b, meanwhile);
    disk.attach(a);
    disk.write(1);
    disk.awaitStreaming(a, "b");
    disk.assertAllAt(b);
  }

  // ---- points and guard rails -----------------------------------------------------------------

  /** To a tag, which is where the group was consistent; later ones are lost and named. */
  @Test
  void shouldForceToATag() throws Exception {
    String group = plan + "-group";
    Disk disk = sites.new Disk(plan + "-disk", random).createInGroup(group);
    final long at = disk.scribe.head();
    adopt(group, disk, "noon", at);
    disk.write(2);
    get(a.plans.create(PlanSites.spec(plan, 0, AfterLimit.STAY, disk)));
    disk.awaitStreaming(a, "b");
    await("the tag is there", () -> tagged(disk, "noon"));
    assertEquals(ErrorCode.NOT_FOUND, refused(b.plans.failover(plan, forced("tag:never"))));
    get(b.plans.failover(plan, forced("tag:noon")));
    PlanSummary over = sites.awaitState(b, plan, "FailedOver");
    PlanRun.Volume volume = over.run().orElseThrow().volumes().get(0);
    assertEquals(at, volume.forkSeq());
    assertEquals(disk.scribe.head() - at, volume.lostWrites().orElseThrow());
    final Scribe left = disk.scribe;
    disk.scribe = left.fork(at);
    disk.assertAllAt(b);
    disk.assertNewestBranch(b, left);
  }

  private static boolean tagged(Disk disk, String tag) {
    try {
      return join(b.node.groups().resolve(disk.name, tag)).seq() > 0;
    } catch (CompletionException e) {
      return false;
    }
  }

  private static void adopt(String group, Disk disk, String tag, long seq) throws Exception {
    long now = MicroClock.system().micros();
    TagSpec spec =
        new TagSpec(
            UUID.randomUUID(),
            group,
            tag,
            List.of(disk.name),
            false,
            List.of(),
            "",
            "note",
            now,
            0);
    TagMark mark = new TagMark(disk.name, a.history(disk.name).volume(), 1, 0, seq, now, 100);
    get(
        a.node
            .groups()
            .adopt(
                new TagSummary(
                    spec,
                    "Committed",
                    now,
                    List.of(mark),
                    List.of(),
                    Optional.empty(),
                    "",
                    false)));
  }

  /**
   * A target inside a dark interval: not by mistake, but at an earlier point, or by its override.
   */
  @Test
  void shouldNotPromoteATargetInsideADarkInterval() throws Exception {
    Disk disk = planned(0, AfterLimit.STAY);
    final long before = disk.scribe.head();
    MicroTime time = new MicroTime(disk.scribe.timeOf(before) + 1);
    get(disk.session.gap(new WriteSeq(before + 1), new WriteSeq(before + 4), time, "lost"));
    await(
        "the gap is there",
        () -> join(b.node.site().volume(disk.name)).state().equals("Resyncing"));
    assertEquals(ErrorCode.DARK_INTERVAL, refused(b.plans.failover(plan, forced("latest"))));
    assertTrue(
        get(b.plans.exposure(plan)).get(0).problem().orElseThrow().startsWith("DARK_INTERVAL"));
    assertEquals(
        ErrorCode.DARK_INTERVAL, refused(b.plans.failover(plan, forced("seq:" + (before + 2)))));
    get(b.plans.failover(plan, forced("seq:" + before)));
    PlanSummary over = sites.awaitState(b, plan, "FailedOver");
    assertEquals(before, over.run().orElseThrow().volumes().get(0).forkSeq());
    assertEquals(before, disk.at(b).head().seq().value());
    disk.assertAllAt(b);
  }

  @Test
  void shouldPromoteInsideADarkIntervalByItsOverride() throws Exception {
    Disk disk = planned(0, AfterLimit.STAY);
    long before = disk.scribe.head();
    MicroTime time = new MicroTime(disk.scribe.timeOf(before) + 1);
    get(disk.session.gap(new WriteSeq(before + 1), new WriteSeq(before + 4), time, "lost"));
    await(
        "the gap is there",
        () -> join(b.node.site().volume(disk.name)).state().equals("Resyncing"));
    get(b.plans.failover(plan, forced("latest", ErrorCode.DARK_INTERVAL)));
    sites.awaitState(b, plan, "FailedOver");
    assertEquals("Primary", disk.at(b).role());
  }

  /** A target that never held all of its source: only by its override. */
  @Test
  void shouldNotPromoteWhatWasNeverSynchronised() throws Exception {
    Disk disk = disk("disk");
    disk.awaitStreaming(a, "b");
    get(a.links.delete(plan + "-disk-out"));
    get(b.node.site().deleteVolume(disk.name));
    UUID link = UUID.randomUUID();
    get(
        b.node
            .replicas()
            .createReplica(
                disk.name, new ReplicaSpec(PlanSites.VOLUME_BYTES, 1, 1, "main", link, "nobody")));
    get(a.plans.create(PlanSites.spec(plan, 0, AfterLimit.STAY, disk)));
    assertEquals(
        ErrorCode.NOT_SYNCHRONIZED, refused(a.plans.failover(plan, RunOrder.of(Kind.PLANNED))));
    assertEquals(ErrorCode.NOT_SYNCHRONIZED, refused(a.plans.failover(plan, forced("latest"))));
    get(a.plans.failover(plan, forced("latest", ErrorCode.NOT_SYNCHRONIZED)));
    PlanSummary over = sites.awaitState(b, plan, "FailedOver");
    assertEquals(
        disk.scribe.head(), over.run().orElseThrow().volumes().get(0).lostWrites().orElseThrow());
    assertEquals(ErrorCode.BUSY, refused(b.plans.failover(plan, forced("latest"))));
  }

  /** Two operators, one at each site: whatever the later one orders, it is told BUSY. */
  @Test
  void shouldTellTheLaterOperatorBusy() throws Exception {
    Disk disk = planned(0, AfterLimit.STAY);
    get(a.plans.failover(plan, RunOrder.of(Kind.PLANNED)));
    sites.awaitState(b, plan, "FailedOver");
    CompletionStage<PlanSummary> commit = a.plans.commit(plan);
    CompletionStage<PlanSummary> rollback = b.plans.rollback(plan);
    int begun = 0;
    for (CompletionStage<PlanSummary> order : List.of(commit, rollback)) {
      try {
        get(order);
        begun++;
      } catch (Refusal e) {
        assertEquals(ErrorCode.BUSY, e.code(), e.getMessage());
      }
    }
    assertEquals(1, begun);
    await("settled", () -> List.of("Committed", "Ready").contains(join(b.plans.get(plan)).state()));
    boolean committed = get(b.plans.get(plan)).state().equals("Committed");
    assertEquals(committed ? "Replica" : "Primary", disk.at(a).role());
    assertEquals(committed ? "Primary" : "Replica", disk.at(b).role());
  }
}
