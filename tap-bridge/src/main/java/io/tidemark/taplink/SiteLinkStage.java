package io.tidemark.taplink;

import akka.stream.Attributes;
import akka.stream.BidiShape;
import akka.stream.Inlet;
import akka.stream.Outlet;
import akka.stream.SubscriptionWithCancelException;
import akka.stream.stage.AbstractInHandler;
import akka.stream.stage.AbstractOutHandler;
import akka.stream.stage.GraphStageLogic;
import akka.stream.stage.GraphStageWithMaterializedValue;
import akka.stream.stage.TimerGraphStageLogic;
import akka.util.ByteString;
import io.tidemark.journal.SessionGrant;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.LineIdentity;
import io.tidemark.replication.LinkNews;
import io.tidemark.replication.Parcel;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import javax.net.ssl.SSLHandshakeException;
import scala.Tuple2;

/**
 * The sending end of a link between sites: parcels in, the other site's news out, bytes to and from
 * the connection. A parcel is taken only while the peer's window has room and the line takes bytes,
 * so a slow line or a slow journal holds the source back and nothing piles up.
 *
 * <pre>
 *   parcels --&gt; [          ] --&gt; bytes to the line
 *   news    &lt;-- [          ] &lt;-- bytes from the line
 * </pre>
 *
 * It materializes the grant with which the other site lets it in: parcels are to begin after its
 * head. It fails with the peer's {@link Refusal}, with {@code CORRUPT} when the peer breaks the
 * protocol, with {@code UNAUTHENTICATED} when one end does not accept the other's certificate, and
 * with {@code NOT_ACKNOWLEDGED} when it is silent or gone; it completes after the last parcel has
 * been acknowledged.
 */
public final class SiteLinkStage
    extends GraphStageWithMaterializedValue<
        BidiShape<Parcel, ByteString, ByteString, LinkNews>, CompletionStage<SessionGrant>> {
  private final Inlet<Parcel> parcels = Inlet.create("site.parcels");
  private final Outlet<ByteString> toLine = Outlet.create("site.toLine");
  private final Inlet<ByteString> fromLine = Inlet.create("site.fromLine");
  private final Outlet<LinkNews> news = Outlet.create("site.news");
  private final BidiShape<Parcel, ByteString, ByteString, LinkNews> shape =
      new BidiShape<>(parcels, toLine, fromLine, news);
  private final LineIdentity identity;
  private final LinkSettings settings;

  public SiteLinkStage(LineIdentity identity, LinkSettings settings) {
    this.identity = identity;
    this.settings = settings;
  }

  @Override
  public BidiShape<Parcel, ByteString, ByteString, LinkNews> shape() {
    return shape;
  }

  @Override
  public Tuple2<GraphStageLogic, CompletionStage<SessionGrant>> createLogicAndMaterializedValue(
      Attributes attributes) {
    CompletableFuture<SessionGrant> granted = new CompletableFuture<>();
    return new Tuple2<>(new Logic(granted), granted);
  }

  private static LinkMessage message(Parcel parcel) {
    if (parcel instanceof Parcel.Packed packed) {
      return new LinkMessage.Packed(ByteBuffer.wrap(packed.bytes()));
    }
    if (parcel instanceof Parcel.Gap gap) {
      return new LinkMessage.Gap(
          gap.first().value(), gap.last().value(), gap.time().micros(), gap.reason());
    }
    if (parcel instanceof Parcel.SyncDone done) {
      return new LinkMessage.SyncDone(done.differentBytes());
    }
    Parcel.AskHashes ask = (Parcel.AskHashes) parcel;
    return new LinkMessage.HashesRequest(ask.id(), ask.range(), ask.blockBytes());
  }

  /** What it takes of the peer's window until it is acknowledged. */
  private static long windowBytes(Parcel parcel) {
    if (parcel instanceof Parcel.Packed packed) {
      return FrameParser.HEADER_BYTES + (long) packed.bytes().length + packed.meta().dataBytes();
    }
    FrameType type = parcel instanceof Parcel.Gap ? FrameType.GAP : FrameType.SYNC_DONE;
    return FrameParser.HEADER_BYTES + type.checkedBytesMax();
  }

  /** A handshake fails by a certificate; nothing else says {@code UNAUTHENTICATED} of a line. */
  private static Refusal broken(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof SSLHandshakeException) {
        return new Refusal(
            ErrorCode.UNAUTHENTICATED,
            ("this site and the other do not accept each other's certificates (%s); 'tidemark"
                    + " status' at the site that refuses names which and why: issue it another"
                    + " (tidemark certs issue) and restart its node; nothing is lost meanwhile")
                .formatted(cause.getMessage()),
            failure);
      }
    }
    return new Refusal(
        ErrorCode.NOT_ACKNOWLEDGED,
        "the line to the other site failed: " + failure.getMessage(),
        failure);
  }

  private final class Logic extends TimerGraphStageLogic {
    private final CompletableFuture<SessionGrant> granted;
    private final FrameParser parser = new FrameParser(LinkEnd.NODE, header -> {});
    private final ArrayDeque<ByteBuffer> outgoing = new ArrayDeque<>();
    private final ArrayDeque<LinkNews> told = new ArrayDeque<>();
    private final ArrayDeque<Long> unacknowledged = new ArrayDeque<>();
    private long bytesInFlight;
    private long commandsAcked;
    private int windowBytes;
    private boolean finished;
    private long heardNanos = System.nanoTime();

    Logic(CompletableFuture<SessionGrant> granted) {
      super(shape);
      this.granted = granted;
      setHandler(
          parcels,
          new AbstractInHandler() {
            @Override
            public void onPush() {
              send(grab(parcels));
            }

            @Override
            public void onUpstreamFinish() {
              finished = true;
              farewellWhenAcknowledged();
            }
          });
      setHandler(
          fromLine,
          new AbstractInHandler() {
            @Override
            public void onPush() {
              received(grab(fromLine));
            }

            @Override
            public void onUpstreamFinish() {
              if (finished && unacknowledged.isEmpty()) {
                completeStage();
              } else {
                fail(new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the other site closed the link"));
              }
            }

            @Override
            public void onUpstreamFailure(Throwable failure) {
              fail(broken(failure));
            }
          });
      setHandler(
          toLine,
          new AbstractOutHandler() {
            @Override
            public void onPull() {
              flush();
            }

            /** What the other direction ends with says why; silence ends it at the latest. */
            @Override
            public void onDownstreamFinish(Throwable cause) {
              if (!(cause instanceof SubscriptionWithCancelException.NonFailureCancellation)) {
                fail(broken(cause));
              }
            }
          });
      setHandler(
          news,
          new AbstractOutHandler() {
            @Override
            public void onPull() {
              tell();
            }
          });
    }

    @Override
    public void preStart() {
      outgoing.add(
          new LinkMessage.Hello(
                  ProtocolVersion.V3.code(),
                  ProtocolVersion.newest().code(),
                  identity.link(),
                  identity.sizeBytes(),
                  identity.volume().toString(),
                  identity.origin())
              .frame());
      scheduleWithFixedDelay("ping", settings.pingEvery(), settings.pingEvery());
      pull(fromLine);
    }

    @Override
    public void postStop() {
      granted.completeExceptionally(
          new Refusal(
              ErrorCode.NOT_ACKNOWLEDGED, "the link ended before the other site let it in"));
    }

    @Override
    public void onTimer(Object key) {
      if (System.nanoTime() - heardNanos > settings.deadAfter().toNanos()) {
        fail(
            new Refusal(
                ErrorCode.NOT_ACKNOWLEDGED,
                "the other site was silent for " + settings.deadAfter().toSeconds() + " s"));
      } else if (granted.isDone()) { // nothing but HELLO is due before WELCOME
        outgoing.add(new LinkMessage.Ping(System.nanoTime()).frame());
        flush();
      }
    }

    private void fail(Refusal refusal) {
      granted.completeExceptionally(refusal);
      failStage(refusal);
    }

    private void send(Parcel parcel) {
      outgoing.add(message(parcel).frame());
      if (parcel.acknowledged()) {
        long bytes = windowBytes(parcel);
        unacknowledged.add(bytes);
        bytesInFlight += bytes;
      }
      flush();
    }

    /** Takes the next parcel when the window has room and the line has taken the last. */
    private void pullMore() {
      if (granted.isDone()
          && outgoing.isEmpty()
          && bytesInFlight < windowBytes
          && !hasBeenPulled(parcels)
          && !isClosed(parcels)) {
        pull(parcels);
      }
    }

    private void flush() {
      if (isAvailable(toLine)) {
        ByteBuffer next = outgoing.pollFirst();
        if (next != null) {
          push(toLine, ByteString.fromArrayUnsafe(next.array(), next.position(), next.remaining()));
        }
      }
      pullMore();
    }

    private void tell() {
      if (isAvailable(news) && !told.isEmpty()) {
        push(news, told.pollFirst());
      }
      if (!isClosed(fromLine) && !hasBeenPulled(fromLine) && told.isEmpty()) {
        pull(fromLine);
      }
    }

    private void received(ByteString bytes) {
      heardNanos = System.nanoTime();
      bytes.getByteBuffers().forEach(parser::feed);
      try {
        for (FrameParser.Frame frame = parser.next(); frame != null; frame = parser.next()) {
          onMessage(LinkMessage.decode(frame));
        }
      } catch (LinkProtocolException e) {
        fail(new Refusal(ErrorCode.CORRUPT, e.getMessage()));
        return;
      }
      tell();
      flush();
    }

    private void onMessage(LinkMessage message) throws LinkProtocolException {
      if (message instanceof LinkMessage.Welcome welcome) {
        windowBytes = welcome.windowBytes();
        if (!granted.complete(welcome.grant())) {
          throw new LinkProtocolException("a second welcome");
        }
        if (welcome.version() >= ProtocolVersion.V4.code()) {
          told.add(new LinkNews.TakesSimilar());
        }
      } else if (message instanceof LinkMessage.Ack ack) {
        onAck(ack);
      } else if (message instanceof LinkMessage.Hashes hashes) {
        told.add(new LinkNews.Hashes(hashes.id(), hashes.hashes()));
      } else if (message instanceof LinkMessage.Ping ping) {
        outgoing.add(new LinkMessage.Pong(ping.stamp()).frame());
        alive();
      } else if (message instanceof LinkMessage.Pong) {
        alive();
      } else if (message instanceof LinkMessage.Refused refused) {
        fail(lasting(refused.refusal()));
      } else if (message instanceof LinkMessage.Bye bye
          && !(finished && unacknowledged.isEmpty())) {
        fail(new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the other site took leave: " + bye.reason()));
      }
      // Orders are for taps.
    }

    /** Told only when there is nothing else to tell, so that nothing piles up. */
    private void alive() {
      if (told.isEmpty()) {
        told.add(new LinkNews.Alive());
      }
    }

    /**
     * A session that was replaced or lost says nothing of the epoch (L7), and what does not follow
     * here may follow the head that the next WELCOME names: attach again and see.
     */
    private Refusal lasting(Refusal refusal) {
      boolean here = refusal.code() == ErrorCode.FENCED || refusal.code() == ErrorCode.INVALID;
      return here && granted.isDone()
          ? new Refusal(ErrorCode.NOT_ACKNOWLEDGED, refusal.getMessage())
          : refusal;
    }

    private void onAck(LinkMessage.Ack ack) throws LinkProtocolException {
      while (commandsAcked < ack.commands()) {
        Long bytes = unacknowledged.pollFirst();
        if (bytes == null) {
          throw new LinkProtocolException("an acknowledgement of what was never sent");
        }
        bytesInFlight -= bytes;
        commandsAcked++;
      }
      told.add(new LinkNews.Acknowledged(new WriteSeq(ack.seq()), commandsAcked));
      farewellWhenAcknowledged();
    }

    private void farewellWhenAcknowledged() {
      if (finished && unacknowledged.isEmpty()) {
        outgoing.add(new LinkMessage.Bye("the link is stopped").frame());
        flush();
      }
    }
  }
}
