package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.Iterator;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code tidemark status}: the site at a glance. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    description = "Show the site at a glance: its nodes, volumes and images.")
final class StatusCommand implements Runnable {
  @Mixin private Asking asking;

  @Override
  public void run() {
    NodeClient client = asking.client();
    JsonNode site = client.get("/site");
    JsonNode volumes = client.get("/volumes");
    JsonNode images = client.get("/images");
    ObjectNode all = NodeClient.object();
    all.set("site", site);
    all.set("volumes", volumes);
    all.set("images", images);
    asking.show(all, out -> words(site, volumes, images, out));
  }

  /** What Cassandra takes and leaves; a node that has none of its own does not know. */
  private static String disk(JsonNode storage) {
    if (!storage.path("tablesBytes").isNumber()) {
      return "";
    }
    return ", Cassandra's tables %s and commit log %s, free %s"
        .formatted(
            Amounts.size(storage.path("tablesBytes").asLong()),
            Amounts.size(storage.path("commitLogBytes").asLong()),
            Amounts.size(storage.path("freeBytes").asLong()));
  }

  private static void words(JsonNode site, JsonNode volumes, JsonNode images, PrintWriter out) {
    out.println(
        "site "
            + site.path("name").asText()
            + ", Tidemark "
            + site.path("version").asText()
            + ", up since "
            + site.path("started").asText());
    Iterator<Map.Entry<String, JsonNode>> addresses = site.path("addresses").fields();
    while (addresses.hasNext()) {
      Map.Entry<String, JsonNode> address = addresses.next();
      out.println("  " + address.getKey() + " " + address.getValue().asText());
    }
    for (JsonNode member : site.path("members")) {
      out.println(
          "  node "
              + member.path("address").asText()
              + " "
              + member.path("status").asText()
              + (member.path("reachable").asBoolean() ? "" : ", unreachable"));
    }
    JsonNode storage = site.path("storage");
    out.println("  journal " + Amounts.size(storage.path("journalBytes").asLong()) + disk(storage));
    JsonNode certificate = site.path("certificate");
    if (!certificate.isMissingNode() && !certificate.path("state").asText().equals("VALID")) {
      out.println("  certificate: " + certificate.path("message").asText());
    }
    for (JsonNode refused : site.path("refusedCertificates")) {
      out.println(
          "  refused at "
              + refused.path("time").asText()
              + ": "
              + refused.path("message").asText());
    }
    JsonNode sites = site.path("sites");
    if (sites.size() > 1) {
      out.println();
      SiteCommands.table(sites, out);
    }
    out.println();
    VolumeCommands.table(volumes, out);
    for (JsonNode volume : volumes) {
      VolumeCommands.alert(volume)
          .ifPresent(alert -> out.println(volume.path("name").asText() + ": " + alert));
    }
    if (!images.isEmpty()) {
      out.println();
      ImageCommands.table(images, out);
    }
  }
}
