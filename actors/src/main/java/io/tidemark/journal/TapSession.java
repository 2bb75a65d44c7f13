package io.tidemark.journal;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.PostStop;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.Scheduler;
import akka.actor.typed.javadsl.AbstractBehavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.AskPattern;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.Receive;
import akka.actor.typed.javadsl.TimerScheduler;
import io.tidemark.order.OrderTaker;
import io.tidemark.order.TapOrder;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.volume.SessionKey;
import io.tidemark.volume.SessionMessage;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * One tap's session, on the node of its link. Calls queue in the order in which they were made;
 * segments at any place of the queue are stored ahead, several at once, but only the head of the
 * queue is journaled: a run of stored segments as one request, one request at a time (T1).
 *
 * <pre>
 *   queue:  [S stored][S stored][S storing][G gap][S waiting] ...
 *            \__ one AppendSegments __/
 * </pre>
 */
final class TapSession extends AbstractBehavior<SessionMessage> {
  /** Segments in one request to the volume. */
  static final int BATCH_SEGMENTS_MAX = 64;

  /** Encoded metadata in one request to the volume, unless one segment's is larger. */
  static final int BATCH_META_BYTES_MAX = 512 << 10;

  /** Calls that wait at once; a tap link's credits keep far below. */
  static final int PENDING_CALLS_MAX = 65_536;

  record Append(SegmentMeta meta, List<ByteBuffer> data, CompletableFuture<WriteSeq> result)
      implements SessionMessage {}

  record Gap(
      WriteSeq first,
      WriteSeq last,
      MicroTime time,
      String reason,
      CompletableFuture<WriteSeq> result)
      implements SessionMessage {}

  record Sync(long differentBytes, CompletableFuture<WriteSeq> result) implements SessionMessage {}

  record Hashes(ByteRange range, int blockBytes, CompletableFuture<ByteBuffer> result)
      implements SessionMessage {}

  record Content(ByteRange range, CompletableFuture<ContentRun> result) implements SessionMessage {}

  record Status(TapStatus status) implements SessionMessage {}

  record Detach() implements SessionMessage {}

  /** The link can pass orders on. */
  record Ready(OrderTaker taker) implements SessionMessage {}

  private record Unread(CompletableFuture<PointReader> reader) implements SessionMessage {}

  private record OrderSettled(OpenOrder order, byte[] body, Throwable failure)
      implements SessionMessage {}

  private record Stored(Segment segment, long storedBytes) implements SessionMessage {}

  private record StoreFailed(Segment segment, Throwable failure) implements SessionMessage {}

  private record Beat() implements SessionMessage {}

  private record Resend(long call) implements SessionMessage {}

  private record GiveUp(long call) implements SessionMessage {}

  /** An order without an answer, told apart from its repeats. */
  private static final class OpenOrder {
    final long id;
    final ActorRef<VolumeEntity.Reply> replyTo;

    OpenOrder(long id, ActorRef<VolumeEntity.Reply> replyTo) {
      this.id = id;
      this.replyTo = replyTo;
    }
  }

  /** What waits in the queue. */
  private sealed interface Pending {}

  private static final class Segment implements Pending {
    final SegmentMeta meta;
    final long number;
    final CompletableFuture<WriteSeq> result;
    List<ByteBuffer> data;
    SegmentJournaled stored;

    Segment(SegmentMeta meta, long number, Append call) {
      this.meta = meta;
      this.number = number;
      this.data = call.data();
      this.result = call.result();
    }
  }

  /** A call that the volume has an answer for already, kept in its place (T2). */
  private record Repeat(CompletableFuture<WriteSeq> result) implements Pending {}

  private record Break(Gap gap) implements Pending {}

  private record Completion(Sync sync) implements Pending {}

  private record View(CompletableFuture<PointReader> reader) implements Pending {}

  private final TapIdentity tap;
  private final JournalParts parts;
  private final TimerScheduler<SessionMessage> timers;
  private final RecipientRef<VolumeEntity.Command> volume;
  private final CompletableFuture<JournalSession> attached;
  private final CompletableFuture<Refusal> ended = new CompletableFuture<>();
  private final Deque<Pending> queue = new ArrayDeque<>();
  private final Deque<Segment> waiting = new ArrayDeque<>();
  private final CompletableFuture<OrderTaker> taker = new CompletableFuture<>();
  private final Set<OpenOrder> orders = new HashSet<>();

  private SessionKey key;
  private Optional<TapStatus> status = Optional.empty();
  private int ordinal;
  private long queuedSeq;
  private long journaledSeq;
  private long pendingBytes;
  private long storingBytes;
  private long call;
  private VolumeEntity.Command request;
  private int requested;
  private CompletableFuture<PointReader> reader;
  private Refusal reason =
      new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the node stops; the tap must attach again");

  /**
   * @param attached completed with the session once the volume lets it in
   */
  static Behavior<SessionMessage> create(
      TapIdentity tap, JournalParts parts, CompletableFuture<JournalSession> attached) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(timers -> new TapSession(context, timers, tap, parts, attached)));
  }

  private TapSession(
      ActorContext<SessionMessage> context,
      TimerScheduler<SessionMessage> timers,
      TapIdentity tap,
      JournalParts parts,
      CompletableFuture<JournalSession> attached) {
    super(context);
    this.timers = timers;
    this.tap = tap;
    this.parts = parts;
    this.attached = attached;
    this.volume = parts.volumes().apply(tap.volume());
    Duration within = parts.settings().attachWithin();
    long until = MicroClock.system().micros() + TimeUnit.NANOSECONDS.toMicros(within.toNanos());
    volume.tell(
        new VolumeEntity.AttachTap(
            tap.tapId(), tap.address(), tap.sizeBytes(), until, tap.trusting(), replies()));
    timers.startSingleTimer(new GiveUp(0), within);
  }

  private ActorRef<VolumeEntity.Reply> replies() {
    return getContext().getSelf().narrow();
  }

  @Override
  public Receive<SessionMessage> createReceive() {
    return newReceiveBuilder()
        .onMessage(VolumeEntity.Attached.class, this::onAttached)
        .onMessage(Append.class, this::onAppend)
        .onMessage(Gap.class, this::onGap)
        .onMessage(Sync.class, this::onSync)
        .onMessage(Hashes.class, this::onHashes)
        .onMessage(Content.class, this::onContent)
        .onMessage(Unread.class, this::onUnread)
        .onMessage(Status.class, this::onStatus)
        .onMessage(Detach.class, this::onDetach)
        .onMessage(Ready.class, this::onReady)
        .onMessage(VolumeEntity.PassOrder.class, this::onPassOrder)
        .onMessage(OrderSettled.class, this::onOrderSettled)
        .onMessage(Stored.class, this::onStored)
        .onMessage(StoreFailed.class, this::onStoreFailed)
        .onMessage(VolumeEntity.Journaled.class, this::onJournaled)
        .onMessage(VolumeEntity.History.class, this::onHistory)
        .onMessage(VolumeEntity.Done.class, this::onDone)
        .onMessage(VolumeEntity.Refused.class, this::onRefused)
        .onMessage(VolumeEntity.SessionEnded.class, this::onEnded)
        .onMessage(Beat.class, this::onBeat)
        .onMessage(Resend.class, this::onResend)
        .onMessage(GiveUp.class, this::onGiveUp)
        .onSignal(PostStop.class, this::onPostStop)
        .build();
  }

  private Behavior<SessionMessage> onAttached(VolumeEntity.Attached m) {
    if (key != null) {
      return this;
    }
    SessionGrant grant = m.grant();
    key = new SessionKey(grant.volume(), grant.session(), grant.epoch().value());
    queuedSeq = grant.head().value();
    journaledSeq = queuedSeq;
    timers.cancel(new GiveUp(0));
    timers.startTimerWithFixedDelay(new Beat(), parts.settings().heartbeat());
    attached.complete(new TapSessionHandle(grant, getContext().getSelf(), ended));
    return this;
  }

  // ---- calls ----------------------------------------------------------------------------------

  private Behavior<SessionMessage> onAppend(Append m) {
    long first = m.meta().firstSeq().value();
    long last = m.meta().lastSeq().value();
    if (last <= queuedSeq) {
      queue.add(new Repeat(m.result()));
      return advance();
    }
    pendingBytes += m.meta().dataBytes();
    if (pendingBytes > parts.settings().pendingBytesMax() || queue.size() >= PENDING_CALLS_MAX) {
      return fail(
          new Refusal(
              ErrorCode.LIMIT,
              "%d calls with %d bytes wait to be journaled; the tap must heed its credits"
                  .formatted(queue.size() + 1, pendingBytes)));
    }
    if (first != queuedSeq + 1) {
      return fail(outOfOrder(first, last));
    }
    queuedSeq = last;
    Segment segment = new Segment(m.meta(), SegmentRef.number(key.session(), ordinal++), m);
    queue.add(segment);
    waiting.add(segment);
    store();
    return advance();
  }

  private Refusal outOfOrder(long first, long last) {
    return new Refusal(
        ErrorCode.INVALID,
        "writes %d..%d do not follow write %d, the last one sent"
            .formatted(first, last, queuedSeq));
  }

  private Behavior<SessionMessage> onGap(Gap m) {
    reader = null;
    if (m.last().value() <= queuedSeq) {
      queue.add(new Repeat(m.result()));
      return advance();
    }
    if (m.first().value() != queuedSeq + 1) {
      return fail(outOfOrder(m.first().value(), m.last().value()));
    }
    queuedSeq = m.last().value();
    queue.add(new Break(m));
    return advance();
  }

  private Behavior<SessionMessage> onSync(Sync m) {
    queue.add(new Completion(m));
    return advance();
  }

  /** The first call after a gap opens the head as it is once everything before it is journaled. */
  private Behavior<SessionMessage> onHashes(Hashes m) {
    head()
        .thenCompose(open -> BlockHashes.of(open, m.range(), m.blockBytes(), parts.workers()))
        .whenComplete((hashes, failure) -> answer(m.result(), hashes, failure));
    return advance();
  }

  private Behavior<SessionMessage> onContent(Content m) {
    CompletableFuture<PointReader> open = head();
    ActorRef<SessionMessage> self = getContext().getSelf();
    open.thenCompose(point -> ContentRun.of(point, m.range(), parts.workers()))
        .whenComplete(
            (run, failure) -> {
              if (failure != null) {
                self.tell(new Unread(open));
              }
              answer(m.result(), run, failure);
            });
    return advance();
  }

  /** The next call opens the head anew: retention may have given up what this one reads. */
  private Behavior<SessionMessage> onUnread(Unread m) {
    if (reader == m.reader()) {
      reader = null;
    }
    return this;
  }

  private CompletableFuture<PointReader> head() {
    if (reader == null || reader.isCompletedExceptionally()) {
      reader = new CompletableFuture<>();
      queue.add(new View(reader));
    }
    return reader;
  }

  private static <T> void answer(CompletableFuture<T> result, T value, Throwable failure) {
    if (failure == null) {
      result.complete(value);
    } else {
      result.completeExceptionally(Failures.cause(failure));
    }
  }

  private Behavior<SessionMessage> onStatus(Status m) {
    status = Optional.of(m.status());
    return this;
  }

  private Behavior<SessionMessage> onDetach(Detach m) {
    if (key == null) {
      return fail(new Refusal(ErrorCode.FENCED, "the tap detached"));
    }
    reason = new Refusal(ErrorCode.FENCED, "the tap detached");
    queue.clear();
    waiting.clear();
    requested = 0;
    send(new VolumeEntity.DetachTap(++call, key, replies()));
    return this;
  }

  // ---- orders ---------------------------------------------------------------------------------

  private Behavior<SessionMessage> onReady(Ready m) {
    taker.complete(m.taker());
    return this;
  }

  /** Passes it on whatever waits to be journaled (O4), and not once its time is over (O3). */
  private Behavior<SessionMessage> onPassOrder(VolumeEntity.PassOrder m) {
    TapOrder order = m.order();
    long left = order.deadlineMicros() - MicroClock.system().micros();
    if (left <= 0 || orders.size() >= TapOrder.OPEN_MAX) {
      refuse(m, left <= 0 ? late(order) : tooMany());
      return this;
    }
    OpenOrder open = new OpenOrder(order.id(), m.replyTo());
    orders.add(open);
    CompletableFuture<byte[]> answer =
        taker
            .copy()
            .thenCompose(link -> link.take(order))
            .toCompletableFuture()
            .orTimeout(left, TimeUnit.MICROSECONDS);
    getContext()
        .pipeToSelf(
            answer,
            (body, failure) ->
                new OrderSettled(
                    open,
                    body,
                    Failures.cause(failure) instanceof TimeoutException ? late(order) : failure));
    return this;
  }

  private static Refusal late(TapOrder order) {
    return new Refusal(
        ErrorCode.NOT_ACKNOWLEDGED,
        "the tap did not answer the order %s in time".formatted(order.kind()));
  }

  private static Refusal tooMany() {
    return new Refusal(
        ErrorCode.LIMIT, TapOrder.OPEN_MAX + " orders to the tap are open; ask again later");
  }

  private static void refuse(VolumeEntity.PassOrder m, Refusal refusal) {
    m.replyTo()
        .tell(new VolumeEntity.Refused(m.order().id(), refusal.code(), refusal.getMessage()));
  }

  private Behavior<SessionMessage> onOrderSettled(OrderSettled m) {
    if (orders.remove(m.order())) {
      m.order().replyTo.tell(answerTo(m));
    }
    return this;
  }

  private static VolumeEntity.Reply answerTo(OrderSettled m) {
    if (m.failure() == null) {
      return new VolumeEntity.OrderDone(m.order().id, m.body());
    }
    return Failures.cause(m.failure()) instanceof Refusal refusal
        ? new VolumeEntity.Refused(m.order().id, refusal.code(), refusal.getMessage())
        : new VolumeEntity.Refused(
            m.order().id, ErrorCode.FAILED, "the order failed: " + Failures.cause(m.failure()));
  }

  /** Whatever the tap does, the session will not hear of it (O1). */
  private void refuseOrders() {
    taker.completeExceptionally(reason);
    String message = "the tap's session ended before the order was answered: ";
    for (OpenOrder order : orders) {
      order.replyTo.tell(
          new VolumeEntity.Refused(
              order.id, ErrorCode.NOT_ACKNOWLEDGED, message + reason.getMessage()));
    }
    orders.clear();
  }

  // ---- storing --------------------------------------------------------------------------------

  private void store() {
    while (!waiting.isEmpty()) {
      Segment segment = waiting.peek();
      long bytes = segment.meta.dataBytes();
      if (storingBytes > 0 && storingBytes + bytes > parts.settings().storeBytesInFlight()) {
        return;
      }
      waiting.remove();
      if (bytes == 0) {
        segment.stored = SegmentJournaled.of(segment.number, segment.meta, 0);
        continue;
      }
      storingBytes += bytes;
      getContext()
          .pipeToSelf(
              parts
                  .store()
                  .store(new SegmentRef(key.volume(), segment.number), segment.meta, segment.data),
              (stored, failure) ->
                  failure == null
                      ? new Stored(segment, stored)
                      : new StoreFailed(segment, failure));
    }
  }

  private Behavior<SessionMessage> onStored(Stored m) {
    Segment segment = m.segment();
    storingBytes -= segment.meta.dataBytes();
    segment.stored = SegmentJournaled.of(segment.number, segment.meta, m.storedBytes());
    segment.data = List.of();
    store();
    return advance();
  }

  private Behavior<SessionMessage> onStoreFailed(StoreFailed m) {
    Throwable cause = Failures.cause(m.failure());
    getContext()
        .getLog()
        .warn("volume {}: storing {} failed", tap.volume(), m.segment().meta, cause);
    return fail(
        cause instanceof Refusal refusal
            ? refusal
            : new Refusal(
                ErrorCode.NOT_ACKNOWLEDGED,
                "the segment store failed: " + cause.getMessage(),
                cause));
  }

  // ---- journaling -----------------------------------------------------------------------------

  /** Sends the next request to the volume if none is on its way. */
  private Behavior<SessionMessage> advance() {
    while (request == null && !queue.isEmpty()) {
      Pending next = queue.peek();
      if (next instanceof Repeat repeat) {
        queue.remove();
        repeat.result().complete(new WriteSeq(journaledSeq));
      } else if (next instanceof Segment segment) {
        if (segment.stored == null) {
          return this;
        }
        List<SegmentJournaled> batch = batch();
        requested = batch.size();
        send(new VolumeEntity.AppendSegments(++call, key, batch, replies()));
      } else if (next instanceof Break b) {
        requested = 1;
        Gap gap = b.gap();
        send(
            new VolumeEntity.RecordGap(
                ++call,
                key,
                gap.first().value(),
                gap.last().value(),
                gap.time().micros(),
                gap.reason(),
                replies()));
      } else if (next instanceof Completion completion) {
        requested = 1;
        send(
            new VolumeEntity.CompleteSync(
                ++call, key, completion.sync().differentBytes(), replies()));
      } else {
        requested = 1;
        send(new VolumeEntity.GetHistory(++call, replies()));
      }
    }
    return this;
  }

  private List<SegmentJournaled> batch() {
    List<SegmentJournaled> batch = new ArrayList<>();
    int bytes = 0;
    Iterator<Pending> all = queue.iterator();
    while (all.hasNext()
        && batch.size() < BATCH_SEGMENTS_MAX
        && all.next() instanceof Segment segment
        && segment.stored != null) {
      bytes += segment.stored.meta().length;
      if (!batch.isEmpty() && bytes > BATCH_META_BYTES_MAX) {
        break;
      }
      batch.add(segment.stored);
    }
    return batch;
  }

  private void send(VolumeEntity.Command command) {
    request = command;
    volume.tell(command);
    timers.startSingleTimer("resend", new Resend(call), parts.settings().resendAfter());
    timers.startSingleTimer("give-up", new GiveUp(call), parts.settings().giveUpAfter());
  }

  private void answered() {
    request = null;
    timers.cancel("resend");
    timers.cancel("give-up");
  }

  private Behavior<SessionMessage> onJournaled(VolumeEntity.Journaled m) {
    if (request == null || m.call() != call) {
      return this;
    }
    answered();
    journaledSeq = Math.max(journaledSeq, m.headSeq());
    WriteSeq head = new WriteSeq(journaledSeq);
    for (; requested > 0; requested--) {
      Pending done = queue.remove();
      if (done instanceof Segment segment) {
        pendingBytes -= segment.meta.dataBytes();
        segment.result.complete(head);
      } else if (done instanceof Break b) {
        b.gap().result().complete(head);
      } else if (done instanceof Completion completion) {
        completion.sync().result().complete(head);
      }
    }
    return advance();
  }

  /** Opens the head itself: inside a dark interval it is no recovery point, yet it is compared. */
  private Behavior<SessionMessage> onHistory(VolumeEntity.History m) {
    if (request == null || m.call() != call) {
      return this;
    }
    answered();
    requested = 0;
    View view = (View) queue.remove();
    HistoryView history = m.view();
    parts
        .points()
        .openHead(history, parts.histories().of(history.persistenceId()), renewal())
        .whenComplete((open, failure) -> answer(view.reader(), open, failure));
    return advance();
  }

  /** Asks for the history again, from any thread: retention may move what is compared (P5). */
  private Supplier<CompletionStage<HistoryView>> renewal() {
    Scheduler scheduler = getContext().getSystem().scheduler();
    Duration within = parts.settings().attachWithin();
    return () ->
        AskPattern.<VolumeEntity.Command, VolumeEntity.Reply>ask(
                volume, ref -> new VolumeEntity.GetHistory(0, ref), within, scheduler)
            .thenApply(
                reply -> {
                  if (reply instanceof VolumeEntity.History history) {
                    return history.view();
                  }
                  throw new Refusal(
                      ErrorCode.NOT_FOUND, "the volume does not tell its history: " + reply);
                });
  }

  private Behavior<SessionMessage> onDone(VolumeEntity.Done m) {
    return m.call() == call ? Behaviors.stopped() : this;
  }

  private Behavior<SessionMessage> onRefused(VolumeEntity.Refused m) {
    return m.call() == call ? fail(m.refusal()) : this;
  }

  private Behavior<SessionMessage> onEnded(VolumeEntity.SessionEnded m) {
    return fail(new Refusal(m.code(), m.message()));
  }

  private Behavior<SessionMessage> onBeat(Beat m) {
    volume.tell(new VolumeEntity.Heartbeat(key, status, replies()));
    return this;
  }

  /** A request may be lost while the volume moves to another node; repeating it is safe. */
  private Behavior<SessionMessage> onResend(Resend m) {
    if (request != null && m.call() == call) {
      volume.tell(request);
      timers.startSingleTimer("resend", m, parts.settings().resendAfter());
    }
    return this;
  }

  private Behavior<SessionMessage> onGiveUp(GiveUp m) {
    if (m.call() != call) {
      return this;
    }
    Duration waited =
        key == null ? parts.settings().attachWithin() : parts.settings().giveUpAfter();
    return fail(
        new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "volume '%s' did not answer for %d s".formatted(tap.volume(), waited.toSeconds())));
  }

  // ---- end ------------------------------------------------------------------------------------

  private Behavior<SessionMessage> fail(Refusal refusal) {
    reason = refusal;
    return Behaviors.stopped();
  }

  /** The handle fails every open call; the volume watches this actor. */
  private Behavior<SessionMessage> onPostStop(PostStop signal) {
    attached.completeExceptionally(reason);
    if (reader != null) {
      reader.completeExceptionally(reason);
    }
    ended.complete(reason);
    refuseOrders();
    return this;
  }
}
