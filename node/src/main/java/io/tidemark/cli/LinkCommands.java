package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark link}: replication to other sites. */
@Command(
    name = "link",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Replicate volumes and groups to another site, and watch how far behind that is.",
      "The other site gets every write with its seq and time: any point can be opened there.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark link create --volume db --to site-2 --throttle 20Mbit",
      "  tidemark link create --group shop --to site-2 --rpo 5s \\",
      "      --window 'Mon-Fri 08:00-18:00=5Mbit'",
      "  tidemark link show db-to-site-2",
    })
final class LinkCommands implements Runnable {
  @Spec private CommandSpec spec;

  /** How a link is to run. */
  static final class Rules {
    @Option(
        names = "--throttle",
        paramLabel = "RATE",
        description = "what it may send in a second, such as 20Mbit or 2MB; none for no limit")
    private String throttle;

    @Option(
        names = "--window",
        paramLabel = "WINDOW",
        description = "another rate at some times of the week (UTC): 'Mon-Fri 08:00-18:00=5Mbit'")
    private List<String> windows;

    @Option(
        names = "--priority",
        paramLabel = "N",
        description = "1 to 9; of links that share a line those with more go first; default: 5")
    private Long priority;

    @Option(
        names = "--rpo",
        paramLabel = "TIME",
        description = "warn when it lags more than that, such as 5s; 0 for never")
    private String rpo;

    void into(ObjectNode request, CommandSpec spec) {
      try {
        if (throttle != null) {
          request.put("bytesPerSecond", Amounts.rate(throttle));
        }
        if (windows != null) {
          ArrayNode all = request.putArray("windows");
          windows.forEach(window -> all.add(inBytes(window)));
        }
        if (rpo != null) {
          request.put("rpoSeconds", Amounts.duration(rpo));
        }
      } catch (IllegalArgumentException e) {
        throw new ParameterException(spec.commandLine(), e.getMessage(), e);
      }
      if (priority != null) {
        request.put("priority", priority);
      }
    }

    private static String inBytes(String window) {
      int equals = window.lastIndexOf('=');
      if (equals < 0) {
        throw new IllegalArgumentException(
            "'" + window + "' is no window: use one such as 'Mon-Fri 08:00-18:00=5Mbit'");
      }
      return window.substring(0, equals + 1) + Amounts.rate(window.substring(equals + 1));
    }
  }

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "say what to do with links: create, list, show, set, pause, resume, resync or delete");
  }

  private static String path(String link) {
    return "/links/" + NodeClient.escaped(link);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = {
        "Begin to replicate a volume, or a group's volumes, to another site of the cluster.",
        "The replicas are made there, with the same names.",
      },
      footer = {"", "Example:", "  tidemark link create --volume db --to site-2 --throttle 20Mbit"})
  void create(
      @Mixin Asking asking,
      @Option(names = "--volume", paramLabel = "V", description = "a volume; may be repeated")
          List<String> volumes,
      @Option(names = "--group", paramLabel = "G", description = "or a group's volumes")
          String group,
      @Option(names = "--to", required = true, paramLabel = "SITE", description = "another site")
          String to,
      @Option(names = "--name", paramLabel = "NAME", description = "default: V-to-SITE")
          String name,
      @Mixin Rules rules) {
    ObjectNode request = NodeClient.object().put("to", to);
    if (name != null) {
      request.put("name", name);
    }
    if (group != null) {
      request.put("group", group);
    }
    if (volumes != null) {
      ArrayNode all = request.putArray("volumes");
      volumes.forEach(all::add);
    }
    rules.into(request, spec);
    JsonNode link = asking.client().post("/links", request);
    asking.show(
        link,
        out ->
            out.println(
                "link %s replicates to %s; watch it with: tidemark link show %s"
                    .formatted(link.path("name").asText(), to, link.path("name").asText())));
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "List the site's links.")
  void list(@Mixin Asking asking) {
    JsonNode links = asking.client().get("/links");
    asking.show(links, out -> table(links, out));
  }

  private static void table(JsonNode links, PrintWriter out) {
    Table table = new Table("LINK", "TO", "VOLUME", "STATE", "LAG", "WRITES", "BYTES");
    for (JsonNode link : links) {
      for (JsonNode lane : link.path("lanes")) {
        table.row(
            link.path("name").asText(),
            link.path("to").asText(),
            lane.path("volume").asText(),
            lane.path("state").asText(),
            lag(lane),
            lane.path("lag").path("writes").asText(),
            Amounts.size(lane.path("lag").path("bytes").asLong()));
      }
    }
    table.print(out, "There are no links: create one with 'tidemark link create'.");
  }

  private static String lag(JsonNode lane) {
    return Amounts.seconds(lane.path("lag").path("seconds").asDouble())
        + (lane.path("stale").asBoolean() ? " (stale)" : "");
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Show all that is known of a link.")
  void show(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a link") String name) {
    JsonNode link = asking.client().get(path(name));
    asking.show(link, out -> details(link, out));
  }

  private static void details(JsonNode link, PrintWriter out) {
    line(out, "link", link.path("name").asText() + ", " + link.path("state").asText());
    line(out, "from, to", link.path("from").asText() + " -> " + link.path("to").asText());
    if (link.has("group")) {
      line(out, "group", link.path("group").asText());
    }
    line(out, "rate", Amounts.rate(link.path("bytesPerSecond").asLong()));
    link.path("windows").forEach(window -> line(out, "window", window.asText()));
    line(out, "priority", link.path("priority").asText());
    int objective = link.path("rpoSeconds").asInt();
    line(out, "objective", objective == 0 ? "none" : Amounts.seconds(objective));
    for (JsonNode lane : link.path("lanes")) {
      lane(lane, out);
    }
  }

  private static void lane(JsonNode lane, PrintWriter out) {
    line(out, "volume", lane.path("volume").asText() + ", " + lane.path("state").asText());
    if (lane.has("fault")) {
      line(out, "  fault", lane.path("fault").asText());
    }
    line(
        out,
        "  positions",
        "%s of %s"
            .formatted(
                lane.path("acknowledged").path("seq").asText(), lane.path("headSeq").asText()));
    line(
        out,
        "  lag",
        "%s, %s writes, %s"
            .formatted(
                lag(lane),
                lane.path("lag").path("writes").asText(),
                Amounts.size(lane.path("lag").path("bytes").asLong())));
    if (lane.has("catchUpSeconds")) {
      line(out, "  catches up", "in " + Amounts.seconds(lane.path("catchUpSeconds").asDouble()));
    } else {
      line(out, "  catches up", "not at this rate");
    }
    line(out, "  as of", lane.has("asOf") ? lane.path("asOf").asText() : "never connected");
    line(
        out,
        "  sent",
        "%s in %s on the line"
            .formatted(
                Amounts.size(lane.path("sent").path("rawBytes").asLong()),
                Amounts.size(lane.path("sent").path("lineBytes").asLong())));
    lane.path("kinds")
        .fields()
        .forEachRemaining(
            kind -> {
              JsonNode sent = kind.getValue();
              if (sent.path("blocks").asLong() > 0) {
                line(
                    out,
                    "    " + kind.getKey(),
                    "%s blocks, %s in %s"
                        .formatted(
                            sent.path("blocks").asText(),
                            Amounts.size(sent.path("rawBytes").asLong()),
                            Amounts.size(sent.path("lineBytes").asLong())));
              }
            });
  }

  private static void line(PrintWriter out, String label, String text) {
    out.printf(Locale.ROOT, "%-14s %s%n", label, text);
  }

  @Command(
      name = "set",
      mixinStandardHelpOptions = true,
      description = "Change how a link runs; what is not named stays as it is.")
  void set(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "a link") String name,
      @Mixin Rules rules) {
    ObjectNode request = NodeClient.object();
    rules.into(request, spec);
    JsonNode link = asking.client().patch(path(name), request);
    asking.show(link, out -> details(link, out));
  }

  @Command(
      name = "pause",
      mixinStandardHelpOptions = true,
      description = "Stop a link for a while; the journal keeps what it has not sent.")
  void pause(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a link") String name) {
    change(asking, name, true);
  }

  @Command(
      name = "resume",
      mixinStandardHelpOptions = true,
      description = "Have a paused or broken link go on.")
  void resume(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a link") String name) {
    change(asking, name, false);
  }

  private static void change(Asking asking, String name, boolean paused) {
    JsonNode link = asking.client().patch(path(name), NodeClient.object().put("paused", paused));
    asking.show(link, out -> details(link, out));
  }

  @Command(
      name = "resync",
      mixinStandardHelpOptions = true,
      description = "Compare source and target by hashes, and send what differs.")
  void resync(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a link") String name) {
    JsonNode link = asking.client().post(path(name) + "/resync", NodeClient.object());
    asking.show(link, out -> details(link, out));
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "End a link; the replicas stay as they are.")
  void delete(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a link") String name) {
    JsonNode done = asking.client().delete(path(name));
    asking.show(done, out -> out.println("link " + name + " is deleted"));
  }
}
