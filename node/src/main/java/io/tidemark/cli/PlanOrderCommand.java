package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * An order to a recovery plan that needs nothing but the plan's name; its run is shown to its end.
 */
abstract class PlanOrderCommand implements Callable<Integer> {
  private final String order;

  @Mixin private Asking asking;

  @Parameters(paramLabel = "PLAN", description = "a plan")
  private String plan;

  @Option(names = "--detach", description = "do not wait: watch it with 'tidemark plan show'")
  private boolean detach;

  /**
   * @param order the last part of its path below the plan's
   */
  PlanOrderCommand(String order) {
    this.order = order;
  }

  @Override
  public final Integer call() {
    NodeClient client = asking.client();
    JsonNode begun = client.post(PlanCommands.path(plan) + "/" + order, NodeClient.object());
    return new PlanProgress(asking, client).show(begun, detach);
  }
}
