package io.tidemark.taporder;

import io.tidemark.order.OrderKind;
import io.tidemark.order.Quiescing;
import io.tidemark.order.TapOrder;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Where the orders for one volume's tap arrive, whatever connection they come by. Lives as long as
 * the tap process serves the volume. Thread-safe.
 */
public final class OrderDesk {
  /** Answered orders whose answer is kept. */
  public static final int REMEMBERED_MAX = 512;

  /** Bytes of their answers. */
  public static final int REMEMBERED_BYTES_MAX = 1 << 20;

  private final Map<OrderKind, OrderHandler> handlers = new EnumMap<>(OrderKind.class);
  private final Map<Long, CompletableFuture<byte[]>> open = new LinkedHashMap<>();
  private final Map<Long, CompletableFuture<byte[]>> answered = new LinkedHashMap<>();
  private long answeredBytes;

  /** From now on orders of that kind are carried out by that handler. */
  public synchronized OrderDesk handle(OrderKind kind, OrderHandler handler) {
    handlers.put(kind, handler);
    return this;
  }

  /** From now on QUIESCE and THAW are carried out by these hooks. */
  public OrderDesk handle(QuiesceHooks hooks) {
    return handle(
            OrderKind.QUIESCE,
            (id, body, left) -> {
              Quiescing.Request request = Quiescing.Request.decode(body);
              return hooks
                  .quiesce(request.owner(), request.applications(), left)
                  .thenApply(Quiescing::encode);
            })
        .handle(
            OrderKind.THAW,
            (id, body, left) ->
                hooks
                    .thaw(Quiescing.Request.decode(body).owner(), left)
                    .thenApply(Quiescing::encode));
  }

  /**
   * Carries an order out, or finds that it was (D1).
   *
   * @param kind its code on the wire
   * @param leftMicros until its deadline
   * @return the answer's body; fails with a {@code Refusal}
   */
  public CompletionStage<byte[]> take(long id, int kind, long leftMicros, byte[] body) {
    CompletableFuture<byte[]> result;
    OrderHandler handler;
    synchronized (this) {
      CompletableFuture<byte[]> known = answered.getOrDefault(id, open.get(id));
      if (known != null) {
        return known.copy();
      }
      if (leftMicros <= 0) {
        return refuse(ErrorCode.NOT_ACKNOWLEDGED, "the order came after its deadline");
      }
      Optional<OrderHandler> found = OrderKind.of(kind).map(handlers::get);
      if (found.isEmpty()) {
        return refuse(ErrorCode.INVALID, "this tap carries out no orders of kind " + kind);
      }
      if (open.size() >= TapOrder.OPEN_MAX) {
        return refuse(ErrorCode.LIMIT, TapOrder.OPEN_MAX + " orders are open");
      }
      handler = found.get();
      result = new CompletableFuture<>();
      open.put(id, result);
    }
    begin(handler, id, body, leftMicros)
        .whenComplete((answer, failure) -> settle(id, result, answer, failure));
    return result.copy();
  }

  private static CompletionStage<byte[]> begin(
      OrderHandler handler, long id, byte[] body, long leftMicros) {
    try {
      return handler.carryOut(id, body, Duration.ofNanos(Math.multiplyExact(leftMicros, 1_000L)));
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private void settle(long id, CompletableFuture<byte[]> result, byte[] answer, Throwable failure) {
    boolean tooLong = failure == null && answer.length > TapOrder.BODY_BYTES_MAX;
    synchronized (this) {
      open.remove(id);
      answered.put(id, result);
      answeredBytes += failure == null && !tooLong ? answer.length : 0;
      forgetOldest();
    }
    if (tooLong) {
      result.completeExceptionally(
          new Refusal(ErrorCode.LIMIT, "the order's answer has " + answer.length + " bytes"));
    } else if (failure != null) {
      result.completeExceptionally(failure);
    } else {
      result.complete(answer);
    }
  }

  private void forgetOldest() {
    Iterator<CompletableFuture<byte[]>> oldest = answered.values().iterator();
    while (answered.size() > 1
        && (answered.size() > REMEMBERED_MAX || answeredBytes > REMEMBERED_BYTES_MAX)) {
      CompletableFuture<byte[]> gone = oldest.next();
      oldest.remove();
      if (!gone.isCompletedExceptionally()) {
        answeredBytes -= gone.getNow(new byte[0]).length;
      }
    }
  }

  private static CompletionStage<byte[]> refuse(ErrorCode code, String sentence) {
    return CompletableFuture.failedFuture(new Refusal(code, sentence));
  }
}
