package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark compare}: what changed between two points of a volume. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description = {
      "Tell what changed between two points of a volume: the ranges that were written in between, or"
          + " with --content those whose bytes differ.",
    },
    footer = {
      "",
      "Examples:",
      "  tidemark compare db --from seq:1234 --to latest",
      "  tidemark compare db --from time:2026-01-31T12:00:00Z --to time:2026-01-31T12:05:00Z"
          + " --content",
    })
final class CompareCommand implements Runnable {
  private static final int PAGE_RANGES = 10_000;

  @Spec private CommandSpec spec;
  @Mixin private Asking asking;

  @Parameters(paramLabel = "NAME", description = "a volume")
  private String name;

  @Option(names = "--from", required = true, paramLabel = "AT", description = "one point")
  private String from;

  @Option(names = "--to", required = true, paramLabel = "AT", description = "the other point")
  private String to;

  @Option(
      names = "--content",
      description = "read both points and compare: the same bytes written again are no difference")
  private boolean content;

  @Option(
      names = "--limit",
      paramLabel = "N",
      defaultValue = "1000",
      description = "ranges to show, at most; all are counted. Default 1000")
  private int limit;

  @Override
  public void run() {
    if (limit < 0) {
      throw new ParameterException(spec.commandLine(), "--limit must be 0 or more");
    }
    Found found = new Found(limit);
    String first = from;
    String second = to;
    JsonNode page;
    long offset = 0;
    do {
      page =
          asking
              .client()
              .get(
                  "/volumes/%s/compare?from=%s&to=%s&content=%s&offset=%d&limit=%d"
                      .formatted(
                          NodeClient.escaped(name),
                          NodeClient.escaped(first),
                          NodeClient.escaped(second),
                          content,
                          offset,
                          PAGE_RANGES));
      page.path("ranges").forEach(found::add);
      offset = page.path("next").asLong();
      // The next page has to be of the very same points.
      first = "seq:" + page.at("/from/seq").asText();
      second = "seq:" + page.at("/to/seq").asText();
    } while (page.path("next").isNumber());
    found.end();
    ObjectNode answer = ((ObjectNode) page).put("bytes", found.bytes).put("count", found.count);
    answer.set("ranges", found.shown);
    asking.show(answer, out -> words(answer, out));
  }

  /** Ranges as they come, those that touch joined, since a page may end inside of one. */
  private static final class Found {
    private final int limit;
    private final ArrayNode shown = NodeClient.object().arrayNode();
    private long count;
    private long bytes;
    private long begin = -1;
    private long end = -1;

    Found(int limit) {
      this.limit = limit;
    }

    void add(JsonNode range) {
      long offset = range.path("offset").asLong();
      if (offset != end) {
        end();
        begin = offset;
      }
      end = offset + range.path("length").asLong();
      bytes += range.path("length").asLong();
    }

    void end() {
      if (begin < 0) {
        return;
      }
      count++;
      if (shown.size() < limit) {
        shown.addObject().put("offset", begin).put("length", end - begin);
      }
      begin = -1;
    }
  }

  private void words(JsonNode answer, PrintWriter out) {
    if (!answer.path("ranges").isEmpty()) {
      Table table = new Table("OFFSET", "BYTES");
      for (JsonNode range : answer.path("ranges")) {
        table.row(range.path("offset").asText(), range.path("length").asText());
      }
      table.print(out, "");
    }
    long left = answer.path("count").asLong() - answer.path("ranges").size();
    if (left > 0) {
      out.println("and " + left + " more ranges");
    }
    out.println(
        "%s of %s %s between seq %s and seq %s, in %s %s"
            .formatted(
                Amounts.size(answer.path("bytes").asLong()),
                Amounts.size(answer.path("sizeBytes").asLong()),
                content ? "differ" : "were written",
                answer.at("/from/seq").asText(),
                answer.at("/to/seq").asText(),
                answer.path("count").asText(),
                answer.path("count").asLong() == 1 ? "range" : "ranges"));
  }
}
