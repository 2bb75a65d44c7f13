package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark failback}: volumes go home. */
@Command(
    name = "failback",
    mixinStandardHelpOptions = true,
    description = {
      "Take volumes back to the source of a committed plan, without loss.",
      "It is a planned failover the other way; then the source replicates to the target again.",
    })
final class FailbackCommand implements Callable<Integer> {
  @Mixin private Asking asking;

  @Parameters(paramLabel = "PLAN", description = "a plan")
  private String plan;

  @Option(names = "--detach", description = "do not wait: watch it with 'tidemark plan show'")
  private boolean detach;

  @Override
  public Integer call() {
    NodeClient client = asking.client();
    JsonNode begun = client.post(PlanCommands.path(plan) + "/failback", NodeClient.object());
    return new PlanProgress(asking, client).show(begun, detach);
  }
}
