package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Waits for the end of a plan's run and tells each of its tasks on standard error. */
final class PlanProgress {
  private static final long POLL_MILLIS = 200;

  private final Asking asking;
  private final NodeClient client;
  private int told;

  PlanProgress(Asking asking, NodeClient client) {
    this.asking = asking;
    this.client = client;
  }

  /** Shows the plan, once its run has ended unless detached, and returns the exit code. */
  int show(JsonNode begun, boolean detach) {
    JsonNode plan = detach ? begun : follow(begun);
    asking.show(plan, out -> PlanCommands.details(plan, out));
    if (plan.path("state").asText().equals("Failed")) {
      throw new Refusal(
          ErrorCode.valueOf(plan.path("code").asText("FAILED")),
          "the run of plan '%s' waits for an order: %s; give the same order again, or tidemark rollback-failover %s"
              .formatted(
                  plan.path("name").asText(),
                  plan.path("reason").asText(),
                  plan.path("name").asText()));
    }
    return 0;
  }

  private JsonNode follow(JsonNode begun) {
    JsonNode plan = begun;
    long generation = begun.path("generation").asLong();
    // Nobody counts it down: it only lets the wait between two looks be interrupted.
    CountDownLatch never = new CountDownLatch(1);
    try {
      while (runs(plan, generation)) {
        tell(plan);
        never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
        plan = client.get(PlanCommands.path(begun.path("name").asText()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted; the run goes on", e);
    }
    tell(plan);
    return plan;
  }

  /** Every state of a run under way is something that is being done. */
  private static boolean runs(JsonNode plan, long generation) {
    return plan.path("generation").asLong() < generation
        || plan.path("state").asText().endsWith("ing")
        || plan.path("state").asText().equals("FailingOver");
  }

  private void tell(JsonNode plan) {
    JsonNode tasks = plan.path("run").path("tasks");
    for (; told < tasks.size() && !tasks.get(told).path("words").asText().isEmpty(); told++) {
      JsonNode task = tasks.get(told);
      asking
          .err()
          .println("%s: %s".formatted(task.path("task").asText(), task.path("words").asText()));
    }
    asking.err().flush();
  }
}
