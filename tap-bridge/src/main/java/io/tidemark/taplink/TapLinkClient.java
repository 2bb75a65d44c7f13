package io.tidemark.taplink;

import io.tidemark.capture.ActivityLog;
import io.tidemark.capture.ContentHashes;
import io.tidemark.capture.ContentSource;
import io.tidemark.capture.IdleContent;
import io.tidemark.capture.Outgoing;
import io.tidemark.capture.VolumeCapture;
import io.tidemark.journal.ContentRun;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.OrderDesk;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tap's end of the link of one volume: connects to the first node that answers, attaches, sends
 * what the volume's capture has, and starts again with a pause when the connection breaks. One
 * thread connects and writes, one reads, and one, if the node asks, hashes the backing store.
 */
public final class TapLinkClient implements ContentSource, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(TapLinkClient.class);
  private static final int READ_BYTES = 64 << 10;
  private static final long STATUS_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long IDLE_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
  private static final long FAREWELL_SECONDS = 2;
  private static final long HASHES_SECONDS = 60;

  /** A tap that may not write yet asks again so often: what a promotion waits for it. */
  private static final long STANDBY_MILLIS = 300;

  private static final int HASHES_OPEN_MAX = 8;
  private static final int FETCHES_OPEN_MAX = 16;

  /** The node's questions for content that may wait at once. */
  private static final int CONTENT_OPEN_MAX = 8;

  /** After so many, what is in flight is given up for a gap, lest the link stand still for ever. */
  private static final int REJECTIONS_MAX = 5;

  /** The capture to go on with, made when the first grant tells the volume's size. */
  @FunctionalInterface
  public interface CaptureFactory {
    /**
     * @throws Refusal to give the session up and to ask for another one later
     */
    VolumeCapture capture(SessionGrant grant) throws IOException;

    /** A node said {@code FENCED} to a tap that was not let in yet since it started. */
    default void fenced(String reason) throws IOException {}
  }

  /**
   * Who the tap is.
   *
   * @param volume the volume it captures
   * @param address how people know the tap
   * @param sizeBytes size of the backing store
   */
  public record Identity(VolumeName volume, String address, long sizeBytes) {}

  private final List<InetSocketAddress> nodes;
  private final Identity identity;
  private final ActivityLog activity;
  private final CaptureFactory factory;
  private final LinkSettings settings;
  private final OrderDesk orders;
  private final ScheduledExecutorService watch;
  private final CompletableFuture<SessionGrant> firstGrant = new CompletableFuture<>();
  private final CompletableFuture<Void> firstRound = new CompletableFuture<>();
  private final Thread thread;
  private final Object pause = new Object();

  /** A node ends the session of a tap that asks for more at once. */
  private final Semaphore hashing = new Semaphore(HASHES_OPEN_MAX);

  private final Semaphore fetching = new Semaphore(FETCHES_OPEN_MAX);
  private volatile boolean stopping;
  private volatile Connection connection;
  private volatile VolumeCapture capture;
  private volatile Refusal lastRefusal;

  /** Whether the last connection journaled anything. */
  private boolean fruitful;

  /** Whether the last attempt found a volume that is not to be written here yet. */
  private boolean standingBy;

  /** Sessions in a row that ended by a refusal of the first thing sent. */
  private int rejections;

  /**
   * Begins to connect.
   *
   * @param nodes tried in turn; addresses are resolved at each attempt
   * @param orders takes the node's orders
   * @param watch runs short checks for silence
   */
  public TapLinkClient(
      List<InetSocketAddress> nodes,
      Identity identity,
      ActivityLog activity,
      CaptureFactory factory,
      LinkSettings settings,
      OrderDesk orders,
      ScheduledExecutorService watch) {
    this.nodes = List.copyOf(nodes);
    this.identity = identity;
    this.activity = activity;
    this.factory = factory;
    this.settings = settings;
    this.orders = orders;
    this.watch = watch;
    thread = new Thread(this::run, "tidemark-link-" + identity.volume());
    thread.setDaemon(true);
    thread.start();
  }

  /**
   * The first grant. Fails with the {@link Refusal} of the first attempt that a node answered by
   * {@code BUSY} or for good, when the tap was never attached to the volume before; then the client
   * has stopped.
   */
  public CompletableFuture<SessionGrant> firstGrant() {
    return firstGrant;
  }

  /**
   * Completes once a node has answered by a grant or a refusal, or every node has been tried in
   * vain.
   */
  public CompletableFuture<Void> firstRound() {
    return firstRound;
  }

  public boolean connected() {
    return connection != null;
  }

  /** Why a node last refused the tap. */
  public Optional<Refusal> lastRefusal() {
    return Optional.ofNullable(lastRefusal);
  }

  private void run() {
    long firstPause = Math.max(1, settings.backoffMax().toMillis() / 20);
    long pauseMillis = firstPause;
    int turn = 0;
    while (!stopping) {
      InetSocketAddress node = nodes.get(turn++ % nodes.size());
      fruitful = false;
      standingBy = false;
      try {
        connectAndServe(node);
      } catch (IOException e) {
        log.debug("volume {}: link to {}: {}", identity.volume(), node, e.toString());
      } catch (Refusal e) {
        if (refused(e, node)) {
          return;
        }
      } catch (InterruptedException e) {
        return;
      } catch (RuntimeException e) {
        log.error("volume {}: the link to {} failed", identity.volume(), node, e);
      }
      if (turn >= nodes.size()) {
        firstRound.complete(null);
      }
      pauseMillis =
          fruitful ? firstPause : Math.min(pauseMillis * 2, settings.backoffMax().toMillis());
      if (standingBy) {
        pauseMillis = Math.min(pauseMillis, STANDBY_MILLIS);
      }
      if (!pause(pauseMillis)) {
        return;
      }
    }
  }

  private boolean refused(Refusal refusal, InetSocketAddress node) {
    standingBy = refusal.code() == ErrorCode.FENCED || refusal.code() == ErrorCode.NOT_SYNCHRONIZED;
    boolean news = lastRefusal == null || lastRefusal.code() != refusal.code();
    lastRefusal = refusal;
    if (news) {
      log.warn(
          "volume {}: {} refuses the tap: {} {}",
          identity.volume(),
          node,
          refusal.code(),
          refusal.getMessage());
    }
    boolean known = activity.state().incarnation().isPresent();
    boolean lasting =
        refusal.code() == ErrorCode.BUSY || !LinkMessage.Refused.of(refusal).retryable();
    if (!known && lasting && !standingBy) {
      firstGrant.completeExceptionally(refusal);
      return true;
    }
    return false;
  }

  private boolean pause(long millis) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    synchronized (pause) {
      long left = millis;
      while (!stopping && left > 0) {
        try {
          pause.wait(left);
        } catch (InterruptedException e) {
          return false;
        }
        left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      }
    }
    return true;
  }

  private void connectAndServe(InetSocketAddress node) throws IOException, InterruptedException {
    InetSocketAddress address = new InetSocketAddress(node.getHostString(), node.getPort());
    if (address.isUnresolved()) {
      throw new IOException("no address is known for " + node.getHostString());
    }
    int timeout = (int) settings.connectTimeout().toMillis();
    LinkChannel channel =
        settings.tls().isPresent()
            ? LinkChannel.tls(address, timeout, settings.tls().get())
            : LinkChannel.plain(address, timeout);
    Connection mine = new Connection(channel);
    long period = settings.pingEvery().toMillis();
    ScheduledFuture<?> watching =
        watch.scheduleWithFixedDelay(
            mine::closeIfSilent, period, Math.max(1, period / 2), TimeUnit.MILLISECONDS);
    try {
      mine.attach();
      mine.serve();
    } finally {
      watching.cancel(false);
      connection = null;
      mine.end();
      judge(mine);
      if (mine.attached) {
        capture.detached();
      }
    }
  }

  private void judge(Connection ended) {
    fruitful = ended.acked > 0;
    if (fruitful) {
      rejections = 0;
    } else if (ended.rejected) {
      rejections++;
    }
  }

  @Override
  public ByteBuffer hashes(ByteRange range, int blockBytes)
      throws IOException, InterruptedException {
    Connection now = connection;
    if (now == null) {
      throw new IOException("no node is connected");
    }
    hashing.acquire();
    try {
      return now.hashes(range, blockBytes);
    } finally {
      hashing.release();
    }
  }

  @Override
  public ContentRun content(ByteRange range) throws IOException, InterruptedException {
    Connection now = connection;
    if (now == null) {
      throw new IOException("no node is connected");
    }
    fetching.acquire();
    try {
      return now.content(range);
    } finally {
      fetching.release();
    }
  }

  /** Takes leave of the node and stops; what is captured stays with the capture. */
  @Override
  public void close() {
    stopping = true;
    synchronized (pause) {
      pause.notifyAll();
    }
    VolumeCapture source = capture;
    if (source != null) {
      source.wake();
    }
    try {
      thread.join(TimeUnit.SECONDS.toMillis(FAREWELL_SECONDS));
      Connection now = connection;
      if (thread.isAlive() && now != null) {
        now.closeChannel();
      }
      thread.interrupt();
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** One connection from HELLO to its end. */
  private final class Connection {
    private final LinkChannel channel;
    private final FrameParser parser = new FrameParser(LinkEnd.NODE, header -> {});
    private final ByteBuffer buffer = ByteBuffer.allocate(READ_BYTES);
    private final Queue<LinkMessage> control = new ConcurrentLinkedQueue<>();
    private final Map<Integer, CompletableFuture<ByteBuffer>> asked = new ConcurrentHashMap<>();
    private final Map<Integer, CompletableFuture<ContentRun>> fetched = new ConcurrentHashMap<>();
    private final AtomicInteger nextId = new AtomicInteger();
    private final AtomicInteger contentOpen = new AtomicInteger();
    private final ExecutorService hasher = Executors.newSingleThreadExecutor(this::hasherThread);
    private final ArrayDeque<Long> unackedFrames = new ArrayDeque<>();
    private final Thread reader = new Thread(this::read, "tidemark-acks-" + identity.volume());
    private volatile long heardNanos = System.nanoTime();
    private volatile boolean over;
    private volatile IOException failure;
    private boolean attached;
    private LinkMessage.Welcome terms;
    private long unackedBytes;
    private long acked;
    private boolean rejected;

    Connection(LinkChannel channel) {
      this.channel = channel;
      reader.setDaemon(true);
    }

    private Thread hasherThread(Runnable work) {
      Thread thread = new Thread(work, "tidemark-content-" + identity.volume());
      thread.setDaemon(true);
      return thread;
    }

    void attach() throws IOException {
      activity.attempting();
      send(
          new LinkMessage.Hello(
              ProtocolVersion.V1.code(),
              ProtocolVersion.newest().code(),
              activity.state().tapId(),
              identity.sizeBytes(),
              identity.volume().value(),
              identity.address()));
      LinkMessage answer = receive();
      while (answer instanceof LinkMessage.Ping ping) {
        send(new LinkMessage.Pong(ping.stamp()));
        answer = receive();
      }
      if (answer instanceof LinkMessage.Refused refused) {
        if (refused.code() != ErrorCode.NOT_ACKNOWLEDGED) {
          activity.attemptRefused();
        }
        if (refused.code() == ErrorCode.FENCED && capture != null) {
          capture.fenced(refused.message());
        } else if (refused.code() == ErrorCode.FENCED) {
          factory.fenced(refused.message());
        }
        throw refused.refusal();
      }
      if (!(answer instanceof LinkMessage.Welcome welcome)) {
        throw new LinkProtocolException("the node answered HELLO with " + answer.type());
      }
      if (ProtocolVersion.choose(welcome.version(), welcome.version()).isEmpty()) {
        throw new LinkProtocolException("the node chose version " + welcome.version());
      }
      terms = welcome;
      VolumeCapture source = factory.capture(welcome.grant());
      capture = source;
      source.attached(welcome.grant());
      attached = true;
      if (rejections >= REJECTIONS_MAX) {
        rejections = 0;
        source.abandonFlights("the node refuses what is to be sent: " + lastRefusal.getMessage());
      }
      lastRefusal = null;
      log.info(
          "volume {}: attached in epoch {}, session {} at seq {}",
          identity.volume(),
          welcome.grant().epoch(),
          welcome.grant().session(),
          welcome.grant().head());
    }

    private void send(LinkMessage message) throws IOException {
      channel.write(new ByteBuffer[] {message.frame()});
    }

    private LinkMessage receive() throws IOException {
      while (true) {
        FrameParser.Frame frame = parser.next();
        if (frame != null) {
          return LinkMessage.decode(frame);
        }
        buffer.clear();
        if (channel.read(buffer) < 0) {
          throw new EOFException("the node closed the connection");
        }
        heardNanos = System.nanoTime();
        buffer.flip();
        parser.feed(ByteBuffer.allocate(buffer.remaining()).put(buffer).flip());
      }
    }

    void serve() throws IOException, InterruptedException {
      connection = this;
      reader.start();
      firstGrant.complete(terms.grant());
      firstRound.complete(null);
      long statusAt = System.nanoTime();
      long pingAt = statusAt + settings.pingEvery().toNanos();
      while (!over && !stopping) {
        for (LinkMessage m = control.poll(); m != null; m = control.poll()) {
          send(m);
        }
        long now = System.nanoTime();
        if (now - statusAt >= 0) {
          send(new LinkMessage.Status(told(capture.status())));
          statusAt = now + STATUS_NANOS;
        }
        if (now - pingAt >= 0) {
          send(new LinkMessage.Ping(now));
          pingAt = now + settings.pingEvery().toNanos();
        }
        long wait = Math.min(IDLE_NANOS, Math.min(statusAt, pingAt) - now);
        Optional<Outgoing> next =
            capture.next(
                hasCredit(), terms.segmentBytesMax(), terms.segmentWritesMax(), Math.max(1, wait));
        if (next.isPresent()) {
          sendOutgoing(next.get());
          capture.sent(next.get());
        }
      }
      if (failure != null) {
        throw failure;
      }
      if (stopping && !over) {
        send(new LinkMessage.Bye("the tap stops"));
        reader.join(TimeUnit.SECONDS.toMillis(FAREWELL_SECONDS) / 2);
      }
    }

    /** Older nodes know nothing of filling. */
    private TapStatus told(TapStatus status) {
      return terms.version() < ProtocolVersion.V4.code() && status.mode() == TapStatus.Mode.FILLING
          ? new TapStatus(
              TapStatus.Mode.CONTINUOUS,
              status.pendingBytes(),
              status.pendingWrites(),
              status.oldestPendingMicros(),
              0,
              0)
          : status;
    }

    private boolean hasCredit() {
      synchronized (unackedFrames) {
        return unackedBytes < terms.windowBytes();
      }
    }

    private void sendOutgoing(Outgoing outgoing) throws IOException {
      ByteBuffer head;
      List<ByteBuffer> data = List.of();
      if (outgoing instanceof Outgoing.Segment segment) {
        data = segment.data();
        head =
            FrameParser.encode(
                FrameType.SEGMENT,
                ByteBuffer.wrap(segment.encodedMeta()),
                segment.meta().dataBytes());
      } else if (outgoing instanceof Outgoing.Gap gap) {
        head =
            new LinkMessage.Gap(
                    gap.first().value(), gap.last().value(), gap.time().micros(), gap.reason())
                .frame();
      } else {
        head = new LinkMessage.SyncDone(((Outgoing.SyncDone) outgoing).differentBytes()).frame();
      }
      ByteBuffer[] all = new ByteBuffer[1 + data.size()];
      all[0] = head;
      long bytes = head.remaining();
      for (int i = 0; i < data.size(); i++) {
        all[1 + i] = data.get(i).duplicate();
        bytes += all[1 + i].remaining();
      }
      synchronized (unackedFrames) {
        unackedFrames.add(bytes);
        unackedBytes += bytes;
      }
      channel.write(all);
    }

    private void read() {
      try {
        while (!over) {
          received(receive());
        }
      } catch (IOException e) {
        failure = e;
      } catch (RuntimeException e) {
        failure = new IOException("the answers of the node do not fit: " + e, e);
      } finally {
        over = true;
        failAsked();
        capture.wake();
      }
    }

    private void received(LinkMessage message) throws IOException {
      if (message instanceof LinkMessage.Ack ack) {
        acknowledge(ack);
      } else if (message instanceof LinkMessage.Hashes hashes) {
        CompletableFuture<ByteBuffer> waiting = asked.remove(hashes.id());
        if (waiting != null) {
          waiting.complete(hashes.hashes());
        }
      } else if (message instanceof LinkMessage.Content content) {
        CompletableFuture<ContentRun> waiting = fetched.remove(content.id());
        if (waiting != null && content.run().isPresent()) {
          waiting.complete(content.run().get());
        } else if (waiting != null) {
          waiting.completeExceptionally(
              new IOException("the node has no content: " + content.why()));
        }
      } else if (message instanceof LinkMessage.ContentHashesRequest request) {
        hashContent(request);
      } else if (message instanceof LinkMessage.Order order) {
        carryOut(order);
      } else if (message instanceof LinkMessage.Ping ping) {
        control.add(new LinkMessage.Pong(ping.stamp()));
        capture.wake();
      } else if (message instanceof LinkMessage.Refused refused) {
        lastRefusal = refused.refusal();
        rejected = refused.code() == ErrorCode.CORRUPT || refused.code() == ErrorCode.INVALID;
        log.warn(
            "volume {}: the node ends the session: {} {}",
            identity.volume(),
            refused.code(),
            refused.message());
        throw new IOException("the session is over: " + refused.code() + " " + refused.message());
      } else if (message instanceof LinkMessage.Bye bye) {
        throw new EOFException("the node takes leave: " + bye.reason());
      } else if (!(message instanceof LinkMessage.Pong)) {
        throw new LinkProtocolException("unexpected " + message.type());
      }
    }

    private void hashContent(LinkMessage.ContentHashesRequest request) throws IOException {
      if (terms.version() < ProtocolVersion.V2.code()
          || request.range().end() > terms.grant().sizeBytes()
          || contentOpen.incrementAndGet() > CONTENT_OPEN_MAX) {
        throw new LinkProtocolException("a question for content that is not due: " + request);
      }
      hasher.execute(
          () -> {
            try {
              ContentHashes content =
                  new IdleContent(capture)
                      .hashes(request.range(), request.blockBytes(), () -> !over && !stopping);
              contentOpen.decrementAndGet();
              control.add(new LinkMessage.ContentHashesAnswer(request.id(), content));
              capture.wake();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            } catch (RuntimeException e) {
              failure = new IOException("the content of " + request.range() + ": " + e, e);
              closeChannel();
            }
          });
    }

    /** The answer goes out by this connection, or by none: a repeat is answered again (D1). */
    private void carryOut(LinkMessage.Order order) throws IOException {
      if (terms.version() < ProtocolVersion.V3.code()) {
        throw new LinkProtocolException("an order in version " + terms.version());
      }
      byte[] body = new byte[order.body().remaining()];
      order.body().duplicate().get(body);
      orders
          .take(order.id(), order.kind(), order.leftMicros(), body)
          .whenComplete((answer, failure) -> answer(order.id(), answer, failure));
    }

    private void answer(long id, byte[] body, Throwable failure) {
      if (failure == null) {
        control.add(LinkMessage.OrderDone.of(id, body));
      } else {
        Throwable cause = Failures.cause(failure);
        if (!(cause instanceof Refusal)) {
          log.error("volume {}: an order failed", identity.volume(), cause);
        }
        control.add(
            LinkMessage.OrderDone.of(
                id,
                cause instanceof Refusal refusal
                    ? refusal
                    : new Refusal(ErrorCode.FAILED, "the order failed: " + cause)));
      }
      capture.wake();
    }

    private void acknowledge(LinkMessage.Ack ack) throws IOException {
      while (acked < ack.commands()) {
        synchronized (unackedFrames) {
          Long bytes = unackedFrames.pollFirst();
          if (bytes == null) {
            throw new LinkProtocolException("the node acknowledges what was not sent");
          }
          unackedBytes -= bytes;
        }
        acked++;
        capture.acknowledged();
      }
    }

    ByteBuffer hashes(ByteRange range, int blockBytes) throws IOException, InterruptedException {
      int id = nextId.incrementAndGet();
      CompletableFuture<ByteBuffer> answer = new CompletableFuture<>();
      asked.put(id, answer);
      control.add(new LinkMessage.HashesRequest(id, range, blockBytes));
      capture.wake();
      if (over) {
        failAsked();
      }
      try {
        return answer.get(HASHES_SECONDS, TimeUnit.SECONDS);
      } catch (ExecutionException e) {
        throw new IOException(e.getCause().getMessage(), e);
      } catch (TimeoutException e) {
        throw new IOException("no hashes of " + range + " after a minute", e);
      } finally {
        asked.remove(id);
      }
    }

    ContentRun content(ByteRange range) throws IOException, InterruptedException {
      if (terms.version() < ProtocolVersion.V4.code()) {
        throw new IOException("the node is too old to give content: update it");
      }
      int id = nextId.incrementAndGet();
      CompletableFuture<ContentRun> answer = new CompletableFuture<>();
      fetched.put(id, answer);
      control.add(new LinkMessage.ContentRequest(id, range));
      capture.wake();
      if (over) {
        failAsked();
      }
      try {
        ContentRun run = answer.get(HASHES_SECONDS, TimeUnit.SECONDS);
        if (run.length() > range.length()) {
          throw new IOException("the node gave " + run.length() + " bytes of " + range);
        }
        return run;
      } catch (ExecutionException e) {
        throw new IOException(e.getCause().getMessage(), e);
      } catch (TimeoutException e) {
        throw new IOException("no content of " + range + " after a minute", e);
      } finally {
        fetched.remove(id);
      }
    }

    private void failAsked() {
      IOException cause = failure;
      String why = "the link to the node broke" + (cause == null ? "" : ": " + cause.getMessage());
      asked.values().forEach(f -> f.completeExceptionally(new IOException(why)));
      fetched.values().forEach(f -> f.completeExceptionally(new IOException(why)));
    }

    void closeIfSilent() {
      if (System.nanoTime() - heardNanos > settings.deadAfter().toNanos()) {
        failure = new IOException("the node has been silent for " + settings.deadAfter());
        closeChannel();
      }
    }

    void closeChannel() {
      over = true;
      try {
        channel.close();
      } catch (IOException e) {
        log.debug("closing the link: {}", e.toString());
      }
    }

    void end() throws InterruptedException {
      closeChannel();
      failAsked();
      try {
        reader.join();
      } finally {
        hasher.shutdown();
        awaitHasher();
      }
    }

    /** Never interrupts it, which would close the backing store; it ends within one block. */
    private void awaitHasher() {
      boolean interrupted = false;
      while (!hasher.isTerminated()) {
        try {
          if (!hasher.awaitTermination(FAREWELL_SECONDS, TimeUnit.SECONDS)) {
            log.warn("volume {}: a read for verification takes long", identity.volume());
          }
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
