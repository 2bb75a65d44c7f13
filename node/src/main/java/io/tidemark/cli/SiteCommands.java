package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark site}: this site and the others of its cluster. */
@Command(
    name = "site",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "The sites of the cluster: which can be reached, and striking one that is gone.",
    footer = {
      "",
      "Examples:",
      "  tidemark site list",
      "  tidemark site forget munich --confirm munich",
    })
final class SiteCommands implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "say what to do with sites: list or forget");
  }

  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = "List the sites, whether they answer, and how far their clocks are off.")
  void list(@Mixin Asking asking) {
    JsonNode sites = asking.client().get("/sites");
    asking.show(sites, out -> table(sites, out));
  }

  static void table(JsonNode sites, PrintWriter out) {
    Table table = new Table("SITE", "STATE", "SINCE", "CLOCK", "NODE", "STATUS", "TAP LINK");
    for (JsonNode site : sites) {
      String state =
          site.path("own").asBoolean()
              ? "this site"
              : site.path("reachable").asBoolean() ? "reachable" : "not reachable";
      if (site.path("nodes").isEmpty()) {
        table.row(site.path("name").asText(), state, site.path("since").asText(), "", "", "", "");
      }
      for (JsonNode node : site.path("nodes")) {
        table.row(
            site.path("name").asText(),
            state,
            site.path("since").asText(),
            offset(node.path("clock")),
            node.path("address").asText(),
            node.path("status").asText()
                + (node.path("reachable").asBoolean() ? "" : ", unreachable"),
            node.at("/addresses/tap-link").asText(""));
      }
    }
    table.print(out, "no sites");
  }

  private static String offset(JsonNode clock) {
    return clock.isMissingNode()
        ? ""
        : String.format(Locale.ROOT, "%+.3f s", clock.path("offsetMicros").asLong() / 1e6);
  }

  @Command(
      name = "forget",
      mixinStandardHelpOptions = true,
      description =
          "Strike a site that is gone for ever from all that can be reached. What it sent is kept."
              + " Should it return, restart its nodes.",
      footer = {"", "Example:", "  tidemark site forget munich --confirm munich"})
  void forget(
      @Mixin Asking asking,
      @Parameters(paramLabel = "NAME", description = "a site that does not answer") String name,
      @Option(
              names = "--confirm",
              required = true,
              paramLabel = "NAME",
              description = "the same name again")
          String confirm) {
    JsonNode done =
        asking
            .client()
            .delete(
                "/sites/" + NodeClient.escaped(name) + "?confirm=" + NodeClient.escaped(confirm));
    asking.show(done, out -> out.println("site " + name + " is forgotten"));
  }
}
