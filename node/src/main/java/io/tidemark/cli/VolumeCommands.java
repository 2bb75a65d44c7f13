package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code tidemark volume}: what is protected. */
@Command(
    name = "volume",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Create, list, show and delete protected volumes.",
    footer = {
      "",
      "Example:",
      "  tidemark volume create db --size 20GiB",
      "  tidemark tap --volume db=/dev/vdb --listen unix:/run/db.sock",
    })
final class VolumeCommands implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say what to do with volumes: create, list, show or delete");
  }

  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      description = "Create a volume. Repeating it with the same settings changes nothing.",
      footer = {
        "",
        "Examples:",
        "  tidemark volume create db --size 1GiB",
        "  tidemark volume create ledger --size 100GiB --sync",
      })
  void create(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "1 to 64 letters, digits, '.', '_', '-'")
          String name,
      @Option(
              names = "--size",
              required = true,
              paramLabel = "SIZE",
              converter = SizeText.class,
              description = "such as 1GiB; a multiple of 512 bytes, not above the backing store's")
          Long size,
      @Option(
              names = "--sync",
              description =
                  "reply to a write only once it is journaled: nothing is ever lost, and writes wait"
                      + " for the journal")
          boolean sync) {
    JsonNode volume =
        asking
            .client()
            .post(
                "/volumes",
                NodeClient.object()
                    .put("name", name)
                    .put("sizeBytes", size)
                    .put("synchronous", sync));
    asking.show(
        volume,
        out ->
            out.println(
                "volume "
                    + volume.path("name").asText()
                    + ", "
                    + Amounts.size(volume.path("sizeBytes").asLong())
                    + ", is ready for its tap: tidemark tap --volume "
                    + name
                    + "=BACKING --listen unix:PATH"));
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "List the site's volumes.")
  void list(@Mixin Asking asking) {
    JsonNode volumes = asking.client().get("/volumes");
    asking.show(volumes, out -> table(volumes, out));
  }

  static void table(JsonNode volumes, PrintWriter out) {
    Table table = new Table("VOLUME", "SIZE", "STATE", "TAP", "HEAD", "AS OF", "RPO", "JOURNAL");
    for (JsonNode volume : volumes) {
      table.row(
          volume.path("name").asText(),
          Amounts.size(volume.path("sizeBytes").asLong()),
          volume.path("state").asText(),
          tap(volume),
          volume.path("head").path("seq").asText(),
          volume.path("head").path("time").asText(),
          rpo(volume),
          Amounts.size(volume.path("journal").path("storedBytes").asLong()));
    }
    table.print(out, "There are no volumes: create one with 'tidemark volume create'.");
  }

  private static String retention(JsonNode retention) {
    long window = retention.path("windowSeconds").asLong();
    long cap = retention.path("capBytes").asLong();
    long hardCap = retention.path("hardCapBytes").asLong();
    String text = window > 0 ? "the last " + Amounts.span(window) : "all";
    text += cap > 0 ? ", at most " + Amounts.size(cap) : "";
    text += hardCap > 0 ? ", in no case more than " + Amounts.size(hardCap) : "";
    int more = retention.path("holds").asInt() + retention.path("tags").asInt();
    return more == 0
        ? text
        : text
            + "; held for %d readers and %d tags"
                .formatted(retention.path("holds").asInt(), retention.path("tags").asInt());
  }

  /** What an administrator has to know of a volume's caps, and what follows from it. */
  static Optional<String> alert(JsonNode volume) {
    JsonNode retention = volume.path("retention");
    if (retention.path("overHardCap").asBoolean()) {
      return Optional.of(
          "the journal exceeds its hard cap: held points and kept tags are given up, the oldest"
              + " first");
    }
    if (retention.path("overCap").asBoolean()) {
      return Optional.of(
          "the journal exceeds its cap: the oldest points are given up inside the window");
    }
    return Optional.empty();
  }

  private static String tap(JsonNode volume) {
    JsonNode tap = volume.path("tap");
    return tap.path("connected").asBoolean() ? tap.path("mode").asText("attached") : "none";
  }

  private static String rpo(JsonNode volume) {
    JsonNode seconds = volume.path("rpo").path("seconds");
    return seconds.isNumber() ? Amounts.seconds(seconds.asDouble()) : "-";
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Show all that is known of a volume.")
  void show(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "a volume") String name) {
    JsonNode volume = asking.client().get("/volumes/" + NodeClient.escaped(name));
    asking.show(volume, out -> details(volume, out));
  }

  private static void details(JsonNode volume, PrintWriter out) {
    JsonNode tap = volume.path("tap");
    JsonNode journal = volume.path("journal");
    long raw = journal.path("rawBytes").asLong();
    long stored = journal.path("storedBytes").asLong();
    line(out, "volume", volume.path("name").asText());
    line(
        out,
        "size",
        Amounts.size(volume.path("sizeBytes").asLong())
            + " ("
            + volume.path("sizeBytes").asText()
            + " bytes)");
    line(
        out,
        "state",
        volume.path("state").asText()
            + ", "
            + volume.path("role").asText()
            + ", epoch "
            + volume.path("epoch").asText()
            + ", branch "
            + volume.path("branch").asText());
    line(out, "writes wait for the journal", volume.path("synchronous").asBoolean() ? "yes" : "no");
    line(out, "newest point", position(volume.path("head")));
    line(out, "oldest point", position(volume.path("horizon")));
    line(
        out,
        "journal",
        Amounts.size(raw)
            + " written, "
            + Amounts.size(stored)
            + " stored"
            + (stored > 0 ? String.format(Locale.ROOT, " (%.1f : 1)", (double) raw / stored) : ""));
    line(out, "history kept", retention(volume.path("retention")));
    Optional<String> alert = alert(volume);
    if (alert.isPresent()) {
      line(out, "alert", alert.get());
    }
    line(
        out,
        "would be lost now",
        rpo(volume)
            + (volume.path("rpo").path("bytes").isNumber()
                ? ", "
                    + Amounts.size(volume.path("rpo").path("bytes").asLong())
                    + " in "
                    + volume.path("rpo").path("writes").asText()
                    + " writes as of "
                    + volume.path("rpo").path("asOf").asText()
                : " (the tap cannot be asked)"));
    line(
        out,
        "tap",
        tap.path("connected").asBoolean()
            ? tap.path("mode").asText("attached") + " at " + tap.path("address").asText()
            : "none"
                + (tap.path("address").isTextual()
                    ? ", last at " + tap.path("address").asText()
                    : ""));
    if (tap.path("node").isTextual()) {
      line(out, "its node", tap.path("node").asText());
    }
    JsonNode sync = tap.path("sync");
    if (sync.isObject()) {
      line(
          out,
          tap.path("mode").asText().equals("filling") ? "filled" : "synchronised",
          Amounts.size(sync.path("doneBytes").asLong())
              + " of "
              + Amounts.size(sync.path("totalBytes").asLong()));
    }
    JsonNode proven = volume.path("proven");
    line(
        out,
        "last proven point",
        proven.isObject()
            ? position(proven)
                + " by drill "
                + proven.path("drill").asText()
                + ", checked "
                + proven.path("checked").asText()
            : "none: 'tidemark drill create' proves points on a schedule");
    for (JsonNode dark : volume.path("dark")) {
      line(out, "dark", DarkText.of(dark));
    }
  }

  private static void line(PrintWriter out, String label, String text) {
    out.printf(Locale.ROOT, "%-28s %s%n", label, text);
  }

  private static String position(JsonNode point) {
    return "seq " + point.path("seq").asText() + " at " + point.path("time").asText();
  }

  @Command(
      name = "delete",
      mixinStandardHelpOptions = true,
      description =
          "Delete a volume, its whole history and its images' source. The backing store"
              + " stays as it is.",
      footer = {"", "Example:", "  tidemark volume delete db --confirm db"})
  void delete(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "a volume") String name,
      @Option(
              names = "--confirm",
              required = true,
              paramLabel = "NAME",
              description = "the same name again, since there is no way back")
          String confirm) {
    JsonNode done =
        asking
            .client()
            .delete(
                "/volumes/" + NodeClient.escaped(name) + "?confirm=" + NodeClient.escaped(confirm));
    asking.show(done, out -> out.println("volume " + name + " is deleted"));
  }

  /** Reads {@code --size}. */
  static final class SizeText implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      try {
        return Amounts.volumeSize(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
