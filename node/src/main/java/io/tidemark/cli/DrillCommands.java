package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark drill}: recovery, tried on a schedule. */
@Command(
    name = "drill",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description =
        "Prove on a schedule that points can be recovered: open one, check it, record it.",
    footer = {
      "",
      "Checks: fsck (ext2/3/4, XFS, NTFS, FAT), postgresql [DIRECTORY [QUERY [DATABASE]]],",
      "command PROGRAM [ARGUMENT ...], a program in the directory 'checks' of the node's data.",
      "",
      "Examples:",
      "  tidemark drill create nightly --volume db --check fsck --every 24h",
      "  tidemark drill run nightly && tidemark volume show db",
    })
final class DrillCommands implements Runnable {
  private static final long POLL_MILLIS = 200;

  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say what to do with drills: create, list, show, run or delete");
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Create a drill.",
      footer = {
        "",
        "Examples:",
        "  tidemark drill create fs --volume db --check fsck --every 1h",
        "  tidemark drill create pg --volume db --check postgresql --every 24h -- data",
        "  tidemark drill create own --volume db --check command -- my-check.sh --fast",
      })
  void create(
      @Mixin Asking asking,
      @Parameters(index = "0", paramLabel = "DRILL", description = "a new name") String name,
      @Option(names = "--volume", required = true, paramLabel = "VOLUME", description = "a volume")
          String volume,
      @Option(
              names = "--check",
              required = true,
              paramLabel = "CHECK",
              description = "fsck, postgresql or command")
          String check,
      @Option(
              names = "--at",
              paramLabel = "AT",
              defaultValue = "latest",
              description = "the point to open each time; default latest")
          String at,
      @Option(
              names = "--every",
              paramLabel = "TIME",
              description = "such as 30s, 15m, 1h or 7d; default: by hand only")
          String every,
      @Option(
              names = "--limit",
              paramLabel = "TIME",
              defaultValue = "10m",
              description = "a check that takes longer has failed; default 10m")
          String limit,
      @Parameters(
              index = "1..*",
              arity = "0..*",
              paramLabel = "ARGUMENT",
              description = "of the check, after --")
          List<String> arguments) {
    ObjectNode request =
        NodeClient.object()
            .put("name", name)
            .put("volume", volume)
            .put("at", at)
            .put("check", check)
            .put("everySeconds", every == null ? 0 : seconds(asking, "--every", every))
            .put("limitSeconds", seconds(asking, "--limit", limit));
    ArrayNode list = request.putArray("arguments");
    if (arguments != null) {
      arguments.forEach(list::add);
    }
    JsonNode drill = asking.client().post("/drills", request);
    asking.show(drill, out -> out.println("drill " + name + " is there"));
  }

  private long seconds(Asking asking, String option, String text) {
    try {
      return Amounts.duration(text);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), option + ": " + e.getMessage(), e);
    }
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "List the drills.")
  void list(@Mixin Asking asking) {
    JsonNode drills = asking.client().get("/drills");
    asking.show(drills, out -> table(drills, out));
  }

  private static void table(JsonNode drills, PrintWriter out) {
    Table table = new Table("DRILL", "VOLUME", "AT", "CHECK", "EVERY", "LAST", "SEQ", "ENDED");
    for (JsonNode drill : drills) {
      JsonNode last = drill.path("results").path(0);
      long every = drill.path("everySeconds").asLong();
      table.row(
          drill.path("name").asText(),
          drill.path("volume").asText(),
          drill.path("at").asText(),
          drill.path("check").asText(),
          every == 0 ? "by hand" : Amounts.seconds(every),
          drill.path("running").isObject() ? "running" : last.path("verdict").asText("-"),
          last.at("/at/seq").asText("-"),
          last.path("ended").asText("-"));
    }
    table.print(out, "There are no drills: create one with 'tidemark drill create'.");
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Show a drill and its newest results.")
  void show(
      @Mixin Asking asking,
      @Parameters(paramLabel = "DRILL", description = "a drill") String name) {
    JsonNode drill = get(asking.client(), name);
    asking.show(drill, out -> words(drill, out));
  }

  private static JsonNode get(NodeClient client, String name) {
    return client.get("/drills/" + NodeClient.escaped(name));
  }

  private static void words(JsonNode drill, PrintWriter out) {
    out.println(
        "drill %s: %s of %s at %s"
            .formatted(
                drill.path("name").asText(),
                drill.path("check").asText(),
                drill.path("volume").asText(),
                drill.path("at").asText()));
    for (JsonNode result : drill.path("results")) {
      out.println(
          "%s  %-6s  seq %s  %s"
              .formatted(
                  result.path("ended").asText(),
                  result.path("verdict").asText(),
                  result.at("/at/seq").asText("-"),
                  result.path("words").asText()));
    }
  }

  @Command(
      name = "run",
      mixinStandardHelpOptions = true,
      description = "Run a drill now; exit code 0 only if the point is good.")
  void run(
      @Mixin Asking asking,
      @Parameters(paramLabel = "DRILL", description = "a drill") String name,
      @Option(names = "--detach", description = "do not wait for its end") boolean detach) {
    NodeClient client = asking.client();
    JsonNode drill =
        client.post("/drills/" + NodeClient.escaped(name) + "/run", NodeClient.object());
    if (!detach) {
      drill = follow(client, name);
    }
    JsonNode shown = drill;
    asking.show(shown, out -> words(shown, out));
    JsonNode last = drill.path("results").path(0);
    if (!detach && !last.path("verdict").asText().equals("passed")) {
      throw new Refusal(
          ErrorCode.FAILED,
          "the drill %s: %s"
              .formatted(last.path("verdict").asText("failed"), last.path("words").asText()));
    }
  }

  private static JsonNode follow(NodeClient client, String name) {
    // Nobody counts it down: it only lets the wait between two looks be interrupted.
    CountDownLatch never = new CountDownLatch(1);
    try {
      JsonNode drill = get(client, name);
      while (drill.path("running").isObject()) {
        never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
        drill = get(client, name);
      }
      return drill;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted; the drill goes on", e);
    }
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "Forget a drill and its results; what it has proven stays.")
  void delete(
      @Mixin Asking asking,
      @Parameters(paramLabel = "DRILL", description = "a drill") String name) {
    JsonNode done = asking.client().delete("/drills/" + NodeClient.escaped(name));
    asking.show(done, out -> out.println("drill " + name + " is deleted"));
  }
}
