package io.tidemark.taplink;

import akka.stream.Attributes;
import akka.stream.FlowShape;
import akka.stream.Inlet;
import akka.stream.Outlet;
import akka.stream.stage.AbstractInHandler;
import akka.stream.stage.AbstractOutHandler;
import akka.stream.stage.AsyncCallback;
import akka.stream.stage.GraphStage;
import akka.stream.stage.GraphStageLogic;
import akka.stream.stage.TimerGraphStageLogic;
import akka.util.ByteString;
import io.tidemark.capture.ContentHashes;
import io.tidemark.journal.ContentRun;
import io.tidemark.journal.Journal;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapIdentity;
import io.tidemark.order.OrderTaker;
import io.tidemark.order.TapOrder;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.OlderContent;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.wan.PackedSegment;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.jdk.javaapi.FutureConverters;

/**
 * The node's end of one tap link: bytes in, bytes out. Frames go to the journal session in the
 * order in which they came, several at once, bounded by the window; acknowledgements leave in
 * order.
 *
 * <pre>
 *   awaiting HELLO --HELLO--&gt; attaching --granted--&gt; serving --BYE--&gt; draining --&gt; closed
 *         \                      \--refused--\          \-- failure, session over --&gt; closed
 *          \--- anything else, silence -------+--&gt; closed
 * </pre>
 */
final class TapSessionStage extends GraphStage<FlowShape<ByteString, ByteString>> {
  private static final Logger log = LoggerFactory.getLogger(TapSessionStage.class);

  /** Answers that may wait for a slow reader before no more is read from it. */
  private static final int ANSWERS_MAX = 256;

  /** Questions for hashes that may be open at once. */
  private static final int HASHES_OPEN_MAX = 8;

  /** Requests for content that may be open at once. */
  private static final int FETCHES_OPEN_MAX = 16;

  /** Questions of ours for content that may be open at once. */
  private static final int CONTENT_OPEN_MAX = 4;

  private static final long CONTENT_SECONDS = 60;

  private final Inlet<ByteString> in = Inlet.create("tap.in");
  private final Outlet<ByteString> out = Outlet.create("tap.out");
  private final FlowShape<ByteString, ByteString> shape = FlowShape.of(in, out);
  private final Journal journal;
  private final LinkSettings settings;
  private final LiveLinks links;
  private final Optional<OlderContent> content;
  private final String peer;

  /**
   * @param content what packed segments are unpacked with; empty where only taps may connect
   */
  TapSessionStage(
      Journal journal,
      LinkSettings settings,
      LiveLinks links,
      Optional<OlderContent> content,
      String peer) {
    this.journal = journal;
    this.settings = settings;
    this.links = links;
    this.content = content;
    this.peer = peer;
  }

  @Override
  public FlowShape<ByteString, ByteString> shape() {
    return shape;
  }

  @Override
  public GraphStageLogic createLogic(Attributes attributes) {
    return new Logic();
  }

  /** A frame for the journal, until it and all before it are journaled. */
  private static final class Command {
    final long bytes;
    WriteSeq journaled;

    Command(long bytes) {
      this.bytes = bytes;
    }
  }

  private record Outcome<T>(T value, Throwable failure) {}

  private record Done(Command command, Outcome<WriteSeq> outcome) {}

  private record Hashed(int id, Outcome<ByteBuffer> outcome) {}

  private record Fetched(int id, Outcome<ContentRun> outcome) {}

  private record Question(
      ByteRange range, int blockBytes, CompletableFuture<ContentHashes> answer) {}

  private record Errand(TapOrder order, CompletableFuture<byte[]> answer) {}

  /** The session as the rest of the node may use it. */
  private record Link(VolumeId volume, AsyncCallback<Question> ask, OrderTaker orders)
      implements LiveLink {
    @Override
    public CompletionStage<byte[]> order(TapOrder order) {
      return orders.take(order);
    }

    @Override
    public CompletionStage<ContentHashes> contentHashes(ByteRange range, int blockBytes) {
      Question question = new Question(range, blockBytes, new CompletableFuture<>());
      FutureConverters.asJava(ask.invokeWithFeedback(question))
          .whenComplete(
              (asked, failure) -> {
                if (failure != null) {
                  question.answer().completeExceptionally(linkEnded());
                }
              });
      return question
          .answer()
          .orTimeout(CONTENT_SECONDS, TimeUnit.SECONDS)
          .exceptionally(
              failure -> {
                throw failure instanceof Refusal refusal
                    ? refusal
                    : new Refusal(
                        ErrorCode.NOT_ACKNOWLEDGED,
                        "the tap did not answer within " + CONTENT_SECONDS + " seconds",
                        failure);
              });
    }
  }

  /** The link as its session uses it. */
  private record Taker(AsyncCallback<Errand> give) implements OrderTaker {
    @Override
    public CompletionStage<byte[]> take(TapOrder order) {
      Errand errand = new Errand(order, new CompletableFuture<>());
      FutureConverters.asJava(give.invokeWithFeedback(errand))
          .whenComplete(
              (given, failure) -> {
                if (failure != null) {
                  errand.answer().completeExceptionally(linkEnded());
                }
              });
      return errand.answer();
    }
  }

  private static Refusal linkEnded() {
    return new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the link to the tap ended");
  }

  private final class Logic extends TimerGraphStageLogic {
    private final FrameParser parser = new FrameParser(LinkEnd.TAP, this::checkHeader);
    private final ArrayDeque<ByteBuffer> answers = new ArrayDeque<>();
    private final ArrayDeque<Command> commands = new ArrayDeque<>();
    private AsyncCallback<Outcome<JournalSession>> onAttached;
    private AsyncCallback<Done> onDone;
    private AsyncCallback<Hashed> onHashed;
    private AsyncCallback<Fetched> onFetched;
    private AsyncCallback<Outcome<Refusal>> onEnded;
    private AsyncCallback<Question> onAsk;
    private AsyncCallback<Errand> onOrder;
    private final Map<Long, List<Errand>> ordered = new HashMap<>();
    private final Map<Integer, Question> asked = new HashMap<>();
    private int lastAsked;
    private VolumeName volume;
    private ProtocolVersion version;
    private Link link;
    private CompletionStage<JournalSession> attaching;
    private JournalSession session;
    private Unpacking unpacking;
    private long bytesInFlight;
    private long commandsAcked;
    private int hashesOpen;
    private int fetchesOpen;
    private long heardNanos = System.nanoTime();
    private boolean draining;
    private boolean closing;
    private boolean detached;

    Logic() {
      super(shape);
      setHandler(
          in,
          new AbstractInHandler() {
            @Override
            public void onPush() {
              onBytes(grab(in));
            }

            @Override
            public void onUpstreamFinish() {
              answer(new LinkMessage.Bye("the node closes the link"));
              close();
            }
          });
      setHandler(
          out,
          new AbstractOutHandler() {
            @Override
            public void onPull() {
              flush();
            }
          });
    }

    @Override
    public void preStart() {
      onAttached = createAsyncCallback(this::attached);
      onDone = createAsyncCallback(this::done);
      onHashed = createAsyncCallback(this::hashed);
      onFetched = createAsyncCallback(this::fetched);
      onEnded = createAsyncCallback(this::ended);
      onAsk = createAsyncCallback(this::ask);
      onOrder = createAsyncCallback(this::order);
      scheduleWithFixedDelay("ping", settings.pingEvery(), settings.pingEvery());
      scheduleOnce("hello", settings.connectTimeout());
      pull(in);
    }

    @Override
    public void postStop() {
      detach();
      asked.values().forEach(question -> question.answer().completeExceptionally(linkEnded()));
      asked.clear();
      for (List<Errand> errands : ordered.values()) {
        errands.forEach(errand -> errand.answer().completeExceptionally(linkEnded()));
      }
      ordered.clear();
    }

    private void detach() {
      if (link != null) {
        links.closed(volume, link);
      }
      if (attaching != null && !detached) {
        detached = true;
        attaching.thenCompose(JournalSession::detach).whenComplete(this::detachedFrom);
      }
    }

    private void detachedFrom(Void nothing, Throwable failure) {
      if (failure != null) {
        log.debug("tap {}: detach: {}", peer, failure.toString());
      }
    }

    @Override
    public void onTimer(Object key) {
      if (key.equals("hello")) {
        if (session == null && !closing) {
          refuse(new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "no session was opened in time"));
        }
      } else if (System.nanoTime() - heardNanos > settings.deadAfter().toNanos()) {
        log.info("tap {}: silent for {}", peer, settings.deadAfter());
        completeStage();
      } else if (!closing && session != null) {
        answer(new LinkMessage.Ping(System.nanoTime()));
      }
    }

    private void onBytes(ByteString bytes) {
      heardNanos = System.nanoTime();
      if (!closing) {
        bytes.getByteBuffers().forEach(parser::feed);
        parse();
      }
      pullMore();
    }

    private void pullMore() {
      boolean full = answers.size() >= ANSWERS_MAX;
      if (!full && !hasBeenPulled(in) && !isClosed(in)) {
        pull(in);
      }
    }

    private void parse() {
      try {
        for (FrameParser.Frame frame = parser.next(); frame != null; frame = parser.next()) {
          if (closing) {
            return;
          }
          onFrame(frame);
        }
      } catch (LinkProtocolException e) {
        refuse(new Refusal(ErrorCode.CORRUPT, e.getMessage()));
      } catch (Refusal e) {
        refuse(e);
      }
    }

    /** Before a body is read: is the frame due now, and within the window? */
    private void checkHeader(FrameParser.Header header) throws LinkProtocolException {
      FrameType type = header.type();
      if ((attaching == null) != (type == FrameType.HELLO)
          || (session == null && type != FrameType.HELLO && type != FrameType.PONG)
          || draining) {
        throw new LinkProtocolException("a frame of " + type + " is not due now");
      }
      if (bytesInFlight >= settings.windowBytes() && isCommand(type)) {
        throw new LinkProtocolException("the tap sends past its window");
      }
    }

    private boolean isCommand(FrameType type) {
      return type == FrameType.SEGMENT
          || type == FrameType.PACKED
          || type == FrameType.GAP
          || type == FrameType.SYNC_DONE;
    }

    private void onFrame(FrameParser.Frame frame) throws LinkProtocolException {
      LinkMessage message = LinkMessage.decode(frame);
      if (message instanceof LinkMessage.Hello hello) {
        onHello(hello);
      } else if (message instanceof LinkMessage.Segment segment) {
        checkSegment(segment.meta());
        run(unpacking.after(() -> session.append(segment.meta(), frame.data())), frame.bytes());
      } else if (message instanceof LinkMessage.Packed packed) {
        onPacked(packed);
      } else if (message instanceof LinkMessage.Gap gap) {
        WriteSeq first = new WriteSeq(gap.first());
        WriteSeq last = new WriteSeq(gap.last());
        MicroTime time = new MicroTime(gap.timeMicros());
        run(unpacking.after(() -> session.gap(first, last, time, gap.reason())), frame.bytes());
      } else if (message instanceof LinkMessage.SyncDone syncDone) {
        run(unpacking.after(() -> session.completeSync(syncDone.differentBytes())), frame.bytes());
      } else if (message instanceof LinkMessage.HashesRequest request) {
        onHashesRequest(request);
      } else if (message instanceof LinkMessage.ContentRequest request) {
        onContentRequest(request);
      } else if (message instanceof LinkMessage.ContentHashesAnswer content) {
        answered(content);
      } else if (message instanceof LinkMessage.OrderDone done) {
        orderDone(done);
      } else if (message instanceof LinkMessage.Status status) {
        session.status(status.status());
      } else if (message instanceof LinkMessage.Ping ping) {
        answer(new LinkMessage.Pong(ping.stamp()));
      } else if (message instanceof LinkMessage.Bye) {
        draining = true;
        farewellWhenDrained();
      }
    }

    /** What it takes of the window is what it unpacks to. */
    private void onPacked(LinkMessage.Packed message) throws LinkProtocolException {
      if (content.isEmpty()) {
        throw new LinkProtocolException("packed segments are for links between sites");
      }
      byte[] bytes = new byte[message.bytes().remaining()];
      message.bytes().duplicate().get(bytes);
      PackedSegment packed = PackedSegment.read(bytes);
      checkSegment(packed.meta());
      run(
          unpacking.unpack(packed),
          FrameParser.HEADER_BYTES + (long) bytes.length + packed.meta().dataBytes());
    }

    private void onHello(LinkMessage.Hello hello) {
      Optional<ProtocolVersion> chosen =
          ProtocolVersion.choose(hello.versionFrom(), hello.versionTo());
      if (chosen.isEmpty()) {
        refuse(
            new Refusal(
                ErrorCode.INVALID,
                "the tap speaks versions %d to %d of the link, this node speaks up to %d"
                    .formatted(
                        hello.versionFrom(), hello.versionTo(), ProtocolVersion.newest().code())));
        return;
      }
      TapIdentity tap;
      try {
        tap =
            new TapIdentity(
                new VolumeName(hello.volume()),
                hello.tapId(),
                hello.address(),
                hello.sizeBytes(),
                chosen.get().code() < ProtocolVersion.V4.code());
      } catch (Refusal e) {
        refuse(e);
        return;
      }
      volume = tap.volume();
      version = chosen.get();
      attaching = journal.attach(tap);
      attaching.whenComplete((s, e) -> onAttached.invoke(new Outcome<>(s, e)));
    }

    private void attached(Outcome<JournalSession> outcome) {
      if (closing) {
        return;
      }
      if (outcome.failure() != null) {
        refuse(refusalOf(outcome.failure()));
        return;
      }
      if (outcome.value().grant().leased() && version.code() < ProtocolVersion.V4.code()) {
        outcome.value().detach();
        refuse(
            new Refusal(
                ErrorCode.INVALID,
                "volume '%s' fails over automatically, and the tap speaks version %d of the link, which has no leases; update the tap"
                    .formatted(volume, version.code())));
        return;
      }
      session = outcome.value();
      unpacking = new Unpacking(session, volume, content);
      session.ended().whenComplete((r, e) -> onEnded.invoke(new Outcome<>(r, e)));
      answer(
          new LinkMessage.Welcome(
              version.code(),
              session.grant(),
              settings.windowBytes(),
              settings.segmentBytesMax(),
              settings.segmentWritesMax()));
      Taker taker = new Taker(onOrder);
      session.takeOrders(taker);
      link = new Link(session.grant().volume(), onAsk, taker);
      links.opened(volume, link);
    }

    private void ask(Question question) {
      ErrorCode refused = null;
      if (closing || draining) {
        refused = ErrorCode.NOT_ACKNOWLEDGED;
      } else if (version.code() < ProtocolVersion.V2.code()) {
        refused = ErrorCode.INVALID;
      } else if (asked.size() >= CONTENT_OPEN_MAX || answers.size() >= ANSWERS_MAX) {
        refused = ErrorCode.LIMIT;
      }
      if (refused != null) {
        question.answer().completeExceptionally(notAsked(refused));
        return;
      }
      asked.put(++lastAsked, question);
      answer(
          new LinkMessage.ContentHashesRequest(lastAsked, question.range(), question.blockBytes()));
    }

    private Refusal notAsked(ErrorCode code) {
      return switch (code) {
        case INVALID ->
            new Refusal(
                code,
                "the tap speaks version %d of the link, which has no question for its content"
                    .formatted(version.code()));
        case LIMIT ->
            new Refusal(code, "more than " + CONTENT_OPEN_MAX + " questions to the tap are open");
        default -> linkEnded();
      };
    }

    private void answered(LinkMessage.ContentHashesAnswer message) throws LinkProtocolException {
      Question question = asked.remove(message.id());
      if (question == null) {
        throw new LinkProtocolException("an answer about content that nobody asked for");
      }
      long blocks = (question.range().length() + question.blockBytes() - 1) / question.blockBytes();
      boolean idle = message.content().state() == ContentHashes.State.IDLE;
      long expected = idle ? blocks * ContentHashes.HASH_BYTES : 0;
      if (message.content().hashes().remaining() != expected) {
        throw new LinkProtocolException(
            "%d bytes of hashes instead of %d"
                .formatted(message.content().hashes().remaining(), expected));
      }
      question.answer().complete(message.content());
    }

    private void order(Errand errand) {
      TapOrder order = errand.order();
      long left = order.deadlineMicros() - MicroClock.system().micros();
      Refusal refusal = null;
      if (closing || draining) {
        refusal = linkEnded();
      } else if (version.code() < ProtocolVersion.V3.code()) {
        refusal =
            new Refusal(
                ErrorCode.INVALID,
                "the tap speaks version %d of the link, which has no orders; update the tap"
                    .formatted(version.code()));
      } else if (left <= 0) {
        refusal = new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the order's deadline has passed");
      } else if (answers.size() >= ANSWERS_MAX) {
        refusal = new Refusal(ErrorCode.LIMIT, "the tap does not read what it is sent");
      }
      if (refusal != null) {
        errand.answer().completeExceptionally(refusal);
        return;
      }
      // What was given up is forgotten here, and its answer, should one come, is nobody's.
      ordered.values().removeIf(given -> given.stream().allMatch(e -> e.answer().isDone()));
      errand.answer().orTimeout(left, TimeUnit.MICROSECONDS);
      ordered.computeIfAbsent(order.id(), id -> new ArrayList<>()).add(errand);
      answer(
          new LinkMessage.Order(
              order.id(), order.kind().code(), left, ByteBuffer.wrap(order.body())));
    }

    private void orderDone(LinkMessage.OrderDone done) {
      List<Errand> errands = ordered.remove(done.id());
      if (errands == null) {
        return; // said twice, or given up
      }
      byte[] body = new byte[done.body().remaining()];
      done.body().duplicate().get(body);
      for (Errand errand : errands) {
        if (done.refused().isEmpty()) {
          errand.answer().complete(body);
        } else {
          errand.answer().completeExceptionally(new Refusal(done.refused().get(), done.message()));
        }
      }
    }

    private void ended(Outcome<Refusal> outcome) {
      if (!closing && !detached) {
        refuse(outcome.failure() == null ? outcome.value() : refusalOf(outcome.failure()));
      }
    }

    private void checkSegment(SegmentMeta meta) throws LinkProtocolException {
      if (meta.count() > settings.segmentWritesMax()
          || (meta.count() > 1 && meta.dataBytes() > settings.segmentBytesMax())) {
        throw new LinkProtocolException("over the limits of a segment: " + meta);
      }
      long size = session.grant().sizeBytes();
      for (int i = 0; i < meta.count(); i++) {
        if (meta.offset(i) + meta.length(i) > size) {
          throw new LinkProtocolException("write " + meta.seq(i) + " passes the volume's end");
        }
      }
    }

    private void run(CompletionStage<WriteSeq> result, long bytes) {
      Command command = new Command(bytes);
      commands.add(command);
      bytesInFlight += bytes;
      result.whenComplete((s, e) -> onDone.invoke(new Done(command, new Outcome<>(s, e))));
    }

    private void done(Done done) {
      if (closing) {
        return;
      }
      if (done.outcome().failure() != null) {
        refuse(refusalOf(done.outcome().failure()));
        return;
      }
      done.command().journaled = done.outcome().value();
      WriteSeq newest = null;
      while (!commands.isEmpty() && commands.peekFirst().journaled != null) {
        Command first = commands.pollFirst();
        bytesInFlight -= first.bytes;
        newest = first.journaled;
        commandsAcked++;
      }
      if (newest != null) {
        answer(new LinkMessage.Ack(commandsAcked, newest.value()));
        farewellWhenDrained();
      }
    }

    private void farewellWhenDrained() {
      if (draining && commands.isEmpty() && !detached) {
        detach();
        answer(new LinkMessage.Bye("everything is journaled"));
        close();
      }
    }

    private void onHashesRequest(LinkMessage.HashesRequest request) throws LinkProtocolException {
      if (request.range().end() > session.grant().sizeBytes()) {
        throw new LinkProtocolException("hashes of " + request.range() + ", past the end");
      }
      if (++hashesOpen > HASHES_OPEN_MAX) {
        throw new LinkProtocolException("more than " + HASHES_OPEN_MAX + " open questions");
      }
      session
          .hashes(request.range(), request.blockBytes())
          .whenComplete((h, e) -> onHashed.invoke(new Hashed(request.id(), new Outcome<>(h, e))));
    }

    private void hashed(Hashed hashed) {
      hashesOpen--;
      if (closing) {
        return;
      }
      if (hashed.outcome().failure() != null) {
        refuse(refusalOf(hashed.outcome().failure()));
      } else {
        answer(new LinkMessage.Hashes(hashed.id(), hashed.outcome().value()));
      }
    }

    private void onContentRequest(LinkMessage.ContentRequest request) throws LinkProtocolException {
      if (version.code() < ProtocolVersion.V4.code()
          || request.range().end() > session.grant().sizeBytes()
          || ++fetchesOpen > FETCHES_OPEN_MAX) {
        throw new LinkProtocolException("a request for content that is not due: " + request);
      }
      session
          .content(request.range())
          .whenComplete((r, e) -> onFetched.invoke(new Fetched(request.id(), new Outcome<>(r, e))));
    }

    private void fetched(Fetched fetched) {
      fetchesOpen--;
      if (closing) {
        return;
      }
      // What cannot be read is no reason to end the session: capture goes on.
      answer(
          fetched.outcome().failure() == null
              ? LinkMessage.Content.of(fetched.id(), fetched.outcome().value())
              : LinkMessage.Content.failed(
                  fetched.id(), refusalOf(fetched.outcome().failure()).getMessage()));
    }

    private Refusal refusalOf(Throwable failure) {
      Throwable cause = Failures.cause(failure);
      if (cause instanceof Refusal refusal) {
        return refusal;
      }
      log.warn("tap {}: the journal failed", peer, cause);
      return new Refusal(ErrorCode.FAILED, "the journal failed: " + cause, cause);
    }

    private void refuse(Refusal refusal) {
      if (session == null && refusal.code() == ErrorCode.FENCED) {
        log.debug("tap {} stands by: {}", peer, refusal.getMessage()); // it asks again and again
      } else {
        log.info("tap {}: refused: {} {}", peer, refusal.code(), refusal.getMessage());
      }
      answer(LinkMessage.Refused.of(refusal));
      close();
    }

    private void answer(LinkMessage message) {
      if (!closing) {
        answers.add(message.frame());
        if (isAvailable(out)) {
          flush();
        }
      }
    }

    /** No more is taken in; the connection closes once the last answer is out. */
    private void close() {
      closing = true;
      if (answers.isEmpty()) {
        completeStage();
      }
    }

    private void flush() {
      ByteBuffer next = answers.pollFirst();
      if (next != null) {
        push(out, ByteString.fromArrayUnsafe(next.array(), 0, next.limit()));
        pullMore();
      }
      if (closing && answers.isEmpty()) {
        completeStage();
      }
    }
  }
}
