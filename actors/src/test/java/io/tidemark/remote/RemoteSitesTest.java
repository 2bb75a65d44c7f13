package io.tidemark.remote;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.eventually;
import static io.tidemark.testsite.TestSite.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.javadsl.AskPattern;
import akka.cluster.MemberStatus;
import akka.cluster.sharding.ShardRegion.CurrentShardRegionState;
import akka.cluster.sharding.typed.GetShardRegionState;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.typed.Cluster;
import akka.stream.javadsl.Sink;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.journal.JournalSession;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.SiteSystem;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEntity;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two sites in this JVM, each with a journal of its own. */
class RemoteSitesTest {
  private static final Duration SHORT = Duration.ofSeconds(3);

  /** A command that both sites' versions know. */
  @JsonTypeName("test-echo")
  record Echo(String text) implements SiteCommand<Said> {}

  /** Its answer. */
  @JsonTypeName("test-said")
  record Said(String text) implements SiteAnswer {}

  @TempDir Path directory;

  private static String site(String name, String more) {
    return """
    tidemark.site.name = %s
    tidemark.remote { poll-every = 200 ms, silence = 2 s }
    tidemark.serialization.types { echo = "%s", said = "%s" }
    tidemark.akka.cluster.seed-node-timeout = 2 s
    tidemark.akka.cluster.multi-data-center.failure-detector.acceptable-heartbeat-pause = 3 s
    """
            .formatted(name, Echo.class.getName(), Said.class.getName())
        + more;
  }

  private static String joining(SiteSystem node) {
    return "tidemark.cluster.other-sites = [\"" + address(node) + "\"]\n";
  }

  private static String address(SiteSystem node) {
    return SiteWatch.hostPort(Cluster.get(node.system()).selfMember().address());
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static void awaitMutual(SiteSystem one, SiteSystem other) throws Exception {
    await(
        "the sites see each other",
        () -> reachable(one, other.remotes().here()) && reachable(other, one.remotes().here()));
  }

  private static boolean reachable(SiteSystem node, String site) {
    return node.remotes().sites().stream()
        .anyMatch(one -> one.name().equals(site) && one.reachable());
  }

  private static int shards(SiteSystem node) {
    CompletionStage<CurrentShardRegionState> state =
        AskPattern.ask(
            ClusterSharding.get(node.system()).shardState(),
            ref -> new GetShardRegionState(VolumeEntity.TYPE_KEY, ref),
            SHORT,
            node.system().scheduler());
    return TestSite.join(state).getShards().size();
  }

  private static Refusal refusal(CompletionStage<?> stage) {
    return assertThrows(Refusal.class, () -> get(stage));
  }

  /** Each site lists the other, asks it, and hears its refusals with their codes. */
  @Test
  void shouldListAndAskOtherSites() throws Exception {
    try (TestSite a = new TestSite(site("a", ""));
        TestSite b = new TestSite(site("b", joining(a.startNode())))) {
      SiteSystem here = a.nodes.get(0);
      SiteSystem there = b.startNode();
      awaitMutual(here, there);
      there.remotes().announce("tap-link", "127.0.0.1:8471");
      await(
          "the address is known",
          () -> here.remotes().sites().get(0).nodes().get(0).tapLink().isPresent());
      RemoteSite seen = here.remotes().sites().get(0);
      assertEquals("b", seen.name());
      assertEquals(address(there), seen.nodes().get(0).address());
      assertTrue(Math.abs(seen.clock().orElseThrow().micros()) < 1_000_000, seen.toString());

      there
          .remotes()
          .serve(
              Echo.class,
              echo ->
                  switch (echo.text()) {
                    case "refuse" ->
                        CompletableFuture.failedStage(
                            new Refusal(ErrorCode.BEYOND_HEAD, "too far: ask for less"));
                    case "fail" -> throw new IllegalStateException("broken");
                    case "silent" -> new CompletableFuture<>();
                    default -> CompletableFuture.completedStage(new Said("b " + echo.text()));
                  });
      RemoteSites sites = here.remotes();
      assertEquals("b hello", get(sites.ask("b", new Echo("hello"))).text());
      assertEquals(ErrorCode.BEYOND_HEAD, refusal(sites.ask("b", new Echo("refuse"))).code());
      assertEquals(ErrorCode.FAILED, refusal(sites.ask("b", new Echo("fail"))).code());
      Refusal late = refusal(sites.ask("b", new Echo("silent"), SHORT));
      assertEquals(ErrorCode.NOT_ACKNOWLEDGED, late.code());
      assertTrue(late.getMessage().contains("may or may not"), late.getMessage());
      assertEquals(ErrorCode.NOT_FOUND, refusal(sites.ask("c", new Echo("x"))).code());
      Refusal unknown = refusal(sites.ask("a", new Echo("nobody serves it here")));
      assertEquals(ErrorCode.INVALID, unknown.code());
      assertTrue(unknown.getMessage().contains("version"), unknown.getMessage());
      String large = "x".repeat(RemoteSites.MESSAGE_BYTES_MAX);
      assertEquals(ErrorCode.LIMIT, refusal(sites.ask("b", new Echo(large))).code());
    }
  }

  /** Entities, lists and events of one site are nobody else's business. */
  @Test
  void shouldKeepSitesApart() throws Exception {
    try (TestSite a = new TestSite(site("a", ""));
        TestSite b = new TestSite(site("b", joining(a.startNode())))) {
      SiteSystem here = a.nodes.get(0);
      SiteSystem there = b.startNode();
      awaitMutual(here, there);
      Queue<SiteEvent> heard = new ConcurrentLinkedQueue<>();
      here.site().events().runWith(Sink.foreach(heard::add), here.system());
      for (String name : List.of("one", "two", "three")) {
        get(there.site().createVolume(new VolumeName(name), VOLUME_BYTES, false));
      }
      get(here.site().createVolume(new VolumeName("own"), VOLUME_BYTES, false));
      assertEquals(1, get(here.site().volumes()).size());
      assertEquals(3, get(there.site().volumes()).size());
      await(
          "the own volume's event",
          () -> heard.stream().anyMatch(e -> e.type().equals("volume-created")));
      get(there.site().createVolume(new VolumeName("four"), VOLUME_BYTES, false));
      get(here.site().createVolume(new VolumeName("last"), VOLUME_BYTES, false));
      await(
          "the last volume's event",
          () ->
              heard.stream()
                  .anyMatch(
                      e ->
                          e.message().contains("last")
                              || e.volume().filter(v -> v.value().equals("last")).isPresent()));
      assertEquals(
          List.of("own", "last"),
          heard.stream()
              .filter(e -> e.type().equals("volume-created"))
              .map(e -> e.volume().orElseThrow().value())
              .toList());
    }
  }

  /**
   * A site that is lost stops nothing here: nodes join, get shards, leave; then it is forgotten.
   */
  @Test
  void shouldGoOnWithoutTheOtherSiteAndForgetIt() throws Exception {
    try (TestSite a = new TestSite(site("a", ""));
        TestSite b = new TestSite(site("b", joining(a.startNode())))) {
      SiteSystem here = a.nodes.get(0);
      SiteSystem there = b.startNode();
      awaitMutual(here, there);
      assertEquals(ErrorCode.BUSY, refusal(here.remotes().forget("b")).code());
      assertEquals(ErrorCode.NOT_FOUND, refusal(here.remotes().forget("c")).code());
      Queue<SiteEvent> heard = new ConcurrentLinkedQueue<>();
      here.site().events().runWith(Sink.foreach(heard::add), here.system());
      b.crash(there);
      await("b is lost", () -> !here.remotes().sites().get(0).reachable());
      await("it is told", () -> heard.stream().anyMatch(e -> e.type().equals("site-lost")));
      Refusal gone = refusal(here.remotes().ask("b", new Echo("x")));
      assertEquals(ErrorCode.NOT_ACKNOWLEDGED, gone.code());
      assertTrue(gone.getMessage().contains("nothing was sent"), gone.getMessage());

      SiteSystem second = a.startNode();
      await(
          "the new node is up",
          () -> Cluster.get(second.system()).selfMember().status().equals(MemberStatus.up()));
      for (int i = 0; i < 12; i++) {
        VolumeName name = new VolumeName("v" + i);
        get(second.site().createVolume(name, VOLUME_BYTES, false));
      }
      await("the new node has shards", () -> shards(second) > 0);
      a.nodes.remove(second);
      get(second.stop());
      assertEquals(12, eventually(() -> here.site().volumes()).size());

      get(here.remotes().forget("b"));
      await("no trace of b", () -> here.remotes().sites().isEmpty());
      await(
          "one member",
          () -> {
            int members = 0;
            for (var ignored : Cluster.get(here.system()).state().getMembers()) {
              members++;
            }
            return members == 1;
          });
      assertEquals(ErrorCode.NOT_FOUND, refusal(here.remotes().ask("b", new Echo("x"))).code());
    }
  }

  /**
   * A site that was killed comes back at its address; one that starts while the other is gone forms
   * a cluster of its own, and the younger of the two is told to join anew.
   */
  @Test
  void shouldComeTogetherInAnyOrder() throws Exception {
    int portA = freePort();
    int portB = freePort();
    String memoryA = "tidemark.remote.memory = \"" + directory.resolve("a.json") + "\"\n";
    String memoryB = "tidemark.remote.memory = \"" + directory.resolve("b.json") + "\"\n";
    String fixedA = site("a", "tidemark.cluster.port = " + portA + "\n" + memoryA);
    String fixedB = site("b", "tidemark.cluster.port = " + portB + "\n" + memoryB);
    String knowsA = "tidemark.cluster.other-sites = [\"127.0.0.1:" + portA + "\"]\n";
    try (TestSite a = new TestSite(fixedA);
        TestSite b = new TestSite(fixedB);
        TestSite amnesiac = new TestSite(site("b", "tidemark.cluster.port = " + portB + "\n"));
        TestSite firstB = new TestSite(fixedB + knowsA)) {
      SiteSystem lonely = firstB.startNode();
      SiteSystem stranger = a.startNode();
      String reason =
          get(
              CompletableFuture.anyOf(
                      lonely.remotes().rejoin().toCompletableFuture(),
                      stranger.remotes().rejoin().toCompletableFuture())
                  .thenApply(String.class::cast));
      assertTrue(reason.contains("younger"), reason);
      assertFalse(lonely.remotes().rejoin().toCompletableFuture().isDone());
      a.nodes.remove(stranger);
      get(stranger.stop());
      SiteSystem joined = a.startNode();
      awaitMutual(joined, lonely);

      firstB.crash(lonely);
      // As one that was restarted while the other could not be reached: it is not the member whose
      // address it has.
      SiteSystem apart = amnesiac.startNode();
      assertTrue(get(apart.remotes().rejoin()).contains("younger"));
      assertFalse(reachable(joined, "b"));
      assertFalse(joined.remotes().rejoin().toCompletableFuture().isDone());
      amnesiac.crash(apart);
      SiteSystem back = b.startNode();
      awaitMutual(joined, back);

      a.crash(joined);
      SiteSystem again = a.startNode();
      awaitMutual(again, back);
      assertFalse(back.remotes().rejoin().toCompletableFuture().isDone());
    }
  }

  /** Two sites of one name would share one directory and have two journals. */
  @Test
  void shouldRefuseAnotherSiteOfTheSameName() throws Exception {
    try (TestSite a = new TestSite(site("a", ""));
        TestSite b = new TestSite(site("a", joining(a.startNode())))) {
      Refusal refusal = assertThrows(Refusal.class, b::startNode);
      assertEquals(ErrorCode.INVALID, refusal.code());
      assertTrue(refusal.getMessage().contains("another name"), refusal.getMessage());
    }
  }

  /** Clocks five minutes apart are shown and told; both sites work all the same. */
  @Test
  void shouldTellOfClocksFarApart() throws Exception {
    String shown = "tidemark.remote.poll-every = 1 s\n";
    try (TestSite a = new TestSite(site("a", shown));
        TestSite b = new TestSite(site("b", joining(a.startNode()) + shown))) {
      SiteSystem here = a.nodes.get(0);
      Queue<SiteEvent> heard = new ConcurrentLinkedQueue<>();
      here.site().events().runWith(Sink.foreach(heard::add), here.system());
      MicroClock right = b.clock;
      b.clock = () -> right.micros() + 300_000_000;
      SiteSystem there = b.startNode();
      awaitMutual(here, there);
      ClockOffset offset = here.remotes().sites().get(0).clock().orElseThrow();
      assertEquals(300, offset.micros() / 1e6, 2);
      assertEquals(-300, there.remotes().sites().get(0).clock().orElseThrow().micros() / 1e6, 2);
      await(
          "it is told",
          () ->
              heard.stream()
                  .anyMatch(
                      e -> e.type().equals("clock-offset") && e.message().contains("ahead of")));
      VolumeName disk = new VolumeName("disk");
      get(there.site().createVolume(disk, VOLUME_BYTES, false));
      get(here.site().createVolume(disk, VOLUME_BYTES, false));
      JournalSession session =
          get(here.journal().attach(TestSite.tap(disk, java.util.UUID.randomUUID())));
      SegmentMeta meta = TestSite.segment(1, 10, session.grant().headTime().micros());
      assertEquals(new WriteSeq(10), get(session.append(meta, TestSite.data(meta))));
    }
  }
}
