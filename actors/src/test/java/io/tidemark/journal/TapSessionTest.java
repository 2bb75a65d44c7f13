package io.tidemark.journal;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.data;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.segment;
import static io.tidemark.testsite.TestSite.tap;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.MappedExtent;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.site.SiteSystem;
import io.tidemark.site.VolumeSummary;
import io.tidemark.testsite.TestSite;
import io.tidemark.volume.VolumeEntity;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingDeque;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A session over a slow, reordering or failing segment store and journal. */
class TapSessionTest {
  private static final VolumeName DISK = new VolumeName("disk");

  private TestSite test;
  private SiteSystem node;

  @BeforeEach
  void start() throws Exception {
    test =
        new TestSite(
            "tidemark.journal.store-bytes-in-flight = 10000\n"
                + "tidemark.journal.pending-bytes-max = 200000\n"
                + "tidemark.journal.give-up-after = 3 s\n");
    node = test.startNode();
    get(node.site().createVolume(DISK, VOLUME_BYTES, false));
  }

  @AfterEach
  void stop() {
    test.close();
  }

  private JournalSession attach() throws Exception {
    return get(node.journal().attach(tap(DISK, UUID.randomUUID())));
  }

  /** As a tap does after its session ended: until the volume is free. */
  private JournalSession reattach() throws Exception {
    return TestSite.eventually(() -> node.journal().attach(tap(DISK, UUID.randomUUID())));
  }

  private VolumeSummary summary() {
    return TestSite.join(node.site().volume(DISK));
  }

  /** Stores complete in any order; acknowledgements come in the order of the appends. */
  @Test
  void shouldAcknowledgeInOrderWhateverTheStoreDoes() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("TapSessionTest -Dseed=" + seed);
    Random random = new Random(seed);
    LinkedBlockingDeque<Runnable> stores = new LinkedBlockingDeque<>();
    test.store.completion = stores::add;
    JournalSession session = attach();
    long micros = session.grant().headTime().micros();
    List<Integer> order = Collections.synchronizedList(new ArrayList<>());
    List<CompletableFuture<WriteSeq>> acks = new ArrayList<>();
    long seq = 1;
    for (int i = 0; i < 60; i++) {
      int index = i;
      SegmentMeta meta = segment(seq, 1 + random.nextInt(8), micros + seq);
      seq = meta.lastSeq().value() + 1;
      acks.add(
          session
              .append(meta, data(meta))
              .whenComplete((head, failure) -> order.add(index))
              .toCompletableFuture());
    }
    while (!acks.get(59).isDone()) {
      List<Runnable> ready = new ArrayList<>();
      stores.drainTo(ready);
      Collections.shuffle(ready, random);
      ready.forEach(Runnable::run);
      Thread.onSpinWait();
    }
    assertEquals(seq - 1, get(acks.get(59)).value());
    List<Integer> sorted = new ArrayList<>(order);
    Collections.sort(sorted);
    assertEquals(sorted, order);
    assertTrue(test.store.inFlightPeak.get() > 1, "several in flight");
    assertTrue(test.store.inFlightPeak.get() <= 20, "bounded: " + test.store.inFlightPeak);
    long requests =
        test.world.manifests(VolumeEntity.persistenceIdOf(DISK)).stream()
            .filter("segment-journaled"::equals)
            .count();
    assertEquals(60, requests);
  }

  /** Nothing is journaled past a segment whose store failed, and the session is over (T4). */
  @Test
  void shouldEndWhenTheStoreFails() throws Exception {
    JournalSession session = attach();
    long micros = session.grant().headTime().micros();
    SegmentMeta first = segment(1, 5, micros);
    get(session.append(first, data(first)));
    test.store.failStores.set(1);
    SegmentMeta second = segment(6, 5, micros + 10);
    SegmentMeta third = segment(11, 5, micros + 20);
    CompletionStage<WriteSeq> failed = session.append(second, data(second));
    CompletionStage<WriteSeq> after = session.append(third, data(third));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, assertThrows(Refusal.class, () -> get(failed)).code());
    assertThrows(Refusal.class, () -> get(after));
    assertThrows(Refusal.class, () -> get(session.completeSync(0)));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, get(session.ended()).code());
    await("the volume knows", () -> !summary().tapConnected());
    assertEquals(5, summary().head().seq().value());

    JournalSession renewed = reattach();
    assertEquals(5, renewed.grant().head().value());
    assertEquals(10, get(renewed.append(second, data(second))).value());
    await("the third is an orphan", () -> !test.store.has(renewed.grant().volume(), 1L << 32 | 2));
  }

  /** Repeats are acknowledged again and stored once; gaps and going too fast end the session. */
  @Test
  void shouldRecogniseRepeatsAndRefuseGaps() throws Exception {
    JournalSession session = attach();
    long micros = session.grant().headTime().micros();
    SegmentMeta meta = segment(1, 5, micros);
    assertEquals(5, get(session.append(meta, data(meta))).value());
    assertEquals(5, get(session.append(meta, data(meta))).value());
    assertEquals(1, test.store.count());
    SegmentMeta skipping = segment(7, 5, micros + 10);
    assertEquals(
        ErrorCode.INVALID,
        assertThrows(Refusal.class, () -> get(session.append(skipping, data(skipping)))).code());

    // A session that broke the order is over; its volume is free a moment later.
    assertEquals(ErrorCode.INVALID, get(session.ended()).code());
    JournalSession flooded = reattach();
    test.store.completion = task -> {};
    List<CompletionStage<WriteSeq>> all = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      SegmentMeta next = segment(6 + 10L * i, 10, micros + 100 + 10L * i);
      all.add(flooded.append(next, data(next)));
    }
    assertEquals(ErrorCode.LIMIT, get(flooded.ended()).code());
    for (CompletionStage<WriteSeq> stage : all) {
      assertThrows(Refusal.class, () -> get(stage));
    }
  }

  /** A journal that is down for longer than the limit ends the session, unacknowledged. */
  @Test
  void shouldGiveUpWhenTheVolumeDoesNotAnswer() throws Exception {
    JournalSession session = attach();
    test.world.failWrites.set(Integer.MAX_VALUE);
    SegmentMeta meta = segment(1, 5, session.grant().headTime().micros());
    Refusal refusal = assertThrows(Refusal.class, () -> get(session.append(meta, data(meta))));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refusal.code());
    test.world.failWrites.set(0);
    JournalSession renewed = reattach();
    // Not acknowledged is not refused: the request that was sent last may have come through.
    long head = renewed.grant().head().value();
    assertTrue(head == 0 || head == 5, "head " + head);
  }

  /** A short failure of the journal is bridged by sending the request again. */
  @Test
  void shouldSendAgainWhenTheJournalFailsOnce() throws Exception {
    JournalSession session = attach();
    test.world.failWrites.set(1);
    SegmentMeta meta = segment(1, 5, session.grant().headTime().micros());
    assertEquals(5, get(session.append(meta, data(meta))).value());
    assertTrue(summary().tapConnected());
  }

  private static TapOrder order(long id, long micros) {
    return new TapOrder(
        id, OrderKind.HOLD, MicroClock.system().micros() + micros, new byte[] {(byte) id});
  }

  private CompletionStage<byte[]> give(TapOrder order) {
    return node.site().order(DISK, order);
  }

  private ErrorCode refused(TapOrder order) {
    return assertThrows(Refusal.class, () -> get(give(order))).code();
  }

  /** Orders reach the link of the attached tap, before it is ready and while nothing is stored. */
  @Test
  void shouldPassOrdersToTheLink() throws Exception {
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refused(order(1, 5_000_000)));
    JournalSession session = attach();
    CompletionStage<byte[]> early = give(order(2, 20_000_000));
    List<TapOrder> taken = Collections.synchronizedList(new ArrayList<>());
    CompletableFuture<byte[]> pending = new CompletableFuture<>();
    session.takeOrders(
        order -> {
          taken.add(order);
          return switch ((int) order.id()) {
            case 3 -> CompletableFuture.failedFuture(new Refusal(ErrorCode.BUSY, "held"));
            case 4, 5 -> pending;
            default -> CompletableFuture.completedFuture(order.body());
          };
        });
    assertArrayEquals(new byte[] {2}, get(early));
    test.store.completion = task -> {};
    SegmentMeta stuck = segment(1, 5, session.grant().headTime().micros());
    session.append(stuck, data(stuck));
    assertEquals(ErrorCode.BUSY, refused(order(3, 20_000_000)));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refused(order(4, 300_000)), "never answered");
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refused(order(9, -1)), "too late");
    assertEquals(List.of(2L, 3L, 4L), taken.stream().map(TapOrder::id).toList());
    CompletionStage<byte[]> open = give(order(5, 20_000_000));
    await("passed on", () -> taken.size() == 4);
    session.detach();
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, assertThrows(Refusal.class, () -> get(open)).code());
  }

  /** A tap whose disk is smaller than the volume is not let in; nor one of an unknown volume. */
  @Test
  void shouldRefuseToAttach() {
    TapIdentity small = new TapIdentity(DISK, UUID.randomUUID(), "x", VOLUME_BYTES - 512);
    assertEquals(
        ErrorCode.INVALID,
        assertThrows(Refusal.class, () -> get(node.journal().attach(small))).code());
    TapIdentity unknown = tap(new VolumeName("nowhere"), UUID.randomUUID());
    assertEquals(
        ErrorCode.NOT_FOUND,
        assertThrows(Refusal.class, () -> get(node.journal().attach(unknown))).code());
  }

  /** A resync through the session: gap, hashes of the head, content, completion. */
  @Test
  void shouldResynchronise() throws Exception {
    JournalSession session = attach();
    long micros = session.grant().headTime().micros();
    SegmentMeta first = segment(1, 5, micros);
    session.append(first, data(first));
    get(session.gap(new WriteSeq(6), new WriteSeq(8), new MicroTime(micros + 50), "collapsed"));
    byte[] content = new byte[(int) VOLUME_BYTES];
    new Random(1).nextBytes(content);
    test.reader = new Content(content, List.of(new ByteRange(0, 4096), new ByteRange(9000, 10)));
    ByteBuffer hashes = get(session.hashes(new ByteRange(0, 16 * 1024), 4096));
    assertEquals(4 * 32, hashes.remaining());
    assertArrayEquals(sha(content, 0, 4096), bytes(hashes, 0));
    assertArrayEquals(new byte[32], bytes(hashes, 1));
    assertArrayEquals(sha(content, 8192, 4096), bytes(hashes, 2));
    assertArrayEquals(new byte[32], bytes(hashes, 3));
    assertEquals(
        ErrorCode.INVALID,
        assertThrows(Refusal.class, () -> get(session.hashes(new ByteRange(0, 1000), 4096)))
            .code());
    SegmentMeta sync = segment(SegmentKind.SYNC, 9, 4, micros + 60);
    session.append(sync, data(sync));
    assertEquals(12, get(session.completeSync(2048)).value());
    assertEquals(6, summary().dark().get(0).fromSeq());
    assertEquals(11, summary().dark().get(0).toSeq());
    get(session.detach());
    await("detached", () -> !summary().tapConnected());
    assertFalse(reattach().grant().syncOpen());
  }

  private static byte[] bytes(ByteBuffer hashes, int block) {
    byte[] one = new byte[32];
    hashes.get(block * 32, one);
    return one;
  }

  private static byte[] sha(byte[] content, int from, int length) throws Exception {
    return MessageDigest.getInstance("SHA-256")
        .digest(Arrays.copyOfRange(content, from, from + length));
  }

  /** A point of known content. */
  private record Content(byte[] bytes, List<ByteRange> written) implements PointReader {
    @Override
    public RecoveryPoint point() {
      return new RecoveryPoint(WriteSeq.BASE, MicroTime.ZERO, RecoveryPoint.MAIN_BRANCH);
    }

    @Override
    public long sizeBytes() {
      return bytes.length;
    }

    @Override
    public CompletionStage<ByteBuffer> read(long offset, int length) {
      return CompletableFuture.completedStage(
          ByteBuffer.wrap(bytes, (int) offset, length).slice().asReadOnlyBuffer());
    }

    @Override
    public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
      return CompletableFuture.completedStage(
          written.stream()
              .filter(range::overlaps)
              .map(r -> new MappedExtent(r.offset(), r.length(), 1, 1, 0))
              .toList());
    }

    @Override
    public CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax) {
      throw new UnsupportedOperationException("a session compares no points");
    }
  }
}
