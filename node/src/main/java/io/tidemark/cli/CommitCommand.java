package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark commit}: a failover stays. */
@Command(
    name = "commit",
    mixinStandardHelpOptions = true,
    description = {
      "Commit a failover: the old site follows from now on.",
      "What it had beyond the promoted point is kept there as a branch.",
    })
final class CommitCommand implements Callable<Integer> {
  @Mixin private Asking asking;

  @Parameters(paramLabel = "PLAN", description = "a plan")
  private String plan;

  @Option(names = "--detach", description = "do not wait: watch it with 'tidemark plan show'")
  private boolean detach;

  @Override
  public Integer call() {
    NodeClient client = asking.client();
    JsonNode begun = client.post(PlanCommands.path(plan) + "/commit", NodeClient.object());
    return new PlanProgress(asking, client).show(begun, detach);
  }
}
