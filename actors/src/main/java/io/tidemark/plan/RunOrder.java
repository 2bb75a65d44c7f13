package io.tidemark.plan;

import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.position.At;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;

/**
 * What an operator orders.
 *
 * @param at the point of a forced failover or a test
 * @param overrides codes of the guard rails that are not to stop it (P5)
 */
public record RunOrder(Kind kind, String at, List<ErrorCode> overrides) {
  public RunOrder {
    overrides = List.copyOf(overrides);
  }

  /** An order of that kind, without more. */
  public static RunOrder of(Kind kind) {
    return new RunOrder(kind, "latest", List.of());
  }

  /**
   * @throws Refusal {@code INVALID} for what cannot be
   */
  public RunOrder checked() {
    At parsed = At.parse(at);
    boolean latestOnly = kind != Kind.FORCED && kind != Kind.TEST;
    if (latestOnly && !(parsed instanceof At.Latest)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "only a forced failover or a test goes to an earlier point; a planned one loses nothing");
    }
    return this;
  }
}
