package io.tidemark.site;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.data;
import static io.tidemark.testsite.TestSite.eventually;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.segment;
import static io.tidemark.testsite.TestSite.tap;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.javadsl.Adapter;
import akka.cluster.typed.Cluster;
import akka.remote.RARP;
import akka.remote.testkit.Blackhole$;
import akka.remote.testkit.Direction;
import akka.remote.testkit.SetThrottle;
import akka.stream.javadsl.Sink;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapStatus;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.testsite.MemoryFence;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEntity;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.Test;

/** A site of one to three nodes in this JVM. */
class ClusterSiteTest {
  private static final VolumeName DISK = new VolumeName("disk");
  private static final int BROKEN_VOLUMES = 9;

  /** Sessions outlast the break, so that the same ones go on after it. */
  private static final String BREAKABLE =
      """
      tidemark.akka.remote.artery.advanced.test-mode = on
      tidemark.volume.session-silence = 60 s
      """;

  /** The whole life of a volume through the public interfaces of one node. */
  @Test
  void shouldCreateAppendListAndDelete() throws Exception {
    try (TestSite test = new TestSite("")) {
      SiteSystem node = test.startNode();
      Site site = node.site();
      Queue<SiteEvent> events = new ConcurrentLinkedQueue<>();
      site.events().runWith(Sink.foreach(events::add), node.system());

      VolumeSummary created = get(site.createVolume(DISK, VOLUME_BYTES, false));
      assertEquals("Created", created.state());
      assertEquals(created, get(site.createVolume(DISK, VOLUME_BYTES, false)));
      assertCode(
          ErrorCode.ALREADY_EXISTS, () -> get(site.createVolume(DISK, 2 * VOLUME_BYTES, false)));
      assertCode(
          ErrorCode.INVALID, () -> get(site.createVolume(new VolumeName("odd"), 1000, false)));

      JournalSession session = get(node.journal().attach(tap(DISK, UUID.randomUUID())));
      assertEquals(1, session.grant().session());
      assertEquals(created.head().time(), session.grant().headTime());
      long micros = session.grant().headTime().micros();
      for (int i = 0; i < 40; i++) {
        SegmentMeta meta = segment(1 + 10L * i, 10, micros + 10L * i);
        assertEquals(new WriteSeq(10L * (i + 1)), get(session.append(meta, data(meta))));
      }
      session.status(new TapStatus(TapStatus.Mode.CONTINUOUS, 5, 1, 7, 0, 0));
      await("status arrives", () -> summary(site).tapStatus().isPresent());
      VolumeSummary shown = summary(site);
      assertEquals("Protected", shown.state());
      assertEquals(400, shown.head().seq().value());
      assertTrue(shown.tapConnected());
      assertEquals(List.of(DISK), get(site.volumes()).stream().map(VolumeSummary::name).toList());
      await("40 segments are indexed but a tail", () -> test.index.indexedSegments.size() >= 32);
      assertTrue(get(site.history(DISK)).frontier().size() <= 2);

      get(site.deleteVolume(DISK));
      assertEquals(ErrorCode.NOT_FOUND, get(session.ended()).code());
      assertEquals(List.of(), get(site.volumes()));
      assertCode(ErrorCode.NOT_FOUND, () -> get(site.deleteVolume(DISK)));
      await("storage is freed", () -> test.store.count() == 0 && test.index.nodes.isEmpty());

      VolumeSummary again = get(site.createVolume(DISK, 2 * VOLUME_BYTES, true));
      assertNotEquals(created.id(), again.id());
      assertEquals(0, again.head().seq().value());
      await("events", () -> events.stream().anyMatch(e -> e.type().equals("volume-deleted")));
      assertEquals("volume-created", events.peek().type());
    }
  }

  /** A volume moves between nodes under a running session; nothing acknowledged is lost. */
  @Test
  void shouldSurviveLossOfTheVolumesNode() throws Exception {
    try (TestSite test = new TestSite("")) {
      SiteSystem first = test.startNode();
      SiteSystem second = test.startNode();
      SiteSystem third = test.startNode();
      get(first.site().createVolume(DISK, VOLUME_BYTES, false));
      JournalSession session =
          eventually(() -> third.journal().attach(tap(DISK, UUID.randomUUID())));
      long micros = session.grant().headTime().micros();
      long seq = 1;
      for (; seq <= 200; seq += 10) {
        SegmentMeta meta = segment(seq, 10, micros + seq);
        get(session.append(meta, data(meta)));
      }
      // The sharding coordinator and about half of the shards are on the oldest node.
      get(first.stop());
      test.nodes.remove(first);
      for (; seq <= 400; seq += 10) {
        SegmentMeta meta = segment(seq, 10, micros + seq);
        get(session.append(meta, data(meta)));
      }
      VolumeSummary shown = eventually(() -> second.site().volume(DISK));
      assertEquals(400, shown.head().seq().value());
      assertEquals(1, session.grant().session());
      assertEquals(0, shown.dark().size());
      long journaled =
          test.world.manifests(VolumeEntity.persistenceIdOf(DISK)).stream()
              .filter("segment-journaled"::equals)
              .count();
      assertEquals(40, journaled);
    }
  }

  /** A volume deleted just before its node is gone is freed by the next node (V8). */
  @Test
  void shouldFreeADeletedVolumeAfterARestart() throws Exception {
    try (TestSite test = new TestSite("tidemark.volume.orphan-delay = 1 s\n")) {
      SiteSystem node = test.startNode();
      get(node.site().createVolume(DISK, VOLUME_BYTES, false));
      JournalSession session = get(node.journal().attach(tap(DISK, UUID.randomUUID())));
      SegmentMeta meta = segment(1, 10, session.grant().headTime().micros());
      get(session.append(meta, data(meta)));
      get(node.site().deleteVolume(DISK));
      get(node.stop());
      test.nodes.remove(node);
      assertEquals(1, test.store.count());
      test.startNode();
      await("freed", () -> test.store.count() == 0);
      await("forgotten", () -> test.world.manifests("site|site-1").contains("volume-forgotten"));
    }
  }

  /** A tap whose node is gone comes back through another node, and at once. */
  @Test
  void shouldLetTheSameTapTakeOverOnAnotherNode() throws Exception {
    try (TestSite test = new TestSite("")) {
      SiteSystem first = test.startNode();
      SiteSystem second = test.startNode();
      get(first.site().createVolume(DISK, VOLUME_BYTES, false));
      UUID id = UUID.randomUUID();
      JournalSession old = eventually(() -> first.journal().attach(tap(DISK, id)));
      SegmentMeta meta = segment(1, 10, old.grant().headTime().micros());
      get(old.append(meta, data(meta)));
      assertCode(ErrorCode.BUSY, () -> get(second.journal().attach(tap(DISK, UUID.randomUUID()))));

      JournalSession renewed = get(second.journal().attach(tap(DISK, id)));
      assertEquals(2, renewed.grant().session());
      assertEquals(10, renewed.grant().head().value());
      assertEquals(ErrorCode.FENCED, get(old.ended()).code());
      SegmentMeta next = segment(11, 10, meta.lastTime().micros());
      assertThrows(Refusal.class, () -> get(old.append(next, data(next))));
      assertEquals(20, get(renewed.append(next, data(next))).value());

      get(renewed.detach());
      await("detached", () -> !summary(second.site()).tapConnected());
      JournalSession other = get(first.journal().attach(tap(DISK, UUID.randomUUID())));
      assertEquals(3, other.grant().session());
      assertFalse(other.grant().syncOpen());
    }
  }

  /** Site events reach every node. */
  @Test
  void shouldTellEventsOnEveryNode() throws Exception {
    try (TestSite test = new TestSite("")) {
      SiteSystem first = test.startNode();
      SiteSystem second = test.startNode();
      Queue<SiteEvent> seen = new ConcurrentLinkedQueue<>();
      second.site().events().runWith(Sink.foreach(seen::add), second.system());
      int[] made = {0};
      await(
          "an event crosses the cluster",
          () -> {
            first.site().createVolume(new VolumeName("v" + made[0]++), VOLUME_BYTES, false);
            return seen.stream().anyMatch(e -> e.type().equals("volume-created"));
          });
    }
  }

  private static VolumeSummary summary(Site site) {
    try {
      return get(site.volume(DISK));
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static void assertCode(ErrorCode code, org.junit.jupiter.api.function.Executable call) {
    Refusal refusal = assertThrows(Refusal.class, call);
    assertEquals(code, refusal.code(), refusal.getMessage());
    assertEquals(Optional.empty(), Optional.ofNullable(refusal.getCause()));
  }

  /**
   * The network breaks between one node and two others, all of which live on: the smaller side ends
   * itself, its volumes go on at the larger one, and no write is lost or journaled twice.
   */
  @Test
  void shouldGoOnOnOneSideOnlyWhenTheNetworkBreaks() throws Exception {
    try (TestSite test = new TestSite(BREAKABLE)) {
      test.fence = new MemoryFence();
      SiteSystem alone = test.startNode();
      SiteSystem second = test.startNode();
      SiteSystem third = test.startNode();
      List<JournalSession> sessions = new ArrayList<>();
      List<Long> micros = new ArrayList<>();
      for (int i = 0; i < BROKEN_VOLUMES; i++) {
        VolumeName name = new VolumeName("disk-" + i);
        eventually(() -> second.site().createVolume(name, VOLUME_BYTES, false));
        SiteSystem node = i % 2 == 0 ? second : third;
        JournalSession session =
            eventually(() -> node.journal().attach(tap(name, UUID.randomUUID())));
        sessions.add(session);
        micros.add(session.grant().headTime().micros());
      }
      append(sessions, micros, 1);
      blackhole(alone, second);
      blackhole(alone, third);
      // The oldest node had the coordinator of the shards, and a third of the volumes.
      append(sessions, micros, 11);
      get(alone.system().getWhenTerminated());
      test.nodes.remove(alone);
      append(sessions, micros, 21);
      for (int i = 0; i < BROKEN_VOLUMES; i++) {
        VolumeName name = new VolumeName("disk-" + i);
        assertEquals(30, eventually(() -> third.site().volume(name)).head().seq().value());
        assertEquals(
            3,
            test.world.manifests(VolumeEntity.persistenceIdOf(name)).stream()
                .filter("segment-journaled"::equals)
                .count());
      }
    }
  }

  private static void append(List<JournalSession> sessions, List<Long> micros, long seq)
      throws Exception {
    List<CompletionStage<WriteSeq>> answers = new ArrayList<>();
    for (int i = 0; i < sessions.size(); i++) {
      SegmentMeta meta = segment(seq, 10, micros.get(i) + seq);
      answers.add(sessions.get(i).append(meta, data(meta)));
    }
    for (CompletionStage<WriteSeq> answer : answers) {
      assertEquals(seq + 9, get(answer).value());
    }
  }

  /** Drops every message between two nodes, both ways; for good. */
  private static void blackhole(SiteSystem one, SiteSystem other) {
    for (SiteSystem[] ends : new SiteSystem[][] {{one, other}, {other, one}}) {
      ((RARP) RARP.get(Adapter.toClassic(ends[0].system())))
          .provider()
          .transport()
          .managementCommand(
              new SetThrottle(
                  Cluster.get(ends[1].system()).selfMember().address(),
                  Direction.bothDirection(),
                  Blackhole$.MODULE$));
    }
  }
}
