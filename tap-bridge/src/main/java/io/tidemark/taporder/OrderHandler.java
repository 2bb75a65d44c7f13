package io.tidemark.taporder;

import java.time.Duration;
import java.util.concurrent.CompletionStage;

/** Carries out orders of one kind. */
@FunctionalInterface
public interface OrderHandler {
  /**
   * Begins at once, on the link's reading thread, which must not be held up: what takes longer goes
   * on elsewhere.
   *
   * @param id of the order
   * @param body as the kind says
   * @param left until the order's deadline, positive; nobody waits for the answer any longer
   * @return the answer's body, at most {@code TapOrder.BODY_BYTES_MAX}; fails with {@code Refusal}
   */
  CompletionStage<byte[]> carryOut(long id, byte[] body, Duration left);
}
