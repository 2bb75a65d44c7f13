package io.tidemark.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark plan}: recipes of failover. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Recovery plans: which volumes go on at another site, in which order, and what else is to"
          + " be done.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark plan create shop.json",
      "  tidemark plan show shop          what would be lost now, and how its run goes",
      "  tidemark failover shop --mode planned",
      "  tidemark plan automatic shop --witness paris --after 30s",
    })
final class PlanCommands implements Runnable {
  private static final int FILE_BYTES_MAX = 64 << 10;

  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say what to do with plans: create, list, show or automatic");
  }

  static String path(String plan) {
    return "/plans/" + NodeClient.escaped(plan);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = {
        "Make a plan known to both of its sites, from a JSON file; docs/operations.md has one.",
      })
  void create(
      @Mixin Asking asking,
      @Parameters(paramLabel = "FILE", description = "the plan, as JSON") Path file) {
    JsonNode plan = asking.client().post("/plans", read(file));
    asking.show(
        plan,
        out ->
            out.println(
                "plan %s: from %s to %s; watch it with: tidemark plan show %s"
                    .formatted(
                        plan.path("name").asText(),
                        plan.path("source").asText(),
                        plan.path("target").asText(),
                        plan.path("name").asText())));
  }

  private static ObjectNode read(Path file) {
    try {
      if (Files.size(file) > FILE_BYTES_MAX) {
        throw new Refusal(
            ErrorCode.LIMIT, "'" + file + "' has more than " + FILE_BYTES_MAX + " bytes");
      }
      if (new ObjectMapper().readTree(file.toFile()) instanceof ObjectNode plan) {
        return plan;
      }
      throw new Refusal(ErrorCode.INVALID, "'" + file + "' holds no JSON object");
    } catch (JsonProcessingException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'%s' is no JSON: %s".formatted(file, Refusal.printable(e.getOriginalMessage())),
          e);
    } catch (IOException e) {
      throw new Refusal(ErrorCode.NOT_FOUND, "the file '" + file + "' cannot be read", e);
    }
  }

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "List the plans that this site is one of the two sites of.")
  void list(@Mixin Asking asking) {
    JsonNode plans = asking.client().get("/plans");
    asking.show(plans, out -> table(plans, out));
  }

  private static void table(JsonNode plans, PrintWriter out) {
    Table table = new Table("PLAN", "FROM", "TO", "STATE", "AT SITE", "STEPS");
    for (JsonNode plan : plans) {
      table.row(
          plan.path("name").asText(),
          plan.path("source").asText(),
          plan.path("target").asText(),
          plan.path("state").asText(),
          plan.path("site").asText(),
          Integer.toString(plan.path("steps").size()));
    }
    table.print(out, "There are no plans: create one with 'tidemark plan create'.");
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Show a plan, what a forced failover would lose now, and how its run goes.")
  void show(
      @Mixin Asking asking, @Parameters(paramLabel = "PLAN", description = "a plan") String name) {
    JsonNode plan = asking.client().get(path(name));
    asking.show(plan, out -> details(plan, out));
  }

  @Command(
      name = "automatic",
      mixinStandardHelpOptions = true,
      description = {
        "Have a plan fail over by itself when its source is silent and a third site agrees, or by"
            + " order only.",
      })
  void automatic(
      @Mixin Asking asking,
      @Parameters(paramLabel = "PLAN", description = "a plan") String name,
      @Option(
              names = "--witness",
              paramLabel = "SITE",
              description = "the third site; turns automatic failover on")
          String witness,
      @Option(
              names = "--after",
              paramLabel = "TIME",
              description = "how long the source has to be silent (30s)")
          String after,
      @Option(names = "--off", description = "fail over by order only") boolean off,
      @Option(
              names = "--override",
              paramLabel = "CODE",
              description = "SECOND_PRIMARY: off, although the target does not answer")
          String override) {
    if (off == (witness != null) || off && after != null || !off && override != null) {
      throw new ParameterException(
          spec.commandLine(), "say either --witness SITE [--after TIME] or --off");
    }
    String path = path(name) + "/automatic";
    JsonNode plan;
    if (off) {
      String query = override == null ? "" : "?override=" + NodeClient.escaped(override);
      plan = asking.client().delete(path + query);
    } else {
      ObjectNode body = new ObjectMapper().createObjectNode().put("witness", witness);
      if (after != null) {
        body.put("afterSeconds", seconds(after));
      }
      plan = asking.client().put(path, body);
    }
    asking.show(plan, out -> details(plan, out));
  }

  private long seconds(String text) {
    try {
      return Amounts.duration(text);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--after: " + e.getMessage(), e);
    }
  }

  static void details(JsonNode plan, PrintWriter out) {
    line(
        out,
        "plan",
        "%s, %s at %s"
            .formatted(
                plan.path("name").asText(),
                plan.path("state").asText(),
                plan.path("site").asText()));
    line(out, "from, to", plan.path("source").asText() + " -> " + plan.path("target").asText());
    if (!plan.path("reason").asText().isEmpty()) {
      String code = plan.path("code").isNull() ? "waits" : plan.path("code").asText();
      line(out, code, plan.path("reason").asText());
    }
    if (plan.path("commitUntil").isTextual()) {
      line(
          out,
          "commit",
          "until %s, then %s"
              .formatted(plan.path("commitUntil").asText(), plan.path("afterLimit").asText()));
    }
    if (plan.path("automatic").isObject()) {
      automatic(plan.path("automatic"), out);
    }
    for (JsonNode volume : plan.path("exposure")) {
      exposure(volume, out);
    }
    if (plan.path("run").isObject()) {
      run(plan.path("run"), out);
    }
  }

  private static void automatic(JsonNode automatic, PrintWriter out) {
    line(
        out,
        "automatic",
        "witness %s, after %s of silence%s"
            .formatted(
                automatic.path("witness").asText(),
                Amounts.seconds(automatic.path("afterSeconds").asDouble()),
                automatic.path("armed").asBoolean()
                    ? ""
                    : "; not armed: not all taps of the source obey the lease yet"));
    boolean until = automatic.path("until").isTextual();
    line(
        out,
        "  lease",
        automatic.path("holder").isTextual()
            ? "%s%s, as seen from %s"
                .formatted(
                    automatic.path("holder").asText(),
                    until ? " until " + automatic.path("until").asText() : "",
                    automatic.path("seenFrom").asText())
            : "nobody's, or not known");
    line(out, "  witness", automatic.path("witnessSaid").asText());
    line(out, "  target", automatic.path("targetSaid").asText());
  }

  private static void exposure(JsonNode volume, PrintWriter out) {
    JsonNode lost = volume.path("lost");
    line(
        out,
        "would lose",
        "%s: %s writes, %s, %s"
            .formatted(
                volume.path("volume").asText(),
                lost.path("writes").isNull() ? "unknown" : lost.path("writes").asText(),
                lost.path("bytes").isNull() ? "?" : Amounts.size(lost.path("bytes").asLong()),
                Amounts.seconds(lost.path("seconds").asDouble())));
    if (volume.path("problem").isTextual()) {
      line(out, "  but", volume.path("problem").asText());
    }
  }

  private static void run(JsonNode run, PrintWriter out) {
    line(
        out,
        "run",
        "%s, %s -> %s, begun %s"
            .formatted(
                (run.path("automatic").asBoolean() ? "automatic " : "") + run.path("mode").asText(),
                run.path("from").asText(),
                run.path("to").asText(),
                run.path("started").asText()));
    for (JsonNode task : run.path("tasks")) {
      line(
          out,
          "  " + task.path("state").asText(),
          "%s  %s"
              .formatted(task.path("task").asText(), task.path("words").asText())
              .stripTrailing());
    }
    for (JsonNode volume : run.path("volumes")) {
      String lost =
          volume.path("lostWrites").isNull() ? "not known yet" : volume.path("lostWrites").asText();
      line(
          out,
          "  volume",
          "%s in epoch %s, writes lost: %s"
              .formatted(volume.path("volume").asText(), volume.path("epoch").asText(), lost));
    }
    if (run.has("rtoSeconds")) {
      line(out, "  promoted", "after " + Amounts.seconds(run.path("rtoSeconds").asDouble()));
    }
  }

  private static void line(PrintWriter out, String label, String text) {
    out.printf(Locale.ROOT, "%-14s %s%n", label, text);
  }
}
