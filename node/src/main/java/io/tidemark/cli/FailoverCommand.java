package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark failover}: volumes go on at the other site. */
@Command(
    name = "failover",
    mixinStandardHelpOptions = true,
    description = {
      "Have a plan's volumes go on at its other site, or test that they could.",
    },
    footer = {
      "",
      "planned  both sites answer; nothing is lost, or it does not happen",
      "forced   at once, at latest or at an earlier point; what is lost is counted",
      "test     isolated writable images at the other site; rollback-failover cleans up",
      "",
      "Examples:",
      "  tidemark failover shop --mode planned",
      "  tidemark failover shop --mode forced --override SECOND_PRIMARY",
      "  tidemark failover shop --mode test --at tag:noon",
    })
final class FailoverCommand implements Callable<Integer> {
  @Mixin private Asking asking;

  @Parameters(paramLabel = "PLAN", description = "a plan")
  private String plan;

  @Option(
      names = "--mode",
      required = true,
      paramLabel = "MODE",
      description = "planned, forced or test")
  private String mode;

  @Option(
      names = "--at",
      paramLabel = "AT",
      description = "forced or test: latest, seq:N, time:ISO-8601 or tag:NAME")
  private String at;

  @Option(
      names = "--override",
      paramLabel = "CODE",
      description =
          "what is not to stop it: NOT_SYNCHRONIZED, DARK_INTERVAL or SECOND_PRIMARY; may be"
              + " repeated")
  private List<String> overrides;

  @Option(names = "--detach", description = "do not wait: watch it with 'tidemark plan show'")
  private boolean detach;

  @Override
  public Integer call() {
    NodeClient client = asking.client();
    ObjectNode request = NodeClient.object().put("mode", mode);
    if (at != null) {
      request.put("at", at);
    }
    if (overrides != null) {
      ArrayNode all = request.putArray("override");
      overrides.forEach(all::add);
    }
    JsonNode begun = client.post(PlanCommands.path(plan) + "/failover", request);
    return new PlanProgress(asking, client).show(begun, detach);
  }
}
