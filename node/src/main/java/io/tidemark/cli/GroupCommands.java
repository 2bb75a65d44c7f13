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

/** {@code tidemark group}: volumes whose tags are consistent with each other. */
@Command(
    name = "group",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Create, list, show, schedule and delete groups of volumes that are tagged together.",
      "No tag of a group shows an effect without its cause, on however many hosts its volumes are.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark group create shop --volume db --volume web",
      "  tidemark group schedule shop every-second --every 1 --keep 3600",
    })
final class GroupCommands implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "say what to do with groups: create, list, show, schedule, unschedule or delete");
  }

  private static String path(String group) {
    return "/groups/" + NodeClient.escaped(group);
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Create a group. Repeating it with the same volumes changes nothing.",
      footer = {"", "Example:", "  tidemark group create shop --volume db --volume web"})
  void create(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "of the group") String name,
      @Option(
              names = "--volume",
              required = true,
              paramLabel = "V",
              description = "a member; at least one, at most 64")
          List<String> volumes) {
    ObjectNode request = NodeClient.object().put("name", name);
    ArrayNode members = request.putArray("volumes");
    volumes.forEach(members::add);
    JsonNode group = asking.client().post("/groups", request);
    asking.show(
        group,
        out ->
            out.println(
                "group "
                    + name
                    + " has "
                    + volumes.size()
                    + " volumes; tag them with: tidemark tag "
                    + name
                    + " TAGNAME"));
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "List the site's groups.")
  void list(@Mixin Asking asking) {
    JsonNode groups = asking.client().get("/groups");
    asking.show(groups, out -> table(groups, out));
  }

  private static void table(JsonNode groups, PrintWriter out) {
    Table table = new Table("GROUP", "STATE", "VOLUMES", "SCHEDULES", "LOCKED TAGS");
    for (JsonNode group : groups) {
      table.row(
          group.path("name").asText(),
          group.path("state").asText(),
          joined(group.path("volumes")),
          Integer.toString(group.path("schedules").size()),
          Integer.toString(group.path("locked").size()));
    }
    table.print(out, "There are no groups: create one with 'tidemark group create'.");
  }

  private static String joined(JsonNode texts) {
    List<String> all = new ArrayList<>();
    texts.forEach(text -> all.add(text.asText()));
    return String.join(", ", all);
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Show all that is known of a group.")
  void show(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a group") String name) {
    JsonNode group = asking.client().get(path(name));
    asking.show(group, out -> details(group, out));
  }

  private static void details(JsonNode group, PrintWriter out) {
    line(out, "group", group.path("name").asText() + ", " + group.path("state").asText());
    line(out, "created", group.path("created").asText());
    for (JsonNode volume : group.path("volumes")) {
      line(out, "volume", volume.asText());
    }
    for (JsonNode schedule : group.path("schedules")) {
      line(
          out,
          "schedule",
          "%s: %s-consistent every %d s, %s"
              .formatted(
                  schedule.path("name").asText(),
                  schedule.path("consistency").asText(),
                  schedule.path("everySeconds").asInt(),
                  schedule.path("keepSeconds").isNumber()
                      ? "kept for " + schedule.path("keepSeconds").asText() + " s"
                      : "kept for ever"));
    }
    for (JsonNode tag : group.path("locked")) {
      line(out, "locked tag", tag.asText());
    }
  }

  private static void line(PrintWriter out, String label, String text) {
    out.printf(Locale.ROOT, "%-14s %s%n", label, text);
  }

  @Command(
      name = "schedule",
      mixinStandardHelpOptions = true,
      description = "Take tags by itself; a schedule of the same name is replaced.",
      footer = {
        "",
        "Examples:",
        "  tidemark group schedule shop every-second --every 1 --keep 3600",
        "  tidemark group schedule shop nightly --every 86400 --app",
      })
  void schedule(
      @Mixin Asking asking,
      @Parameters(paramLabel = "GROUP", description = "a group") String group,
      @Parameters(paramLabel = "NAME", description = "of the schedule") String name,
      @Option(
              names = "--every",
              required = true,
              paramLabel = "SECONDS",
              description = "1 to 86400")
          long every,
      @Option(
              names = "--keep",
              paramLabel = "SECONDS",
              description = "how long a tag is kept; default: for ever")
          Long keep,
      @Option(
              names = "--pattern",
              paramLabel = "TEXT",
              description = "name of each tag, with {time} in it; default: NAME-{time}")
          String pattern,
      @Option(names = "--app", description = "application-consistent; default: crash-consistent")
          boolean application) {
    ObjectNode request = NodeClient.object().put("everySeconds", every);
    if (keep != null) {
      request.put("keepSeconds", keep);
    }
    if (pattern != null) {
      request.put("pattern", pattern);
    }
    request.put("consistency", application ? "application" : "crash");
    JsonNode answer =
        asking.client().put(path(group) + "/schedules/" + NodeClient.escaped(name), request);
    asking.show(answer, out -> details(answer, out));
  }

  @Command(
      name = "unschedule",
      mixinStandardHelpOptions = true,
      description = "Remove a schedule; its tags stay until they expire.")
  void unschedule(
      @Mixin Asking asking,
      @Parameters(paramLabel = "GROUP", description = "a group") String group,
      @Parameters(paramLabel = "NAME", description = "of the schedule") String name) {
    JsonNode answer =
        asking.client().delete(path(group) + "/schedules/" + NodeClient.escaped(name));
    asking.show(answer, out -> details(answer, out));
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description = "Delete a group and all its tags. Its volumes and their histories stay.")
  void delete(
      @Mixin Asking asking, @Parameters(paramLabel = "NAME", description = "a group") String name) {
    JsonNode done = asking.client().delete(path(name));
    asking.show(done, out -> out.println("group " + name + " is deleted"));
  }
}
