package io.tidemark.replication;

import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.eventually;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.join;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.TestSeed;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapIdentity;
import io.tidemark.link.LinkRules;
import io.tidemark.link.LinkSummary;
import io.tidemark.link.Links.NewLink;
import io.tidemark.point.HistoryView;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Replicas.Demotion;
import io.tidemark.site.VolumeSummary;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSpec;
import io.tidemark.tag.TagSummary;
import io.tidemark.taplink.FaultyProxy;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Two sites in one cluster: what is written at one is journaled at the other, byte for byte at
 * every position, through whatever happens to the line and to the nodes.
 */
class ReplicationTest {
  private static final int VOLUME_BYTES = 1 << 20;
  private static final long SMALL_REPLAY = 8 << 20;
  private static WanSite a;
  private static WanSite b;
  private static FaultyProxy proxy;

  private final long seed = TestSeed.next("ReplicationTest");
  private final Random random = new Random(seed);
  private final Scribe scribe = new Scribe(VOLUME_BYTES, random);
  private final VolumeName name = new VolumeName("disk-" + UUID.randomUUID());
  private final UUID tap = UUID.randomUUID();
  private JournalSession session;

  @BeforeAll
  static void start() throws Exception {
    a = new WanSite("a", SiteLinesTest.LINK, "\ntidemark.link.replay-max = " + SMALL_REPLAY);
    b = new WanSite("b", SiteLinesTest.LINK, "", Optional.of(a));
    proxy = new FaultyProxy(new InetSocketAddress("127.0.0.1", b.server.address().getPort()), 1);
    b.node.remotes().announce("tap-link", "127.0.0.1:" + proxy.address().getPort());
    await(
        "a knows where b takes lines",
        () ->
            a.node.remotes().sites().stream()
                .flatMap(site -> site.nodes().stream())
                .flatMap(node -> node.tapLink().stream())
                .anyMatch(text -> text.endsWith(":" + proxy.address().getPort())));
  }

  @AfterAll
  static void stop() throws Exception {
    proxy.close();
    b.close();
    a.close();
  }

  private void createVolume() throws Exception {
    get(a.node.site().createVolume(name, VOLUME_BYTES, false));
    attach();
  }

  private void attach() throws Exception {
    session =
        eventually(
            () -> a.node.journal().attach(new TapIdentity(name, tap, "host:tap", VOLUME_BYTES)));
  }

  private void write(int segments) throws Exception {
    for (int i = 0; i < segments; i++) {
      Scribe.Segment segment = scribe.next(10);
      get(session.append(segment.meta(), List.of(ByteBuffer.wrap(segment.data()))));
    }
  }

  private LinkSummary createLink(LinkRules rules) throws Exception {
    return get(
        a.links.create(
            new NewLink(
                "to-b-" + name.value().substring(5), List.of(name), Optional.empty(), "b", rules)));
  }

  private LinkSummary.Lane lane(String link) {
    return join(a.links.get(link)).lanes().get(0);
  }

  private void awaitCaughtUp(String link) throws Exception {
    long head = scribe.head();
    await(
        "the target holds " + head + ", it is at " + lane(link),
        () -> lane(link).ackedSeq() == head);
  }

  private void assertEqualAt(long seq) throws Exception {
    if (seq > 0) {
      assertArrayEquals(scribe.at(seq), b.image(name, seq), "as of " + seq);
      assertEquals(scribe.timeOf(seq), b.timeOf(name, seq), "time of " + seq);
    }
  }

  private void assertEqual() throws Exception {
    assertEquals(scribe.head(), b.history(name).headSeq());
    for (int i = 0; i < 10; i++) {
      assertEqualAt(1 + random.nextInt((int) scribe.head()));
    }
    assertEqualAt(scribe.head());
  }

  /**
   * Writes go on while the line breaks and bytes are damaged: every acknowledged position is right.
   */
  @Test
  void shouldReplicateThroughCutsAndDamage() throws Exception {
    createVolume();
    write(10);
    LinkSummary link = createLink(LinkRules.DEFAULT);
    String linkName = link.spec().name();
    try {
      for (int round = 0; round < 12; round++) {
        proxy.fault(
            round % 3 == 0
                ? FaultyProxy.Fault.CUT
                : round % 3 == 1 ? FaultyProxy.Fault.CORRUPT : FaultyProxy.Fault.NONE,
            40_000);
        write(6);
        if (round % 4 == 3) {
          proxy.cut();
        }
        assertEqualAt(lane(linkName).ackedSeq());
      }
    } finally {
      proxy.fault(FaultyProxy.Fault.NONE, 1);
    }
    awaitCaughtUp(linkName);
    assertEqual();
    VolumeSummary replica = get(b.node.site().volume(name));
    assertEquals("Replica", replica.role());
    assertEquals(1, replica.epoch());
    LinkSummary.Lane lane = lane(linkName);
    assertEquals(0, lane.lagWrites());
    assertEquals(0, lane.lagBytes());
    assertEquals(0.0, lane.lagSeconds());
    assertTrue(lane.lineBytes() < lane.rawBytes(), "" + lane);
    assertEquals(
        lane.rawBytes(), lane.sentAs().stream().mapToLong(LinkSummary.SentAs::rawBytes).sum());
    assertEquals(
        lane.lineBytes(),
        lane.headBytes() + lane.sentAs().stream().mapToLong(LinkSummary.SentAs::lineBytes).sum());
    await("streaming", () -> join(a.links.get(linkName)).state().equals("Streaming"));
    get(a.links.delete(linkName));
    Refusal gone = assertThrows(Refusal.class, () -> get(a.links.get(linkName)));
    assertEquals(ErrorCode.NOT_FOUND, gone.code());
  }

  /** A target that has all there is says so, though nothing is ever sent. */
  @Test
  void shouldBeSynchronisedWithNothingToSend() throws Exception {
    createVolume();
    String linkName = createLink(LinkRules.DEFAULT).spec().name();
    await("streaming", () -> join(a.links.get(linkName)).state().equals("Streaming"));
    assertEquals(0, lane(linkName).ackedSeq());
    get(a.links.delete(linkName));
  }

  /** Paused, it falls behind and says so; resumed, it catches up. */
  @Test
  void shouldPauseAndResume() throws Exception {
    createVolume();
    write(3);
    String linkName = createLink(LinkRules.DEFAULT).spec().name();
    awaitCaughtUp(linkName);
    assertEquals("Paused", get(a.links.pause(linkName)).state());
    long before = lane(linkName).ackedSeq();
    write(5);
    assertEquals(before, lane(linkName).ackedSeq());
    assertTrue(lane(linkName).stale());
    get(a.links.resume(linkName));
    awaitCaughtUp(linkName);
    assertEqual();
    get(a.links.delete(linkName));
  }

  /** Gaps of the source are gaps of the target, and end where they end. */
  @Test
  void shouldReplicateDarkIntervals() throws Exception {
    createVolume();
    write(3);
    String linkName = createLink(LinkRules.DEFAULT).spec().name();
    awaitCaughtUp(linkName);
    long head = scribe.head();
    byte[] before = scribe.at(head);
    MicroTime gapTime = new MicroTime(scribe.timeOf(head) + 1);
    get(session.gap(new WriteSeq(head + 1), new WriteSeq(head + 7), gapTime, "lost"));
    get(session.completeSync(1));
    await("the gap", () -> join(b.node.site().history(name)).headSeq() == head + 7);
    await("its end", () -> join(b.node.site().volume(name)).state().equals("Protected"));
    assertEquals(a.history(name).dark(), b.history(name).dark());
    assertArrayEquals(before, b.image(name, head + 7));
    get(a.links.delete(linkName));
  }

  /** A volume of that name is there already: the link is broken, says why, and harms nothing. */
  @Test
  void shouldBreakWhereAPrimaryIs() throws Exception {
    createVolume();
    write(1);
    get(b.node.site().createVolume(name, VOLUME_BYTES, false));
    String linkName = createLink(LinkRules.DEFAULT).spec().name();
    await("broken", () -> join(a.links.get(linkName)).state().equals("Broken"));
    assertTrue(lane(linkName).fault().orElseThrow().contains("exists and is Primary"));
    assertEquals(0, b.history(name).headSeq());
    get(b.node.site().deleteVolume(name));
    get(a.links.resume(linkName));
    awaitCaughtUp(linkName);
    assertEqual();
    get(a.links.delete(linkName));
  }

  /** Writes faster than the link may send: it lags, warns, forecasts, and keeps its rate. */
  @Test
  void shouldHeedItsThrottle() throws Exception {
    createVolume();
    List<String> told = new ArrayList<>();
    a.node.site().events().runForeach(event -> told.add(event.type()), a.node.system());
    LinkRules slow = new LinkRules(new Throttle(40_000, List.of()), 5, 1);
    String linkName = createLink(slow).spec().name();
    await("connected", () -> lane(linkName).connected());
    long begun = System.nanoTime();
    write(14);
    awaitCaughtUp(linkName);
    double seconds = (System.nanoTime() - begun) / 1e9;
    double rate = lane(linkName).lineBytes() / seconds;
    assertTrue(rate < 40_000 * 1.3, "bytes a second: " + rate);
    assertEqual();
    get(a.links.setRules(linkName, LinkRules.DEFAULT));
    write(10);
    awaitCaughtUp(linkName);
    get(a.links.delete(linkName));
    System.out.println("throttled to " + rate + " B/s, told " + told);
  }

  /** A fenced source is drained; the replica is promoted, and the way back is a link of its own. */
  @Test
  void shouldFailOverAndBack() throws Exception {
    createVolume();
    write(8);
    String there = createLink(LinkRules.DEFAULT).spec().name();
    awaitCaughtUp(there);
    get(a.node.replicas().demote(name, new Demotion(1, Optional.empty(), "failover", -1, 0)));
    long drained = scribe.head();
    VolumeSummary promoted = get(b.node.replicas().promote(name, 1, drained, false));
    assertEquals("Primary", promoted.role());
    assertEquals("main", promoted.branch());
    assertEqual();
    get(a.links.delete(there));
  }

  private long horizonThere() {
    try {
      return b.history(name).horizonSeq();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * A target that has nothing of a long history gets the content, then every write; a resync of
   * equal sites sends no content.
   */
  @Test
  void shouldSynchroniseByContent() throws Exception {
    createVolume();
    while (get(a.node.site().volume(name)).rawBytes() <= SMALL_REPLAY) {
      write(20);
    }
    long begun = scribe.head();
    String linkName = createLink(LinkRules.DEFAULT).spec().name();
    awaitCaughtUp(linkName);
    // The last content is acknowledged before the synchronisation's end is.
    await("the history was not replayed", () -> horizonThere() > 0);
    assertEqualAt(scribe.head());
    write(10);
    awaitCaughtUp(linkName);
    for (long seq = Math.max(begun, b.history(name).horizonSeq()); seq <= scribe.head(); seq += 7) {
      assertEqualAt(seq);
    }
    long sent = lane(linkName).rawBytes();
    get(a.links.pause(linkName));
    write(5);
    get(a.links.resume(linkName));
    get(a.links.resync(linkName));
    awaitCaughtUp(linkName);
    await("streaming", () -> join(a.links.get(linkName)).state().equals("Streaming"));
    assertEqualAt(scribe.head());
    write(2);
    get(a.links.resync(linkName));
    awaitCaughtUp(linkName);
    assertEqualAt(scribe.head());
    System.out.println("sent " + sent + " then " + lane(linkName).sentAs());
    get(a.links.delete(linkName));
  }

  /**
   * A forced failover: what had not arrived is another line of history, which stays readable where
   * it was written; the way back brings only what came after the fork.
   */
  @Test
  void shouldForkAndComeBack() throws Exception {
    createVolume();
    write(12);
    String there = createLink(LinkRules.DEFAULT).spec().name();
    awaitCaughtUp(there);
    get(a.links.pause(there));
    long fork = scribe.head();
    write(6);
    VolumeSummary promoted = get(b.node.replicas().promote(name, 1, -1, true));
    assertEquals("epoch-2", promoted.branch());
    assertEquals(fork, promoted.head().seq().value());
    Scribe kept = scribe.fork(fork);
    TapIdentity tapAtB = new TapIdentity(name, UUID.randomUUID(), "host-b:tap", VOLUME_BYTES);
    JournalSession atB = get(b.node.journal().attach(tapAtB));
    for (int i = 0; i < 10; i++) {
      Scribe.Segment segment = kept.next(10);
      get(atB.append(segment.meta(), List.of(ByteBuffer.wrap(segment.data()))));
    }
    get(a.links.delete(there));
    LinkSummary back =
        get(
            b.links.create(
                new NewLink(
                    "back-" + UUID.randomUUID(),
                    List.of(name),
                    Optional.empty(),
                    "a",
                    LinkRules.DEFAULT)));
    String backName = back.spec().name();
    await("broken", () -> join(b.links.get(backName)).state().equals("Broken"));
    Demotion demotion =
        new Demotion(
            1,
            Optional.of(back.spec().laneId(name)),
            back.spec().origin(),
            fork,
            scribe.timeOf(fork));
    VolumeSummary demoted = get(a.node.replicas().demote(name, demotion));
    assertEquals(fork, demoted.head().seq().value());
    assertThrows(
        Refusal.class, () -> get(session.append(scribe.next(1).meta(), List.of())), "fenced");
    get(b.links.resume(backName));
    await("a has all", () -> join(b.links.get(backName)).lanes().get(0).ackedSeq() == kept.head());
    for (long seq = 1; seq <= kept.head(); seq += 5) {
      assertArrayEquals(kept.at(seq), a.image(name, seq), "as of " + seq);
    }
    assertArrayEquals(kept.disk, a.image(name, kept.head()));
    VolumeSummary replica = get(a.node.site().volume(name));
    assertEquals("Replica", replica.role());
    assertEquals(2, replica.epoch());
    assertEquals("epoch-2", replica.branch());
    HistoryView left = get(a.node.replicas().branch(name, "main-after-" + fork));
    for (long seq = 1; seq <= left.headSeq(); seq += 3) {
      assertArrayEquals(scribe.at(seq), a.image(left, seq), "branch as of " + seq);
    }
    get(b.links.delete(backName));
  }

  /** A group's tags are at the other site once the positions that they name are. */
  @Test
  void shouldTakeTagsAlong() throws Exception {
    createVolume();
    write(5);
    String group = "group-" + name;
    get(a.node.groups().create(group, List.of(name)));
    String linkName =
        get(a.links.create(
                new NewLink(group, List.of(), Optional.of(group), "b", LinkRules.DEFAULT)))
            .spec()
            .name();
    long seq = scribe.head();
    get(a.node.groups().adopt(tag(group, "noon", seq)));
    write(4);
    await("the tag", () -> tagged("noon"));
    TagMark mark = get(b.node.groups().resolve(name, "noon"));
    assertEquals(seq, mark.seq());
    assertEquals(b.history(name).volume(), mark.id());
    assertEqualAt(mark.seq());
    get(a.node.groups().adopt(tag(group, "one", scribe.head())));
    await("the next tag", () -> tagged("one"));
    get(a.links.delete(linkName));
  }

  private boolean tagged(String tag) {
    try {
      return join(b.node.groups().resolve(name, tag)).seq() > 0;
    } catch (CompletionException e) {
      return false;
    }
  }

  private TagSummary tag(String group, String tag, long seq) throws Exception {
    long now = MicroClock.system().micros();
    TagSpec spec =
        new TagSpec(
            UUID.randomUUID(), group, tag, List.of(name), false, List.of(), "", "note", now, 0);
    TagMark mark = new TagMark(name, a.history(name).volume(), 1, 0, seq, now, 100);
    return new TagSummary(
        spec, "Committed", now, List.of(mark), List.of(), Optional.empty(), "", false);
  }

  /** The source's node is replaced: the link goes on where the target is. */
  @Test
  void shouldGoOnAfterTheSourcesNodeIsLost() throws Exception {
    createVolume();
    write(6);
    String linkName = createLink(LinkRules.DEFAULT).spec().name();
    awaitCaughtUp(linkName);
    a.restart(Optional.of(b));
    attach();
    write(6);
    awaitCaughtUp(linkName);
    assertEqual();
    get(a.links.delete(linkName));
  }
}
