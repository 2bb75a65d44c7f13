package io.tidemark.replication;

import static io.tidemark.testsite.TestSite.get;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.Done;
import akka.japi.Pair;
import akka.stream.javadsl.Keep;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.config.Endpoint;
import io.tidemark.index.TestSeed;
import io.tidemark.journal.SessionGrant;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taplink.FaultyProxy;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.SiteLines;
import io.tidemark.wan.KnownContent;
import io.tidemark.wan.PackCounts;
import io.tidemark.wan.PieceKind;
import io.tidemark.wan.SegmentPacker;
import io.tidemark.wan.SimilarContent;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Packed segments over a real line into a real journal, whose content is compared byte for byte
 * with what was written.
 */
class SiteLinesTest {
  static final LinkSettings LINK =
      new LinkSettings(
          512 << 10,
          128 << 10,
          64,
          Duration.ofMillis(200),
          Duration.ofMillis(1500),
          Duration.ofSeconds(3),
          Duration.ofMillis(100),
          Optional.empty());

  private static final int VOLUME_BYTES = 2 << 20;

  private final long seed = TestSeed.next("SiteLinesTest");
  private final Random random = new Random(seed);
  private final Scribe scribe = new Scribe(VOLUME_BYTES, random);
  private final List<Scribe.Segment> segments = new ArrayList<>();
  private final UUID link = UUID.randomUUID();
  private final AtomicLong acknowledged = new AtomicLong();
  private final List<Long> acknowledgements = new ArrayList<>();
  private final PackCounts counts = new PackCounts();
  private KnownContent known = new KnownContent(4096);
  private final SimilarContent similar = new SimilarContent(4096);
  private final VolumeName name = new VolumeName("disk-" + UUID.randomUUID());
  private static WanSite target;
  private static SiteLines lines;

  @BeforeAll
  static void start() throws Exception {
    target = new WanSite("b", LINK, "");
    lines = new SiteLines(target.node.system(), LINK);
  }

  @BeforeEach
  void create() throws Exception {
    get(target.node.site().createVolume(name, VOLUME_BYTES, false));
  }

  @AfterAll
  static void stop() {
    target.close();
  }

  /** Sends what the target lacks; the stage is the line's end. */
  private CompletionStage<Done> send(Endpoint address) {
    CompletableFuture<SessionGrant> granted = new CompletableFuture<>();
    Pair<CompletionStage<SessionGrant>, CompletionStage<Done>> line =
        Source.completionStageSource(granted.thenApply(this::missing))
            .viaMat(
                lines.open(address, new LineIdentity(link, name, VOLUME_BYTES, "site a")),
                Keep.right())
            .toMat(Sink.foreach(this::news), Keep.both())
            .run(target.node.system());
    line.first()
        .whenComplete(
            (grant, failure) -> {
              if (failure == null) {
                granted.complete(grant);
              } else {
                granted.completeExceptionally(failure);
              }
            });
    return line.second();
  }

  private Source<Parcel, akka.NotUsed> missing(SessionGrant grant) {
    long head = grant.head().value();
    acknowledged.set(head);
    known = new KnownContent(4096);
    return Source.from(segments)
        .filter(segment -> segment.meta().lastSeq().value() > head)
        .map(this::pack);
  }

  private Parcel pack(Scribe.Segment segment) {
    long base = Math.min(acknowledged.get(), segment.meta().firstSeq().value() - 1);
    byte[] image = scribe.at(base);
    byte[] previous = Scribe.previous(segment.meta(), image);
    long[] blocks = similar.lookUp(segment.meta(), segment.data(), previous);
    byte[] content = new byte[segment.data().length];
    for (SegmentPacker.Read read : SegmentPacker.reads(segment.meta(), blocks)) {
      System.arraycopy(image, (int) read.offset(), content, read.position(), read.length());
    }
    try (SegmentPacker packer = new SegmentPacker(3)) {
      SegmentPacker.Packed packed =
          packer.pack(
              segment.meta(),
              segment.data(),
              previous,
              base,
              known,
              base == 0 ? null : new SegmentPacker.Similar(blocks, content));
      counts.add(packed.counts());
      return new Parcel.Packed(segment.meta(), packed.bytes());
    }
  }

  private void news(LinkNews news) {
    if (news instanceof LinkNews.Acknowledged ack) {
      acknowledged.accumulateAndGet(ack.seq().value(), Math::max);
      synchronized (acknowledgements) {
        acknowledgements.add(ack.seq().value());
      }
    }
  }

  private void assertTargetEqualsAt(long seq) throws Exception {
    assertArrayEquals(scribe.at(seq), target.image(name, seq), "as of " + seq);
    assertEquals(scribe.timeOf(seq), target.timeOf(name, seq), "time of " + seq);
  }

  private void assertTargetEquals() throws Exception {
    assertEquals(scribe.head(), target.history(name).headSeq());
    for (int i = 0; i < 12; i++) {
      assertTargetEqualsAt(1 + random.nextInt((int) scribe.head()));
    }
    assertTargetEqualsAt(scribe.head());
  }

  /** Over a sound line every seq arrives once, at its time, packed in every way there is. */
  @Test
  void shouldJournalEveryWriteAtTheTarget() throws Exception {
    for (int i = 0; i < 120; i++) {
      segments.add(scribe.next(12));
    }
    get(send(target.address()));
    assertTargetEquals();
    for (PieceKind kind : PieceKind.values()) {
      assertTrue(counts.pieces(kind) > 0, kind + " in " + counts);
    }
    assertTrue(counts.sentBytes() < counts.rawBytes() / 2, counts.toString());
    assertEquals(1, target.history(name).epoch());
  }

  /** A line that is cut again and again is resumed after the target's head; nothing is lost. */
  @Test
  void shouldResumeAfterEveryCut() throws Exception {
    for (int i = 0; i < 100; i++) {
      segments.add(scribe.next(12));
    }
    try (FaultyProxy proxy = proxy()) {
      proxy.fault(FaultyProxy.Fault.CUT, 60_000);
      int breaks = sendUntilDone(proxy);
      assertTrue(breaks > 0, "no cut took effect");
    }
    assertTargetEquals();
    assertAcknowledgedInOrder();
  }

  /** A damaged byte anywhere ends the line, and is never journaled. */
  @Test
  void shouldRefuseDamagedFrames() throws Exception {
    for (int i = 0; i < 60; i++) {
      segments.add(scribe.next(12));
    }
    try (FaultyProxy proxy = proxy()) {
      proxy.fault(FaultyProxy.Fault.CORRUPT, 100_000);
      int breaks = sendUntilDone(proxy);
      assertTrue(breaks > 0, "no damage took effect");
    }
    assertTargetEquals();
  }

  /** The target's node is replaced by another one in the middle. */
  @Test
  void shouldResumeWithTheTargetsNextNode() throws Exception {
    for (int i = 0; i < 80; i++) {
      segments.add(scribe.next(12));
    }
    get(send(target.address()));
    for (int i = 0; i < 80; i++) {
      segments.add(scribe.next(12));
    }
    target.restart();
    lines = new SiteLines(target.node.system(), LINK);
    sendUntilDone(target.address());
    assertTargetEquals();
  }

  /** Gaps and their synchronisation arrive as they are: dark at the source, dark at the target. */
  @Test
  void shouldCarryGaps() throws Exception {
    segments.add(scribe.next(5));
    get(send(target.address()));
    long head = scribe.head();
    CompletableFuture<SessionGrant> granted = new CompletableFuture<>();
    Pair<CompletionStage<SessionGrant>, CompletionStage<Done>> line =
        Source.<Parcel>from(
                List.of(
                    new Parcel.Gap(
                        new WriteSeq(head + 1),
                        new WriteSeq(head + 9),
                        new MicroTime(scribe.timeOf(head) + 5),
                        "capture was lost"),
                    new Parcel.SyncDone(1)))
            .viaMat(
                lines.open(target.address(), new LineIdentity(link, name, VOLUME_BYTES, "a")),
                Keep.right())
            .toMat(Sink.foreach(this::news), Keep.both())
            .run(target.node.system());
    get(line.first().thenApply(granted::complete));
    get(line.second());
    assertEquals(head + 9, target.history(name).headSeq());
    assertEquals(head + 1, target.history(name).dark().get(0).fromSeq());
    Refusal dark = assertThrows(Refusal.class, () -> target.image(name, head + 3));
    assertEquals(ErrorCode.DARK_INTERVAL, dark.code());
    assertArrayEquals(scribe.at(head), target.image(name, head + 9));
  }

  /** Nobody listens: the line says so at once, with a code. */
  @Test
  void shouldSayThatTheSiteIsOutOfReach() throws Exception {
    try (FaultyProxy proxy = proxy()) {
      proxy.block(true);
      Throwable failure = assertThrows(Exception.class, () -> get(send(endpoint(proxy.address()))));
      assertTrue(failure instanceof Refusal, failure.toString());
      assertEquals(ErrorCode.NOT_ACKNOWLEDGED, ((Refusal) failure).code());
    }
  }

  private FaultyProxy proxy() throws Exception {
    return new FaultyProxy(
        new InetSocketAddress("127.0.0.1", target.server.address().getPort()), seed);
  }

  private static Endpoint endpoint(InetSocketAddress address) {
    return new Endpoint("127.0.0.1", address.getPort());
  }

  private int sendUntilDone(FaultyProxy proxy) throws Exception {
    return sendUntilDone(endpoint(proxy.address()));
  }

  /** Returns how often the line broke; what is acknowledged is compared each time. */
  private int sendUntilDone(Endpoint address) throws Exception {
    for (int breaks = 0; ; breaks++) {
      try {
        get(send(address));
        return breaks;
      } catch (Exception e) {
        assertTrue(breaks < 200, "it never gets through: " + e);
        long acked = acknowledged.get();
        assertTrue(target.history(name).headSeq() >= acked, "acknowledged and not there");
        if (acked > 0 && breaks % 4 == 0) {
          assertTargetEqualsAt(acked);
        }
      }
    }
  }

  private void assertAcknowledgedInOrder() {
    synchronized (acknowledgements) {
      for (int i = 1; i < acknowledgements.size(); i++) {
        assertTrue(acknowledgements.get(i) >= acknowledgements.get(i - 1), "order of acks");
      }
    }
  }
}
