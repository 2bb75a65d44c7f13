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

import akka.stream.javadsl.Sink;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapStatus;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEntity;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.Test;

/** A site of one to three nodes in this JVM. */
class ClusterSiteTest {
  private static final VolumeName DISK = new VolumeName("disk");

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
}
