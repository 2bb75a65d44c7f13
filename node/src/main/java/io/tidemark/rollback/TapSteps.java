package io.tidemark.rollback;

import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taplink.LiveLink;
import io.tidemark.taprollback.RollbackOrder;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Sends a rollback's steps to the tap, a bounded number at once (B5). Blocks; for one thread. */
final class TapSteps {
  /** Steps under way; each carries 32 KiB at most. */
  static final int STEPS_MAX = 16;

  private final LiveLink link;
  private final MicroClock clock;
  private final Duration limit;
  private final Deque<CompletableFuture<byte[]>> underWay = new ArrayDeque<>();

  /**
   * @param limit for each step, from its sending to its answer
   */
  TapSteps(LiveLink link, MicroClock clock, Duration limit) {
    this.link = link;
    this.clock = clock;
    this.limit = limit;
  }

  /** Sends a step once there is room; throws the refusal of an earlier one that failed. */
  void send(RollbackOrder step) {
    if (underWay.size() >= STEPS_MAX) {
      seq(underWay.remove());
    }
    underWay.add(order(step));
  }

  /** Waits for all steps under way, sends this one and returns the seq that it is answered with. */
  long ask(RollbackOrder step) {
    while (!underWay.isEmpty()) {
      seq(underWay.remove());
    }
    return seq(order(step));
  }

  private CompletableFuture<byte[]> order(RollbackOrder step) {
    long id = UUID.randomUUID().getMostSignificantBits();
    long deadline = clock.micros() + TimeUnit.NANOSECONDS.toMicros(limit.toNanos());
    return link.order(new TapOrder(id, OrderKind.ROLLBACK, deadline, step.encode()))
        .toCompletableFuture();
  }

  private long seq(CompletableFuture<byte[]> answer) {
    try {
      return RollbackOrder.seq(answer.join());
    } catch (CompletionException e) {
      if (e.getCause() instanceof Refusal refusal) {
        throw refusal;
      }
      if (e.getCause() instanceof TimeoutException) {
        throw new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "the tap did not answer within " + limit.toSeconds() + " s",
            e);
      }
      throw e;
    }
  }
}
