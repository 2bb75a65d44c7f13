package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark tag}: named points of a group. */
@Command(
    name = "tag",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "[COMMAND]",
    description = {
      "Take, list, show, lock and unlock tags: consistent points of all volumes of a group.",
      "Writes are not stopped for a tag; their replies wait for a few milliseconds.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark tag shop before-upgrade",
      "  tidemark tag shop nightly --app postgresql",
      "  tidemark image open db --at tag:before-upgrade",
      "  tidemark tag lock shop before-upgrade",
    })
final class TagCommands implements Runnable {
  private static final long POLL_MILLIS = 200;

  @Spec private CommandSpec spec;

  @Mixin private Asking asking;

  @Parameters(index = "0", arity = "0..1", paramLabel = "GROUP", description = "a group")
  private String group;

  @Parameters(index = "1", arity = "0..1", paramLabel = "TAGNAME", description = "of the new tag")
  private String name;

  /** How consistent. */
  static final class Consistency {
    @Option(
        names = "--crash",
        description = "as after a power cut of all hosts at one moment; the default")
    private boolean crash;

    @Option(
        names = "--app",
        arity = "0..1",
        fallbackValue = "",
        paramLabel = "APP",
        description = "make this application consistent first, or all that the taps' hosts have")
    private List<String> applications;
  }

  @ArgGroup(exclusive = true)
  private Consistency consistency;

  @Option(names = "--notes", paramLabel = "TEXT", description = "kept with the tag")
  private String notes;

  @Option(
      names = "--expires",
      paramLabel = "TIME",
      description = "ISO-8601; removed then unless it is locked; default: never")
  private String expires;

  @Override
  public void run() {
    if (group == null || name == null) {
      throw new ParameterException(
          spec.commandLine(), "name a group and the new tag, or one of list, show, lock, unlock");
    }
    ObjectNode request = NodeClient.object().put("name", name);
    boolean application = consistency != null && consistency.applications != null;
    request.put("consistency", application ? "application" : "crash");
    if (application) {
      var names = request.putArray("applications");
      consistency.applications.stream().filter(app -> !app.isEmpty()).forEach(names::add);
    }
    if (notes != null) {
      request.put("notes", notes);
    }
    if (expires != null) {
      request.put("expires", expires);
    }
    JsonNode tag = settled(asking.client().post(path(group), request));
    asking.show(tag, out -> details(tag, out));
  }

  /** The node answers after a while, settled or not; a tag whose journal lags may take longer. */
  private JsonNode settled(JsonNode answer) {
    JsonNode tag = answer;
    CountDownLatch never = new CountDownLatch(1);
    try {
      while (!tag.path("state").asText().equals("Committed") && !tag.path("error").isObject()) {
        boolean counted = never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
        assert !counted;
        tag = asking.client().get(path(group, name));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted; the tag is taken all the same", e);
    }
    if (tag.path("error").isObject()) {
      throw new Refusal(
          ErrorCode.valueOf(tag.path("error").path("code").asText()),
          "tag '" + name + "': " + tag.path("error").path("message").asText());
    }
    return tag;
  }

  private static String path(String group) {
    return "/groups/" + NodeClient.escaped(group) + "/tags";
  }

  private static String path(String group, String tag) {
    return path(group) + "/" + NodeClient.escaped(tag);
  }

  private static void details(JsonNode tag, PrintWriter out) {
    out.println(
        "tag %s of group %s: %s, %s-consistent, at %s, held for %.1f ms%s"
            .formatted(
                tag.path("name").asText(),
                tag.path("group").asText(),
                tag.path("state").asText(),
                tag.path("consistency").asText(),
                tag.path("time").asText(),
                tag.path("holdMicros").asLong() / 1000.0,
                tag.path("locked").asBoolean() ? ", locked" : ""));
    for (JsonNode point : tag.path("points")) {
      out.println("  " + point.path("volume").asText() + " seq " + point.path("seq").asText());
    }
    for (JsonNode application : tag.path("applications")) {
      out.println(
          "  application %s: %s in %d ms"
              .formatted(
                  application.path("name").asText(),
                  application.path("succeeded").asBoolean() ? "done" : "failed",
                  application.path("millis").asInt()));
      if (!application.path("succeeded").asBoolean()) {
        out.println("    exit code " + application.path("exitCode").asInt());
        application.path("output").asText().lines().forEach(line -> out.println("    " + line));
      }
    }
    if (tag.path("downgraded").asBoolean()) {
      out.println("  crash-consistent only, as the policy of what failed allows");
    }
    if (!tag.path("notes").asText().isEmpty()) {
      out.println("  " + tag.path("notes").asText());
    }
    if (tag.path("error").isObject()) {
      out.println("  failed: " + tag.path("error").path("message").asText());
    }
  }

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "List a group's tags, newest first.",
      footer = {
        "",
        "Examples:",
        "  tidemark tag list shop",
        "  tidemark tag list shop --prefix nightly --limit 10",
        "  tidemark tag list shop --words 'before upgrade'",
      })
  void list(
      @Mixin Asking listing,
      @Parameters(paramLabel = "GROUP", description = "a group") String ofGroup,
      @Option(names = "--prefix", paramLabel = "TEXT", description = "of the names") String prefix,
      @Option(
              names = "--words",
              paramLabel = "TEXT",
              description = "only those with all of these words in their names or notes")
          String words,
      @Option(names = "--from", paramLabel = "TIME", description = "ISO-8601") String from,
      @Option(names = "--to", paramLabel = "TIME", description = "ISO-8601") String to,
      @Option(
              names = "--limit",
              paramLabel = "N",
              defaultValue = "100",
              description = "at most so many, up to 1000; default 100")
          int limit) {
    List<String> query = new ArrayList<>();
    query.add("limit=" + limit);
    add(query, "prefix", prefix);
    add(query, "words", words);
    add(query, "from", from);
    add(query, "to", to);
    JsonNode found = listing.client().get(path(ofGroup) + "?" + String.join("&", query));
    listing.show(found, out -> table(found, out));
  }

  private static void add(List<String> query, String name, String value) {
    if (value != null) {
      query.add(name + "=" + NodeClient.escaped(value));
    }
  }

  private static void table(JsonNode found, PrintWriter out) {
    Table table = new Table("TAG", "TIME", "STATE", "CONSISTENCY", "HELD MS", "LOCKED");
    for (JsonNode tag : found.path("tags")) {
      table.row(
          tag.path("name").asText(),
          tag.path("time").asText(),
          tag.path("state").asText(),
          tag.path("consistency").asText(),
          String.format(Locale.ROOT, "%.1f", tag.path("holdMicros").asLong() / 1000.0),
          tag.path("locked").asBoolean() ? "yes" : "");
    }
    table.print(out, "There are no such tags: take one with 'tidemark tag GROUP TAGNAME'.");
    if (found.path("more").asBoolean()) {
      out.println("There may be older ones: add --to " + found.path("next").asText());
    }
  }

  @Command(name = "show", mixinStandardHelpOptions = true, description = "Show a tag.")
  void show(
      @Mixin Asking showing,
      @Parameters(paramLabel = "GROUP", description = "a group") String ofGroup,
      @Parameters(paramLabel = "TAGNAME", description = "one of its tags") String tagName) {
    JsonNode tag = showing.client().get(path(ofGroup, tagName));
    showing.show(tag, out -> details(tag, out));
  }

  @Command(
      name = "lock",
      mixinStandardHelpOptions = true,
      description = "Keep a tag, and the points that it names, until it is unlocked.")
  void lock(
      @Mixin Asking locking,
      @Parameters(paramLabel = "GROUP", description = "a group") String ofGroup,
      @Parameters(paramLabel = "TAGNAME", description = "one of its tags") String tagName) {
    JsonNode tag = locking.client().put(path(ofGroup, tagName) + "/lock", NodeClient.object());
    locking.show(tag, out -> details(tag, out));
  }

  @Command(
      name = "unlock",
      mixinStandardHelpOptions = true,
      description = "Let a tag expire, and its points be purged, as others are.")
  void unlock(
      @Mixin Asking unlocking,
      @Parameters(paramLabel = "GROUP", description = "a group") String ofGroup,
      @Parameters(paramLabel = "TAGNAME", description = "one of its tags") String tagName) {
    JsonNode tag = unlocking.client().delete(path(ofGroup, tagName) + "/lock");
    unlocking.show(tag, out -> details(tag, out));
  }
}
