package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark timeline}: when a volume was written to, and which seqs that is. */
@Command(
    name = "timeline",
    mixinStandardHelpOptions = true,
    description = {
      "Show when a volume was written to. Every seq shown, and every one in between, can be given to"
          + " 'image open --at seq:N'.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark timeline db",
      "  tidemark timeline db --from 2026-01-31T12:00:00Z --to 2026-01-31T12:05:00Z --buckets 300",
    })
final class TimelineCommand implements Runnable {
  private static final int BAR_LENGTH_MAX = 30;

  @Mixin private Asking asking;

  @Parameters(paramLabel = "NAME", description = "a volume")
  private String name;

  @Option(names = "--from", paramLabel = "TIME", description = "ISO-8601; default: oldest point")
  private String from;

  @Option(names = "--to", paramLabel = "TIME", description = "ISO-8601; default: newest point")
  private String to;

  @Option(
      names = "--buckets",
      paramLabel = "N",
      defaultValue = "20",
      description = "how many equal parts of the span to show, at most 512; default 20")
  private int buckets;

  @Override
  public void run() {
    List<String> query = new ArrayList<>();
    query.add("buckets=" + buckets);
    if (from != null) {
      query.add("from=" + NodeClient.escaped(from));
    }
    if (to != null) {
      query.add("to=" + NodeClient.escaped(to));
    }
    JsonNode timeline =
        asking
            .client()
            .get("/volumes/" + NodeClient.escaped(name) + "/timeline?" + String.join("&", query));
    asking.show(timeline, out -> words(timeline, out));
  }

  private static void words(JsonNode timeline, PrintWriter out) {
    long most = 1;
    for (JsonNode bucket : timeline.path("buckets")) {
      most = Math.max(most, bucket.path("writes").asLong());
    }
    Table table = new Table("FROM", "LAST SEQ", "WRITES", "");
    for (JsonNode bucket : timeline.path("buckets")) {
      long writes = bucket.path("writes").asLong();
      table.row(
          bucket.path("from").asText(),
          bucket.path("lastSeq").asText(),
          Long.toString(writes),
          "#".repeat((int) ((writes * BAR_LENGTH_MAX + most - 1) / most))
              + (bucket.path("dark").asBoolean() ? " dark" : ""));
    }
    table.print(out, "There is nothing in that span.");
    out.println(
        "oldest point seq "
            + timeline.path("horizon").path("seq").asText()
            + ", newest seq "
            + timeline.path("head").path("seq").asText()
            + " at "
            + timeline.path("head").path("time").asText());
    JsonNode proven = timeline.path("proven");
    if (proven.isObject()) {
      out.println(
          "last proven point seq %s at %s, checked %s"
              .formatted(
                  proven.path("seq").asText(),
                  proven.path("time").asText(),
                  proven.path("checked").asText()));
    }
    for (JsonNode tag : timeline.path("tags")) {
      out.println(
          "tag: %s of group %s, seq %s at %s"
              .formatted(
                  tag.path("name").asText(),
                  tag.path("group").asText(),
                  tag.path("seq").asText(),
                  tag.path("time").asText()));
    }
    for (JsonNode dark : timeline.path("dark")) {
      out.println("dark: " + DarkText.of(dark));
    }
  }
}
