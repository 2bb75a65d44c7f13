package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark rollback-failover}: a failover or a test is undone. */
@Command(
    name = "rollback-failover",
    mixinStandardHelpOptions = true,
    description = {
      "Undo a failover that is not committed, or clean up after a test.",
      "Volumes go on where they were; what was written meanwhile is kept as a branch.",
    })
final class RollbackFailoverCommand implements Callable<Integer> {
  @Mixin private Asking asking;

  @Parameters(paramLabel = "PLAN", description = "a plan")
  private String plan;

  @Option(names = "--detach", description = "do not wait: watch it with 'tidemark plan show'")
  private boolean detach;

  @Override
  public Integer call() {
    NodeClient client = asking.client();
    JsonNode begun = client.post(PlanCommands.path(plan) + "/rollback", NodeClient.object());
    return new PlanProgress(asking, client).show(begun, detach);
  }
}
