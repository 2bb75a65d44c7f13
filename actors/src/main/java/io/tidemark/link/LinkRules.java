package io.tidemark.link;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.Throttle;

/**
 * How a link is to run; may be changed at any time.
 *
 * @param throttle how fast it may send
 * @param priority 1 to 9; when links share a line those with more go first
 * @param rpoSeconds the lag above which administrators are told, 0 for never
 */
public record LinkRules(Throttle throttle, int priority, int rpoSeconds) {
  public static final LinkRules DEFAULT = new LinkRules(Throttle.NONE, 5, 0);

  public static final int PRIORITY_MAX = 9;

  /**
   * @throws Refusal {@code INVALID} for what cannot be
   */
  public LinkRules checked() {
    throttle.checked();
    if (priority < 1 || priority > PRIORITY_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a link's priority is 1 to %d; %d is not".formatted(PRIORITY_MAX, priority));
    }
    if (rpoSeconds < 0) {
      throw new Refusal(
          ErrorCode.INVALID, "an objective of %d seconds cannot be".formatted(rpoSeconds));
    }
    return this;
  }
}
