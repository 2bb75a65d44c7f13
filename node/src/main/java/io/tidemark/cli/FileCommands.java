package io.tidemark.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark files}: files of any past state of a volume. */
@Command(
    name = "files",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Browse and fetch files of any past state of a volume; nothing is mounted.",
    footer = {
      "",
      "AT is one of: latest, seq:N, time:2026-01-31T12:00:00.000001Z, tag:NAME",
      "Read are ext2, ext3, ext4, xfs, ntfs, fat and exfat, on the whole volume or in MBR and GPT",
      "partitions; the node needs the packages e2fsprogs, xfsprogs, sleuthkit, fdisk, libnbd-bin.",
      "",
      "Examples:",
      "  tidemark files ls web --at time:2026-01-31T12:00:00Z /var/www",
      "  tidemark files get web --at seq:1234 /var/www/index.html --to index.html",
      "  tidemark files history web /var/www/index.html --from 2026-01-31T00:00:00Z"
          + " --to 2026-02-01T00:00:00Z",
    })
final class FileCommands implements Runnable {
  /** What would move a terminal's cursor, turn its text around or is no character at all. */
  private static final String UNPRINTABLE = "[\\p{C}\\p{Zl}\\p{Zp}\ufffd]";

  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int COPY_BYTES = 1 << 16;
  private static final int PAGE = 1_000;

  /** What the JVM makes of bytes of an argument that its locale does not know. */
  private static final char UNKNOWN = '\ufffd';

  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say what to do with files: ls, get or history");
  }

  /** Where in a volume a path is, the same for each command. */
  static final class Place {
    @Parameters(index = "0", paramLabel = "NAME", description = "a volume")
    private String volume;

    @Parameters(
        index = "1",
        paramLabel = "PATH",
        description = "from the file system's root on, such as /etc/fstab")
    private String path;

    @Option(
        names = "--partition",
        paramLabel = "N",
        description = "where the volume has several file systems; 'ls NAME --at AT /' tells them")
    private Integer partition;

    @Option(
        names = "--encoded",
        description = "PATH is percent-encoded, for bytes that are no UTF-8; ls prints names so")
    private boolean encoded;

    private String pathQuery() {
      if (!encoded && path.indexOf(UNKNOWN) >= 0) {
        throw new Refusal(
            ErrorCode.INVALID,
            "the path holds bytes that are no characters here: give it percent-encoded, with"
                + " --encoded, as 'ls --encoded' prints it; or set LC_ALL=C.UTF-8");
      }
      String text = encoded ? onlyPercents(path) : NodeClient.escaped(path);
      return "path=" + text + (partition == null ? "" : "&partition=" + partition);
    }

    /** What is encoded stays, what should have been is. */
    private static String onlyPercents(String path) {
      if (!path.matches("([^%]|%[0-9A-Fa-f]{2})*+")) {
        throw new Refusal(
            ErrorCode.INVALID,
            "with --encoded a '%' in the path needs two hexadecimal digits after it");
      }
      StringBuilder text = new StringBuilder();
      for (String part : path.split("((?<=%)|(?=%))")) {
        text.append(part.equals("%") ? part : NodeClient.escaped(part));
      }
      return text.toString();
    }

    private String query(String what, String at) {
      return "/volumes/"
          + NodeClient.escaped(volume)
          + "/"
          + what
          + "?at="
          + NodeClient.escaped(at)
          + "&"
          + pathQuery();
    }
  }

  @Command(
      name = "ls",
      mixinStandardHelpOptions = true,
      description = "List a directory, or what is known of a file.",
      footer = {"", "Example:", "  tidemark files ls web --at latest /var/www"})
  void ls(
      @Mixin Asking asking,
      @Mixin Place place,
      @Option(
              names = "--at",
              required = true,
              paramLabel = "AT",
              description = "latest, seq:N, time:ISO-8601 or tag:NAME")
          String at) {
    NodeClient client = asking.client();
    String limit = "&limit=" + PAGE;
    JsonNode page = client.get(place.query("files", at) + limit);
    // Later pages are of the same point, whatever was written meanwhile.
    String same = place.query("files", "seq:" + page.path("at").path("seq").asText()) + limit;
    Listing listing = asking.json() ? new JsonListing(asking) : new TextListing(asking, place);
    listing.first(page);
    while (!page.path("next").isNull()) {
      page = client.get(same + "&after=" + page.path("next").asText());
      listing.further(page);
    }
    listing.end();
  }

  /** Shows a directory page by page: it may have more entries than fit into memory. */
  private interface Listing {
    void first(JsonNode page);

    void further(JsonNode page);

    void end();
  }

  private static final class TextListing implements Listing {
    private final Asking asking;
    private final Place place;
    private boolean dirty;

    TextListing(Asking asking, Place place) {
      this.asking = asking;
      this.place = place;
    }

    @Override
    public void first(JsonNode page) {
      dirty = page.path("fileSystem").path("journal").asText().equals("dirty");
      if (page.path("fileSystem").isNull()) {
        partitions(page.path("partitions"), asking.out());
      } else if (page.path("entry").path("type").asText().equals("directory")) {
        table(page.path("entries")).print(asking.out(), "The directory is empty.");
      } else {
        table(List.of(page.path("entry"))).print(asking.out(), "");
      }
    }

    @Override
    public void further(JsonNode page) {
      table(page.path("entries")).printMore(asking.out());
    }

    private Table table(Iterable<JsonNode> entries) {
      Table table = new Table("TYPE", "MODE", "UID", "GID", "SIZE", "MODIFIED", "NAME");
      for (JsonNode row : entries) {
        String target = row.path("target").isNull() ? "" : " -> " + printable(row.path("target"));
        table.row(
            row.path("type").asText(),
            row.path("mode").isNull() ? "-" : row.path("mode").asText(),
            row.path("uid").isNull() ? "-" : row.path("uid").asText(),
            row.path("gid").isNull() ? "-" : row.path("gid").asText(),
            row.path("sizeBytes").asText(),
            row.path("modified").asText(),
            (place.encoded ? row.path("encodedName").asText() : printable(row.path("name")))
                + target);
      }
      return table;
    }

    @Override
    public void end() {
      asking.out().flush();
      if (dirty) {
        asking
            .err()
            .println(
                "tidemark: the file system's journal could not be replayed on this node: changes of"
                    + " the seconds before the point may be missing");
        asking.err().flush();
      }
    }
  }

  /** One document: the first page with the entries of all. */
  private static final class JsonListing implements Listing {
    private final Asking asking;
    private final JsonGenerator json;

    JsonListing(Asking asking) {
      this.asking = asking;
      try {
        json = MAPPER.createGenerator(asking.out()).useDefaultPrettyPrinter();
        json.disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public void first(JsonNode page) {
      try {
        json.writeStartObject();
        for (Map.Entry<String, JsonNode> field : page.properties()) {
          if (!field.getKey().equals("entries")) {
            boolean last = field.getKey().equals("next");
            json.writeObjectField(field.getKey(), last ? null : field.getValue());
          }
        }
        json.writeArrayFieldStart("entries");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      further(page);
    }

    @Override
    public void further(JsonNode page) {
      try {
        for (JsonNode entry : page.path("entries")) {
          json.writeTree(entry);
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public void end() {
      try {
        json.writeEndArray();
        json.writeEndObject();
        json.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      asking.out().println();
      asking.out().flush();
    }
  }

  private static void partitions(JsonNode partitions, PrintWriter out) {
    Table table = new Table("PARTITION", "OFFSET", "SIZE", "HOLDS", "LABEL", "READABLE");
    for (JsonNode row : partitions) {
      table.row(
          row.path("number").asText(),
          row.path("offset").asText(),
          Amounts.size(row.path("sizeBytes").asLong()),
          row.path("type").isNull() ? "unknown" : row.path("type").asText(),
          printable(row.path("label")),
          row.path("readable").asBoolean() ? "yes, with --partition" : "no");
    }
    table.print(out, "The partition table is empty.");
  }

  private static String printable(JsonNode name) {
    return name.asText().replaceAll(UNPRINTABLE, "?");
  }

  @Command(
      name = "get",
      mixinStandardHelpOptions = true,
      description = "Fetch a file's content.",
      footer = {
        "",
        "Without --to the content goes to standard output. FILE must not exist; it appears whole",
        "or not at all.",
        "",
        "Example:",
        "  tidemark files get web --at seq:1234 /var/www/index.html --to index.html",
      })
  void get(
      @Mixin Asking asking,
      @Mixin Place place,
      @Option(
              names = "--at",
              required = true,
              paramLabel = "AT",
              description = "latest, seq:N, time:ISO-8601 or tag:NAME")
          String at,
      @Option(names = "--to", paramLabel = "FILE", description = "a file that does not exist yet")
          Path to) {
    NodeClient client = asking.client();
    String query = place.query("content", at);
    if (to == null) {
      client.download(
          query,
          (length, content) -> {
            OutputStream out = new FileOutputStream(FileDescriptor.out);
            copy(content, out, length);
          });
      return;
    }
    if (Files.exists(to)) {
      throw exists(to, null);
    }
    client.download(query, (length, content) -> store(to, length, content));
    JsonNode done =
        NodeClient.object().put("file", to.toAbsolutePath().toString()).put("bytes", size(to));
    asking.show(done, out -> out.println(size(to) + " bytes are in " + to));
  }

  private static Refusal exists(Path to, Exception cause) {
    return new Refusal(
        ErrorCode.ALREADY_EXISTS, to + " exists: name a file that does not, or remove it", cause);
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw new Refusal(ErrorCode.FAILED, "cannot read " + file + ": " + e.getMessage(), e);
    }
  }

  /** Under another name until it is whole; a link never replaces what appeared meanwhile. */
  private static void store(Path to, long length, InputStream content) throws IOException {
    Path directory = to.toAbsolutePath().getParent();
    Path part = directory.resolve(".tidemark-" + UUID.randomUUID() + ".part");
    part.toFile().deleteOnExit(); // when it is interrupted at the keyboard
    try {
      try (FileChannel out = create(part)) {
        copy(content, Channels.newOutputStream(out), length);
        out.force(true);
      }
      name(part, to);
    } catch (FileAlreadyExistsException e) {
      throw exists(to, e);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  private static FileChannel create(Path part) {
    try {
      return FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "cannot write in " + part.getParent() + ": " + e.getMessage(), e);
    }
  }

  private static void name(Path part, Path to) throws IOException {
    try {
      Files.createLink(to, part);
    } catch (FileAlreadyExistsException e) {
      throw e;
    } catch (UnsupportedOperationException | FileSystemException e) {
      Files.move(part, to); // where there are no links; it replaces nothing either
    }
  }

  private static void copy(InputStream from, OutputStream to, long length) throws IOException {
    byte[] buffer = new byte[COPY_BYTES];
    long copied = 0;
    for (int read = from.read(buffer); read >= 0; read = from.read(buffer)) {
      to.write(buffer, 0, read);
      copied += read;
    }
    if (length >= 0 && copied != length) {
      throw new IOException(copied + " of " + length + " bytes arrived");
    }
  }

  @Command(
      name = "history",
      mixinStandardHelpOptions = true,
      description = "Tell the versions of a file among recovery points.",
      footer = {
        "",
        "The points are those named by --at, and POINTS of them at equal distances between",
        "--from and --to.",
        "",
        "Examples:",
        "  tidemark files history web /etc/fstab --at seq:1000 --at seq:2000 --at latest",
        "  tidemark files history web /etc/fstab --from 2026-01-31T00:00:00Z"
            + " --to 2026-02-01T00:00:00Z --points 50 --hash",
      })
  void history(
      @Mixin Asking asking,
      @Mixin Place place,
      @Option(
              names = "--at",
              paramLabel = "AT",
              description = "a point to look at; may be given often")
          List<String> ats,
      @Option(names = "--from", paramLabel = "T", description = "a time, with --to") String from,
      @Option(names = "--to", paramLabel = "T", description = "a time, with --from") String to,
      @Option(
              names = "--points",
              paramLabel = "POINTS",
              description = "between --from and --to, 2 to 200; default 20")
          String points,
      @Option(names = "--hash", description = "tell versions apart by their content (SHA-256)")
          boolean hash) {
    StringBuilder query = new StringBuilder("/volumes/");
    query.append(NodeClient.escaped(place.volume)).append("/files/history?");
    query.append(place.pathQuery());
    for (String at : ats == null ? List.<String>of() : ats) {
      query.append("&at=").append(NodeClient.escaped(at));
    }
    append(query, "from", from);
    append(query, "to", to);
    append(query, "points", points);
    append(query, "hash", Boolean.toString(hash));
    JsonNode history = asking.client().getLong(query.toString());
    asking.show(history, out -> versions(asking, history, out));
  }

  private static void append(StringBuilder query, String name, String value) {
    if (value != null) {
      query.append('&').append(name).append('=').append(NodeClient.escaped(value));
    }
  }

  private static void versions(Asking asking, JsonNode history, PrintWriter out) {
    Table table = new Table("FROM SEQ", "TO SEQ", "FROM", "TO", "SIZE", "MODIFIED", "SHA-256");
    for (JsonNode version : history.path("versions")) {
      boolean exists = version.path("exists").asBoolean();
      table.row(
          version.path("first").path("seq").asText(),
          version.path("last").path("seq").asText(),
          version.path("first").path("time").asText(),
          version.path("last").path("time").asText(),
          exists ? version.path("entry").path("sizeBytes").asText() : "absent",
          exists ? version.path("entry").path("modified").asText() : "-",
          version.path("sha256").isNull() ? "-" : version.path("sha256").asText());
    }
    table.print(out, "None of the points could be looked at.");
    for (JsonNode point : history.path("skipped")) {
      asking
          .err()
          .println(
              "tidemark: "
                  + point.path("at").asText()
                  + " was passed over: "
                  + point.path("detail").asText());
    }
    asking.err().flush();
  }
}
