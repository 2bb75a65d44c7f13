package io.tidemark.journal;

import akka.actor.typed.ActorRef;
import io.tidemark.order.OrderTaker;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.volume.SessionMessage;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/** A tap link's side of a {@link TapSession}: turns calls into messages, usable by any thread. */
final class TapSessionHandle implements JournalSession {
  /** Hashes of at most so much content are asked for at once. */
  static final long HASH_RANGE_MAX = 64L << 20;

  private static final int SECTOR_BYTES = 512;

  private final SessionGrant grant;
  private final ActorRef<SessionMessage> session;
  private final CompletableFuture<Refusal> ended;
  private final Set<CompletableFuture<?>> open = ConcurrentHashMap.newKeySet();

  /**
   * @param ended completed by the session actor when it stops
   */
  TapSessionHandle(
      SessionGrant grant, ActorRef<SessionMessage> session, CompletableFuture<Refusal> ended) {
    this.grant = grant;
    this.session = session;
    this.ended = ended;
    ended.thenAccept(this::failOpen);
  }

  private void failOpen(Refusal reason) {
    open.forEach(call -> call.completeExceptionally(reason));
  }

  /** A call that fails when the session is over before it is answered. */
  private <T> CompletionStage<T> call(Function<CompletableFuture<T>, SessionMessage> message) {
    CompletableFuture<T> result = new CompletableFuture<>();
    open.add(result);
    CompletionStage<T> answer = result.whenComplete((value, failure) -> open.remove(result));
    session.tell(message.apply(result));
    Refusal reason = ended.getNow(null);
    if (reason != null) {
      result.completeExceptionally(reason);
    }
    return answer;
  }

  @Override
  public SessionGrant grant() {
    return grant;
  }

  @Override
  public CompletionStage<WriteSeq> append(SegmentMeta meta, List<ByteBuffer> data) {
    return call(result -> new TapSession.Append(meta, data, result));
  }

  @Override
  public CompletionStage<WriteSeq> gap(
      WriteSeq first, WriteSeq last, MicroTime time, String reason) {
    return call(result -> new TapSession.Gap(first, last, time, reason, result));
  }

  @Override
  public CompletionStage<WriteSeq> completeSync(long differentBytes) {
    return call(result -> new TapSession.Sync(differentBytes, result));
  }

  @Override
  public CompletionStage<ByteBuffer> hashes(ByteRange range, int blockBytes) {
    boolean whole = range.end() == grant.sizeBytes();
    if (blockBytes < SECTOR_BYTES
        || range.length() < 1
        || range.length() > HASH_RANGE_MAX
        || range.end() > grant.sizeBytes()
        || (range.length() % blockBytes != 0 && !whole)) {
      return CompletableFuture.failedFuture(
          new Refusal(
              ErrorCode.INVALID,
              "hashes are of whole blocks of at least %d bytes, at most %d bytes, inside the volume: not of blocks of %d in %s"
                  .formatted(SECTOR_BYTES, HASH_RANGE_MAX, blockBytes, range)));
    }
    return call(result -> new TapSession.Hashes(range, blockBytes, result));
  }

  @Override
  public CompletionStage<ContentRun> content(ByteRange range) {
    if (range.length() < 1
        || range.length() > ContentRun.RANGE_BYTES_MAX
        || range.end() > grant.sizeBytes()) {
      return CompletableFuture.failedFuture(
          new Refusal(
              ErrorCode.INVALID,
              "content is given of 1 to %d bytes inside the volume: not of %s"
                  .formatted(ContentRun.RANGE_BYTES_MAX, range)));
    }
    return call(result -> new TapSession.Content(range, result));
  }

  @Override
  public void takeOrders(OrderTaker taker) {
    session.tell(new TapSession.Ready(taker));
  }

  @Override
  public void status(TapStatus status) {
    session.tell(new TapSession.Status(status));
  }

  @Override
  public CompletionStage<Refusal> ended() {
    return ended.copy();
  }

  @Override
  public CompletionStage<Void> detach() {
    session.tell(new TapSession.Detach());
    return ended.thenApply(reason -> null);
  }
}
