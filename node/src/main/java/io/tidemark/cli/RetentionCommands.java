package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark retention}: how much history is kept. */
@Command(
    name = "retention",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Show and set how much history a volume keeps. Without a limit it keeps every write for"
          + " ever.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark retention set db --window 48h --cap 200GiB",
      "  tidemark retention show db",
    })
final class RetentionCommands implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "say what to do: show or set");
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Show what a volume keeps, its horizon and journal, and what holds more.")
  void show(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "a volume") String name) {
    JsonNode shown = asking.client().get(path(name));
    asking.show(shown, out -> words(shown, out));
  }

  @Command(
      name = "set",
      mixinStandardHelpOptions = true,
      description = {
        "Set how much history a volume keeps. What is not named stays as it is; 'none' lifts a"
            + " limit. A horizon never goes back: what is given up stays given up.",
      },
      footer = {
        "",
        "What is older than the window goes, but for points that open images, exports and links"
            + " hold and tags that are locked or that the ladder keeps. Above the cap the horizon"
            + " moves on inside the window. Above the hard cap, when nothing else can go, holds and"
            + " kept tags end too, the oldest first: an image then fails its reads, a tag's point"
            + " is gone, a link has to resynchronise; each is told as an event 'pins-lost'.",
        "",
        "Examples:",
        "  tidemark retention set db --window 48h",
        "  tidemark retention set db --window 24h --ladder all:24h,1h:7d,1d:30d",
        "  tidemark retention set db --cap 200GiB --hard-cap 250GiB",
        "  tidemark retention set db --window none --ladder none",
      })
  void set(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "a volume") String name,
      @Option(
              names = "--window",
              paramLabel = "SPAN",
              description = "every point so young is kept: such as 30m, 48h, 14d; or none")
          String window,
      @Option(
              names = "--cap",
              paramLabel = "SIZE",
              description = "what the volume's journal may store, such as 200GiB; or none")
          String cap,
      @Option(
              names = "--hard-cap",
              paramLabel = "SIZE",
              description = "above it even held points go; not below the cap; or none")
          String hardCap,
      @Option(
              names = "--ladder",
              paramLabel = "EVERY:AGE,...",
              description =
                  "which tags outlive the window: one in each span up to an age, 'all' for every"
                      + " one; or none")
          String ladder) {
    if (window == null && cap == null && hardCap == null && ladder == null) {
      throw new ParameterException(
          spec.subcommands().get("set"), "name --window, --cap, --hard-cap or --ladder");
    }
    JsonNode now = asking.client().get(path(name));
    ObjectNode policy = NodeClient.object();
    try {
      policy.put(
          "windowSeconds", window == null ? now.path("windowSeconds").asLong() : span(window));
      policy.put("capBytes", cap == null ? now.path("capBytes").asLong() : bytes(cap));
      policy.put(
          "hardCapBytes", hardCap == null ? now.path("hardCapBytes").asLong() : bytes(hardCap));
      policy.set("ladder", ladder == null ? now.path("ladder") : rungs(ladder));
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.subcommands().get("set"), e.getMessage(), e);
    }
    JsonNode set = asking.client().put(path(name), policy);
    asking.show(set, out -> words(set, out));
  }

  private static String path(String name) {
    return "/volumes/" + NodeClient.escaped(name) + "/retention";
  }

  private static long span(String text) {
    return text.equals("none") ? 0 : Amounts.span(text);
  }

  private static long bytes(String text) {
    return text.equals("none") ? 0 : Amounts.bytes(text);
  }

  private static ArrayNode rungs(String text) {
    ArrayNode rungs = NodeClient.object().arrayNode();
    if (text.equals("none")) {
      return rungs;
    }
    for (String rung : text.split(",", -1)) {
      String[] parts = rung.strip().split(":", -1);
      if (parts.length != 2) {
        throw new IllegalArgumentException(
            "'" + rung + "' is no rung of a ladder: use EVERY:AGE such as 1h:7d or all:24h");
      }
      rungs
          .addObject()
          .put("everySeconds", parts[0].equals("all") ? 0 : Amounts.span(parts[0]))
          .put("forSeconds", Amounts.span(parts[1]));
    }
    return rungs;
  }

  private static void words(JsonNode shown, PrintWriter out) {
    JsonNode journal = shown.path("journal");
    long window = shown.path("windowSeconds").asLong();
    line(out, "volume", shown.path("volume").asText());
    line(out, "window", window == 0 ? "none: every write is kept" : Amounts.span(window));
    line(out, "cap", cap(shown, "capBytes", "overCap"));
    line(out, "hard cap", cap(shown, "hardCapBytes", "overHardCap"));
    line(out, "ladder of tags", ladder(shown.path("ladder")));
    line(out, "newest point", position(shown.path("head")));
    line(out, "oldest point", position(shown.path("horizon")));
    line(
        out,
        "journal",
        Amounts.size(journal.path("storedBytes").asLong())
            + " stored, "
            + Amounts.size(journal.path("freedBytes").asLong())
            + " freed so far");
    for (JsonNode hold : shown.path("holds")) {
      line(
          out,
          "held by " + hold.path("holder").asText(),
          "seq "
              + hold.path("seq").asText()
              + (hold.path("onward").asBoolean() ? " and all after it" : "")
              + " until "
              + hold.path("until").asText());
    }
    for (JsonNode tag : shown.path("tags")) {
      line(
          out,
          "tag " + tag.path("name").asText(),
          position(tag) + (tag.path("locked").asBoolean() ? ", locked" : ""));
    }
    if (shown.path("lostHolds").asLong() > 0) {
      line(out, "given up for the hard cap", shown.path("lostHolds").asText());
    }
  }

  private static String cap(JsonNode shown, String field, String over) {
    long bytes = shown.path(field).asLong();
    return bytes == 0
        ? "none"
        : Amounts.size(bytes) + (shown.path(over).asBoolean() ? ", exceeded" : "");
  }

  private static String ladder(JsonNode rungs) {
    List<String> words = new ArrayList<>();
    for (JsonNode rung : rungs) {
      long every = rung.path("everySeconds").asLong();
      words.add(
          (every == 0 ? "all" : "one in " + Amounts.span(every))
              + " up to "
              + Amounts.span(rung.path("forSeconds").asLong()));
    }
    return words.isEmpty() ? "none" : String.join(", ", words);
  }

  private static void line(PrintWriter out, String label, String text) {
    out.printf(Locale.ROOT, "%-28s %s%n", label, text);
  }

  private static String position(JsonNode point) {
    return "seq " + point.path("seq").asText() + " at " + point.path("time").asText();
  }
}
