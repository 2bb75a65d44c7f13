package io.tidemark.tag;

import static io.tidemark.testsite.TestSite.data;
import static io.tidemark.testsite.TestSite.get;
import static io.tidemark.testsite.TestSite.segment;

import io.tidemark.journal.JournalSession;
import io.tidemark.order.ApplicationResult;
import io.tidemark.order.Holds;
import io.tidemark.order.OrderKind;
import io.tidemark.order.Quiescing;
import io.tidemark.order.TapOrder;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.site.SiteSystem;
import io.tidemark.testsite.TestSite;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;

/** A tap of one volume that answers orders as the test says, attached through the real journal. */
public final class FakeTap {
  /** Instead of the usual answer. */
  interface Answer {
    CompletionStage<byte[]> to(TapOrder order);
  }

  final VolumeName volume;
  final UUID id = UUID.randomUUID();
  final List<OrderKind> orders = Collections.synchronizedList(new ArrayList<>());
  final Map<OrderKind, Answer> answers =
      Collections.synchronizedMap(new EnumMap<>(OrderKind.class));
  final Map<String, Boolean> applications = new ConcurrentHashMap<>();
  volatile JournalSession session;

  /** Newest seq given to a write, journaled or not. */
  volatile long seq;

  /** Newest seq sent to the journal. */
  private long sent;

  /** Owner of the hold that there is, 0 for none. */
  volatile long holding;

  public FakeTap(VolumeName volume) {
    this.volume = volume;
  }

  public FakeTap attach(SiteSystem node) throws Exception {
    session = TestSite.eventually(() -> node.journal().attach(TestSite.tap(volume, id)));
    sent = session.grant().head().value();
    seq = Math.max(seq, sent);
    session.takeOrders(this::take);
    return this;
  }

  /** As a tap does whose volume's entity has moved. */
  void attachIfEnded(SiteSystem node) throws Exception {
    if (session.ended().toCompletableFuture().isDone()) {
      attach(node);
    }
  }

  private CompletionStage<byte[]> take(TapOrder order) {
    orders.add(order.kind());
    Answer other = answers.get(order.kind());
    return other == null ? usual(order) : other.to(order);
  }

  CompletionStage<byte[]> usual(TapOrder order) {
    return CompletableFuture.completedFuture(
        switch (order.kind()) {
          case HOLD -> {
            Holds.Hold hold = Holds.Hold.decode(order.body());
            holding = hold.owner();
            MicroTime now = new MicroTime(MicroClock.system().micros());
            List<Optional<Holds.Held>> others =
                Collections.nCopies(hold.companions().size(), Optional.empty());
            yield new Holds.Held(new WriteSeq(seq), now).encode(others);
          }
          case RELEASE -> {
            boolean unbroken = holding == Holds.Release.decode(order.body()).owner();
            holding = 0;
            yield new Holds.Released(unbroken, 1_234, 5).encode();
          }
          case QUIESCE -> {
            List<String> wanted = Quiescing.Request.decode(order.body()).applications();
            yield Quiescing.encode(
                applications.entrySet().stream()
                    .filter(app -> wanted.isEmpty() || wanted.contains(app.getKey()))
                    .map(app -> new ApplicationResult(app.getKey(), app.getValue(), 0, 7, "said"))
                    .toList());
          }
          case THAW ->
              Quiescing.encode(
                  applications.keySet().stream()
                      .map(app -> new ApplicationResult(app, true, 0, 3, "thawed"))
                      .toList());
          case ROLLBACK, LEASE -> new byte[0];
        });
  }

  /** Gives seqs to writes that are not journaled yet. */
  public void write(int count) {
    seq += count;
  }

  /** Journals everything written. */
  public void journal() throws Exception {
    if (seq > sent) {
      SegmentMeta meta = segment(sent + 1, (int) (seq - sent), MicroClock.system().micros());
      sent = seq;
      get(session.append(meta, data(meta)));
    }
  }

  /** What was written and not journaled is lost; the dark interval is closed at once. */
  void lose() throws Exception {
    WriteSeq gap = new WriteSeq(sent + 1);
    get(session.gap(gap, gap, new MicroTime(MicroClock.system().micros()), "killed"));
    get(session.completeSync(0));
    sent++;
    seq = sent;
  }
}
