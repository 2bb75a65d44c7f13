package io.tidemark.order;

import java.util.concurrent.CompletionStage;

/** A tap's link, as its session uses it to pass orders on. Thread-safe. */
@FunctionalInterface
public interface OrderTaker {
  /**
   * Sends the order to the tap.
   *
   * @return the body of its answer; fails with the tap's refusal, with {@code INVALID} when its
   *     version of the link has no orders, {@code LIMIT} when too many are open, {@code
   *     NOT_ACKNOWLEDGED} when the deadline has passed or the link ends
   */
  CompletionStage<byte[]> take(TapOrder order);
}
