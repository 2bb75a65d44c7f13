package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark image}: recovery points as disks and files. */
@Command(
    name = "image",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Open any past state of a volume as a disk, or export it to a file.",
    footer = {
      "",
      "AT is one of: latest, seq:N, time:2026-01-31T12:00:00.000001Z",
      "",
      "Example:",
      "  nbdinfo $(tidemark image open db --at seq:1234)",
    })
final class ImageCommands implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say what to do with images: open, list, close or export");
  }

  @Command(
      name = "open",
      mixinStandardHelpOptions = true,
      description = "Open a recovery point as an NBD disk and print its URI.",
      footer = {
        "",
        "Examples:",
        "  tidemark image open db --at latest",
        "  tidemark image open db --at time:2026-01-31T12:00:00Z --writable",
        "  tidemark image open --group shop --at tag:before-upgrade",
        "  qemu-img convert -O qcow2 $(tidemark image open db --at seq:1234) db.qcow2",
      })
  void open(
      @Mixin Asking asking,
      @Parameters(arity = "0..1", paramLabel = "VOLUME", description = "a volume") String volume,
      @Option(
              names = "--group",
              paramLabel = "G",
              description = "instead of a volume: all volumes of the group, or none")
          String group,
      @Option(
              names = "--at",
              required = true,
              paramLabel = "AT",
              description = "latest, seq:N, time:ISO-8601 or tag:NAME")
          String at,
      @Option(
              names = "--writable",
              description = "let clients write; their changes last until the image is closed")
          boolean writable,
      @Option(
              names = "--name",
              paramLabel = "IMAGE",
              description = "the image's name; default: of volume and seq")
          String name) {
    if ((volume == null) == (group == null)) {
      throw new ParameterException(spec.commandLine(), "name a volume or --group G");
    }
    ObjectNode request = NodeClient.object().put("at", at).put("writable", writable);
    request.put(volume == null ? "group" : "volume", volume == null ? group : volume);
    if (name != null) {
      request.put("name", name);
    }
    if (group != null) {
      JsonNode opened = asking.client().post("/images", request);
      asking.show(
          opened,
          out ->
              opened
                  .path("uris")
                  .fields()
                  .forEachRemaining(
                      uri -> out.println(uri.getKey() + " " + uri.getValue().asText())));
      return;
    }
    JsonNode image = asking.client().post("/images", request);
    asking.show(
        image,
        out -> {
          out.println(image.path("uri").asText());
          asking
              .err()
              .println(
                  "image "
                      + image.path("name").asText()
                      + " of "
                      + point(image.path("at"))
                      + ", opened in "
                      + image.path("openMillis").asText()
                      + " ms; close it with: tidemark image close "
                      + image.path("name").asText());
          asking.err().flush();
        });
  }

  private static String point(JsonNode at) {
    return "seq " + at.path("seq").asText() + " at " + at.path("time").asText();
  }

  @Command(name = "list", mixinStandardHelpOptions = true, description = "List the open images.")
  void list(@Mixin Asking asking) {
    JsonNode images = asking.client().get("/images");
    asking.show(images, out -> table(images, out));
  }

  static void table(JsonNode images, PrintWriter out) {
    Table table = new Table("IMAGE", "VOLUME", "SEQ", "TIME", "MODE", "STATE", "CLIENTS", "URI");
    for (JsonNode image : images) {
      table.row(
          image.path("name").asText(),
          image.path("volume").asText(),
          image.path("at").path("seq").asText(),
          image.path("at").path("time").asText(),
          image.path("writable").asBoolean() ? "writable" : "read-only",
          image.path("state").asText(),
          image.path("clients").asText(),
          image.path("uri").asText());
    }
    table.print(out, "No image is open: open one with 'tidemark image open'.");
  }

  @Command(
      name = "close",
      mixinStandardHelpOptions = true,
      description = "Close an image; what was written to it is dropped.")
  void close(
      @Mixin Asking asking,
      @Parameters(paramLabel = "IMAGE", description = "an open image") String name,
      @Option(names = "--force", description = "close it although clients are connected")
          boolean force) {
    JsonNode done =
        asking
            .client()
            .delete("/images/" + NodeClient.escaped(name) + (force ? "?force=true" : ""));
    asking.show(done, out -> out.println("image " + name + " is closed"));
  }

  @Command(
      name = "export",
      mixinStandardHelpOptions = true,
      description = "Write a recovery point to a file on the node's machine.",
      footer = {
        "",
        "Example:",
        "  tidemark image export db --at latest --to /backup/db.qcow2 --format qcow2",
      })
  int export(
      @Mixin Asking asking,
      @Parameters(paramLabel = "VOLUME", description = "a volume") String volume,
      @Option(
              names = "--at",
              required = true,
              paramLabel = "AT",
              description = "latest, seq:N, time:ISO-8601 or tag:NAME")
          String at,
      @Option(
              names = "--to",
              required = true,
              paramLabel = "FILE",
              description = "a file that does not exist yet")
          Path to,
      @Option(
              names = "--format",
              required = true,
              paramLabel = "FORMAT",
              description = "raw, qcow2, vmdk or vhdx")
          String format,
      @Option(
              names = "--detach",
              description = "do not wait: print the job, to be followed with 'tidemark jobs'")
          boolean detach) {
    NodeClient client = asking.client();
    JsonNode job =
        client.post(
            "/exports",
            NodeClient.object()
                .put("volume", volume)
                .put("at", at)
                .put("format", format)
                .put("path", to.toAbsolutePath().normalize().toString()));
    return new JobProgress(asking, client).show(job, detach);
  }
}
