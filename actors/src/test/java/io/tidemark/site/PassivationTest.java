package io.tidemark.site;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.data;
import static io.tidemark.testsite.TestSite.eventually;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static io.tidemark.testsite.TestSite.segment;
import static io.tidemark.testsite.TestSite.tap;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.AskPattern;
import akka.cluster.sharding.ShardRegion;
import akka.cluster.sharding.typed.GetShardRegionState;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import io.tidemark.journal.JournalSession;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeName;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.testsite.MemoryFence;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEntity;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.Test;

/** Idle volumes leave memory, can be listed without coming back, and come back as they were. */
class PassivationTest {
  private static final int VOLUMES = 40;
  private static final VolumeName WRITTEN = name(7);

  private final MemoryFence fence = new MemoryFence();

  private static VolumeName name(int i) {
    return new VolumeName("idle-%02d".formatted(i));
  }

  private static int awake(SiteSystem node) {
    CompletionStage<ShardRegion.CurrentShardRegionState> state =
        AskPattern.ask(
            ClusterSharding.get(node.system()).shardState(),
            (ActorRef<ShardRegion.CurrentShardRegionState> ref) ->
                new GetShardRegionState(VolumeEntity.TYPE_KEY, ref),
            TestSite.PATIENCE,
            node.system().scheduler());
    return join(state).getShards().stream().mapToInt(shard -> shard.getEntityIds().size()).sum();
  }

  private TestSite site() {
    TestSite site =
        new TestSite("tidemark.volume.passivate-after = 1 s\ntidemark.site.ask-timeout = 3 s\n");
    site.fence = fence;
    return site;
  }

  private static long write(SiteSystem node, int segments) throws Exception {
    JournalSession session = eventually(() -> node.journal().attach(tap(WRITTEN, new UUID(1, 1))));
    long seq = session.grant().head().value() + 1;
    long micros = session.grant().headTime().micros() + seq;
    for (int i = 0; i < segments; i++, seq += 10) {
      SegmentMeta meta = segment(seq, 10, micros + seq);
      get(session.append(meta, data(meta)));
    }
    get(session.detach());
    return seq - 1;
  }

  @Test
  void shouldLeaveMemoryAndComeBackWithEverything() throws Exception {
    try (TestSite test = site()) {
      SiteSystem node = test.startNode();
      for (int i = 0; i < VOLUMES; i++) {
        get(node.site().createVolume(name(i), VOLUME_BYTES, i % 2 == 1));
      }
      long head = write(node, 30);
      List<VolumeSummary> before = get(node.site().volumes());
      HistoryView history = get(node.site().history(WRITTEN));
      await("all have left memory", () -> awake(node) == 0);

      int claims = fence.claims.get();
      for (int i = 0; i < 3; i++) {
        assertEquals(before, get(node.site().volumes()));
      }
      assertEquals(claims, fence.claims.get(), "listing wakes nobody");
      assertEquals(0, awake(node));

      assertEquals(before.get(7), get(node.site().volume(WRITTEN)));
      assertEquals(1, awake(node), "who is asked is awake");
      HistoryView again = get(node.site().history(WRITTEN));
      assertEquals(history.frontier(), again.frontier());
      assertEquals(history.tailToEventNr(), again.tailToEventNr());
      assertEquals(head + 20, write(node, 2));
      assertEquals(head + 20, get(node.site().volumes()).get(7).head().seq().value());

      await("asleep again", () -> awake(node) == 0);
      assertEquals(head + 20, get(node.site().volumes()).get(7).head().seq().value());
      get(node.site().deleteVolume(WRITTEN));
      assertEquals(VOLUMES - 1, get(node.site().volumes()).size());
      await("the deleted one sleeps, too", () -> awake(node) == 0);
      assertEquals(VOLUMES - 1, get(node.site().volumes()).size());
    }
  }

  /** A volume with a tap stays. */
  @Test
  void shouldStayInMemoryWhileATapIsAttached() throws Exception {
    try (TestSite test = site()) {
      SiteSystem node = test.startNode();
      get(node.site().createVolume(name(0), VOLUME_BYTES, false));
      get(node.site().createVolume(WRITTEN, VOLUME_BYTES, false));
      JournalSession session = get(node.journal().attach(tap(WRITTEN, UUID.randomUUID())));
      await("the other one sleeps", () -> awake(node) == 1);
      List<VolumeSummary> listed = get(node.site().volumes());
      assertFalse(listed.get(0).tapConnected());
      assertTrue(listed.get(1).tapConnected());
      SegmentMeta meta = segment(1, 10, session.grant().headTime().micros() + 1);
      assertEquals(10, get(session.append(meta, data(meta))).value());
      assertEquals(1, session.grant().session());
    }
  }

  /** V9: what a node remembers of a sleeper is worth nothing once it woke elsewhere. */
  @Test
  void shouldNotTellOfTheTimeBeforeAVolumeWokeElsewhere() throws Exception {
    try (TestSite test = site()) {
      SiteSystem first = test.startNode();
      for (int i = 0; i < VOLUMES; i++) {
        get(first.site().createVolume(name(i), VOLUME_BYTES, false));
      }
      await("all sleep at the first node", () -> awake(first) == 0);
      assertEquals(VOLUMES, get(first.site().volumes()).size());
      SiteSystem second = test.startNode();
      // Shards move to the new node, where the volume wakes, is written and sleeps again.
      await(
          "volumes wake at the second node",
          () -> {
            boolean all = true;
            for (int i = 0; i < VOLUMES; i++) {
              all &= answers(second, name(i));
            }
            return all && awake(second) > 0;
          });
      long head = write(second, 3);
      await("both sleep", () -> awake(first) + awake(second) == 0);
      for (SiteSystem node : List.of(first, second)) {
        List<VolumeSummary> listed = eventually(() -> node.site().volumes());
        assertEquals(VOLUMES, listed.size());
        assertEquals(head, listed.get(7).head().seq().value());
      }
      await(
          "each node knows who sleeps at the other",
          () -> {
            int claims = fence.claims.get();
            boolean listed = lists(first) & lists(second);
            return listed && awake(first) + awake(second) == 0 && claims == fence.claims.get();
          });
    }
  }

  private static boolean lists(SiteSystem node) {
    return node.site()
        .volumes()
        .handle((list, failure) -> failure == null)
        .toCompletableFuture()
        .join();
  }

  /** What is asked while a shard moves may be dropped. */
  private static boolean answers(SiteSystem node, VolumeName name) {
    return node.site()
        .volume(name)
        .handle((summary, failure) -> failure == null)
        .toCompletableFuture()
        .join();
  }
}
