package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code tidemark jobs}: long work of the node. */
@Command(
    name = "jobs",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "[COMMAND]",
    description =
        "List, show and cancel the node's long work: exports, verifications and rollbacks.",
    footer = {"", "Example:", "  tidemark jobs cancel $(tidemark jobs --json | jq -r '.[0].id')"})
final class JobCommands implements Runnable {
  @Mixin private Asking asking;

  @Override
  public void run() {
    list(asking);
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "List jobs, newest first.")
  void list(@Mixin Asking asking) {
    JsonNode jobs = asking.client().get("/jobs");
    asking.show(jobs, out -> table(jobs, out));
  }

  private static void table(JsonNode jobs, PrintWriter out) {
    Table table = new Table("JOB", "KIND", "STATE", "DONE", "BYTES", "TO GO", "SUBJECT");
    for (JsonNode job : jobs) {
      JsonNode eta = job.path("etaSeconds");
      table.row(
          job.path("id").asText(),
          job.path("kind").asText(),
          job.path("state").asText(),
          String.format(Locale.ROOT, "%.0f %%", job.path("fraction").asDouble() * 100),
          Amounts.size(job.path("bytes").path("done").asLong()),
          eta.isNumber() ? Amounts.seconds(eta.asDouble()) : "-",
          job.path("subject").asText());
    }
    table.print(out, "There are no jobs.");
  }

  @Command(name = "show", mixinStandardHelpOptions = true, description = "Show a job.")
  void show(
      @Mixin Asking asking, @Parameters(paramLabel = "JOB", description = "its id") String id) {
    JsonNode job = asking.client().get("/jobs/" + NodeClient.escaped(id));
    asking.show(job, out -> out.println(sentence(job)));
  }

  @Command(
      name = "cancel",
      mixinStandardHelpOptions = true,
      description =
          "Stop a job. What an export has made is removed; a volume that is being rolled back stays as"
              + " it is then, and the job says how to go on.")
  void cancel(
      @Mixin Asking asking, @Parameters(paramLabel = "JOB", description = "its id") String id) {
    JsonNode job = asking.client().delete("/jobs/" + NodeClient.escaped(id));
    asking.show(job, out -> out.println(sentence(job)));
  }

  /** A job in words, its results one a line. */
  static String sentence(JsonNode job) {
    StringBuilder text = new StringBuilder();
    text.append("job ").append(job.path("id").asText());
    text.append(" (").append(job.path("subject").asText()).append(") is ");
    text.append(job.path("state").asText());
    text.append(
        String.format(
            Locale.ROOT,
            ", %.0f %%, %s",
            job.path("fraction").asDouble() * 100,
            Amounts.size(job.path("bytes").path("done").asLong())));
    job.path("result")
        .fields()
        .forEachRemaining(
            entry ->
                text.append(System.lineSeparator())
                    .append("  ")
                    .append(entry.getKey())
                    .append(": ")
                    .append(entry.getValue().asText()));
    return text.toString();
  }
}
