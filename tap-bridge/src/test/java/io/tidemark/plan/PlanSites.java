package io.tidemark.plan;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.eventually;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapIdentity;
import io.tidemark.link.LinkRules;
import io.tidemark.link.Links.NewLink;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeName;
import io.tidemark.replication.Scribe;
import io.tidemark.replication.WanSite;
import io.tidemark.site.VolumeSummary;
import io.tidemark.taplink.LinkSettings;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Two sites in one cluster, volumes with their oracles, and a watch over who is a primary. */
final class PlanSites implements AutoCloseable {
  static final int VOLUME_BYTES = 1 << 16;
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

  /** A run whose every step fails once takes its time. */
  private static final Duration RUN_LIMIT = Duration.ofSeconds(50);

  private static final String IMPATIENT = "tidemark.site.ask-timeout = 2 s\n";

  final WanSite a;
  final WanSite b;
  private final List<Disk> watched = new java.util.concurrent.CopyOnWriteArrayList<>();
  private final ScheduledExecutorService watch = Executors.newSingleThreadScheduledExecutor();

  /** By volume and epoch: the site that was a primary in it. */
  private final Map<String, String> primaries = new ConcurrentHashMap<>();

  private final ConcurrentLinkedQueue<String> violations = new ConcurrentLinkedQueue<>();

  PlanSites() throws Exception {
    a = new WanSite("a", LINK, IMPATIENT);
    b = new WanSite("b", LINK, IMPATIENT, Optional.of(a));
    await("the sites know each other's lines", () -> lines(a) && lines(b));
    watch.scheduleWithFixedDelay(this::look, 10, 10, TimeUnit.MILLISECONDS);
  }

  static boolean lines(WanSite site) {
    return site.node.remotes().sites().stream()
        .flatMap(one -> one.nodes().stream())
        .anyMatch(node -> node.reachable() && node.tapLink().isPresent());
  }

  private void look() {
    for (Disk disk : watched) {
      for (WanSite site : List.of(a, b)) {
        try {
          VolumeSummary volume =
              site.node.site().volume(disk.name).toCompletableFuture().get(1, TimeUnit.SECONDS);
          if (volume.role().equals("Primary")) {
            primary(disk.name, volume.epoch(), site == a ? "a" : "b");
          }
        } catch (java.util.concurrent.ExecutionException | TimeoutException e) {
          continue; // It is not there, or its entity or node is just being replaced.
        } catch (InterruptedException e) {
          return;
        }
      }
    }
  }

  private void primary(VolumeName volume, long epoch, String site) {
    String before = primaries.putIfAbsent(volume + " in epoch " + epoch, site);
    if (before != null && !before.equals(site)) {
      violations.add("volume " + volume + " had two primaries in epoch " + epoch);
    }
  }

  void assertOnePrimaryAnEpoch() {
    assertTrue(violations.isEmpty(), violations.toString());
  }

  void forget() {
    watched.clear();
    a.lossy.cut(false);
    b.lossy.cut(false);
    a.lossy.lose(0, 0);
    b.lossy.lose(0, 0);
  }

  @Override
  public void close() {
    watch.shutdownNow();
    b.close();
    a.close();
  }

  // ---- volumes --------------------------------------------------------------------------------

  /** A volume of both sites, what it held after each write, and the tap that writes it. */
  final class Disk {
    final VolumeName name;
    final Random random;
    Scribe scribe;
    JournalSession session;

    Disk(String name, Random random) {
      this.name = new VolumeName(name);
      this.random = random;
      this.scribe = new Scribe(VOLUME_BYTES, random);
    }

    /** At the first site, with some writes and a link. */
    Disk create(String link) throws Exception {
      return create(new NewLink(link, List.of(name), Optional.empty(), "b", LinkRules.DEFAULT));
    }

    /** At the first site, with some writes, in a group of its own that has a link of that name. */
    Disk createInGroup(String group) throws Exception {
      get(a.node.site().createVolume(name, VOLUME_BYTES, false));
      get(a.node.groups().create(group, List.of(name)));
      return link(new NewLink(group, List.of(), Optional.of(group), "b", LinkRules.DEFAULT));
    }

    private Disk create(NewLink link) throws Exception {
      get(a.node.site().createVolume(name, VOLUME_BYTES, false));
      return link(link);
    }

    private Disk link(NewLink link) throws Exception {
      watched.add(this);
      attach(a);
      write(3);
      get(a.links.create(link));
      return this;
    }

    /** A tap at that site, with all that has been written. */
    void attach(WanSite site) throws Exception {
      TapIdentity tap = new TapIdentity(name, UUID.randomUUID(), "host:tap", VOLUME_BYTES);
      session = eventually(() -> site.node.journal().attach(tap));
      primary(name, session.grant().epoch().value(), site == a ? "a" : "b");
      Scribe writes = scribe;
      session.takeOrders(
          order ->
              CompletableFuture.completedStage(
                  ByteBuffer.allocate(Long.BYTES).putLong(writes.head()).array()));
    }

    void write(int segments) throws Exception {
      for (int i = 0; i < segments; i++) {
        Scribe.Segment segment = scribe.next(3);
        get(session.append(segment.meta(), List.of(ByteBuffer.wrap(segment.data()))));
      }
    }

    void awaitStreaming(WanSite from, String to) throws Exception {
      long head = scribe.head();
      try {
        await(
            name + " streaming to " + to + " up to " + head,
            () ->
                join(from.links.list()).stream()
                    .filter(link -> link.spec().toSite().equals(to))
                    .flatMap(link -> link.lanes().stream())
                    .filter(lane -> lane.volume().equals(name))
                    .anyMatch(lane -> lane.state().equals("Streaming") && lane.ackedSeq() == head));
      } catch (TimeoutException e) {
        throw new AssertionError(
            "not streaming up to " + head + ": " + join(from.links.list()) + at(a) + at(b), e);
      }
    }

    VolumeSummary at(WanSite site) throws Exception {
      return get(site.node.site().volume(name));
    }

    /** Every point of the volume there, byte for byte. */
    void assertAllAt(WanSite site) throws Exception {
      HistoryView view = site.history(name);
      assertEquals(scribe.head(), view.headSeq(), name + " at " + (site == a ? "a" : "b"));
      assertAll(site, view, scribe);
    }

    /** Every point of that line of history, byte for byte. */
    void assertAll(WanSite site, HistoryView view, Scribe oracle) throws Exception {
      assertEquals(oracle.head(), view.headSeq());
      for (long seq = 1; seq <= oracle.head(); seq++) {
        assertArrayEquals(oracle.at(seq), site.image(view, seq), name + " as of " + seq);
      }
    }

    /** The newest branch that the volume left there. */
    void assertNewestBranch(WanSite site, Scribe oracle) throws Exception {
      var left = get(site.node.replicas().branches(name));
      var view = get(site.node.replicas().branch(name, left.get(left.size() - 1).name()));
      assertAll(site, view, oracle);
    }
  }

  // ---- plans ----------------------------------------------------------------------------------

  static PlanSpec spec(String plan, int commitWithin, AfterLimit after, Disk... disks) {
    List<Step> steps = new ArrayList<>();
    for (Disk disk : disks) {
      steps.add(
          new Step(
              "step-" + steps.size(),
              Optional.empty(),
              List.of(disk.name),
              List.of(),
              List.of(),
              List.of(),
              Optional.empty()));
    }
    return new PlanSpec(plan, steps, "a", "b", commitWithin, after, 0, 0);
  }

  /** Fails when the plan fails instead. */
  PlanSummary awaitState(WanSite site, String plan, String state) throws Exception {
    PlanSummary last = awaitEnd(site, plan, state);
    assertEquals(state, last.state(), last.toString());
    return last;
  }

  /** In that state, or failed. */
  PlanSummary awaitEnd(WanSite site, String plan, String state) throws Exception {
    PlanSummary[] last = new PlanSummary[1];
    long deadline = System.nanoTime() + RUN_LIMIT.toNanos();
    while (true) {
      try {
        await(state, () -> ended(site, plan, state, last));
        return last[0];
      } catch (TimeoutException e) {
        if (System.nanoTime() > deadline) {
          throw new AssertionError("never " + state + ": " + last[0], e);
        }
      }
    }
  }

  private static boolean ended(WanSite site, String plan, String state, PlanSummary[] last) {
    try {
      last[0] = join(site.plans.get(plan));
    } catch (CompletionException startingAgain) {
      return false;
    }
    return last[0].state().equals(state) || last[0].state().equals("Failed");
  }
}
