package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark rollback}: takes a volume back to a point, in place. */
@Command(
    name = "rollback",
    mixinStandardHelpOptions = true,
    description = {
      "Take a volume back to a point, in place: what differs is written through its tap, as new"
          + " writes, so that it can be undone.",
    },
    footer = {
      "",
      "Clients must have disconnected; meanwhile none is let in. With --force those that are",
      "connected fail and have to connect again. The seq that undoes it is told first.",
      "",
      "Example:",
      "  tidemark rollback db --at time:2026-01-31T12:00:00Z --confirm db",
    })
final class RollbackCommand implements Callable<Integer> {
  @Mixin private Asking asking;

  @Parameters(paramLabel = "NAME", description = "a volume")
  private String name;

  @Option(
      names = "--at",
      required = true,
      paramLabel = "AT",
      description = "latest, seq:N, time:ISO-8601 or tag:NAME")
  private String at;

  @Option(
      names = "--confirm",
      required = true,
      paramLabel = "NAME",
      description = "the same name again, since the live volume is changed")
  private String confirm;

  @Option(names = "--force", description = "although clients are connected: all of them fail")
  private boolean force;

  @Option(
      names = "--detach",
      description = "do not wait: print the job, to be followed with 'tidemark jobs'")
  private boolean detach;

  @Override
  public Integer call() {
    if (!confirm.equals(name)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "taking '%s' back changes the live volume: repeat with --confirm %s to go on"
              .formatted(name, name));
    }
    NodeClient client = asking.client();
    JsonNode job =
        client.post(
            "/volumes/" + NodeClient.escaped(name) + "/rollback",
            NodeClient.object().put("at", at).put("force", force));
    asking
        .err()
        .println(
            "taking %s back to seq %s; to undo it: tidemark rollback %s --at seq:%s --confirm %s"
                .formatted(
                    name, job.at("/at/seq").asText(), name, job.at("/safety/seq").asText(), name));
    asking.err().flush();
    return new JobProgress(asking, client).show(job, detach);
  }
}
