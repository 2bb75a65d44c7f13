package io.tidemark.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Behaviors;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.typesafe.config.ConfigFactory;
import io.tidemark.http.AdminRoutes;
import io.tidemark.http.AdminServer;
import io.tidemark.http.FakeServices;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** The command line against the admin interface of a site in memory. */
class CliTest {
  private static ActorSystem<Void> system;
  private static String node;

  /** What a command did. */
  private record Ran(int exit, String out, String err) {}

  @BeforeAll
  static void start() throws Exception {
    system =
        ActorSystem.create(
            Behaviors.empty(),
            "cli-test",
            ConfigFactory.parseString("akka.actor.provider = local, akka.loglevel = OFF")
                .withFallback(ConfigFactory.load()));
    node =
        "http://127.0.0.1:"
            + AdminServer.bind(
                    system, new AdminRoutes(new FakeServices().services()), "127.0.0.1", 0)
                .toCompletableFuture()
                .get(20, TimeUnit.SECONDS)
                .getPort();
    assertEquals(0, run("volume", "create", "db", "--size", "1MiB").exit());
  }

  @AfterAll
  static void stop() throws Exception {
    system.terminate();
    system.getWhenTerminated().toCompletableFuture().get(20, TimeUnit.SECONDS);
  }

  private static Ran run(String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.add("--node");
    all.add(node);
    return runAsIs(all.toArray(String[]::new));
  }

  private static Ran runAsIs(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine commands = TidemarkCli.commandLine();
    commands.setOut(new PrintWriter(out, true));
    commands.setErr(new PrintWriter(err, true));
    commands.setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
    int exit = commands.execute(arguments);
    return new Ran(exit, out.toString(), err.toString());
  }

  /** Exit codes and messages of what can go wrong (L1); the answer's channel stays clean (L2). */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "volume create x --size 513 | 2 | multiple of 512",
        "volume create x --size 0 | 2 | multiple of 512",
        "volume create x --size 1XB | 2 | unknown unit",
        "volume create x --size 9999999PiB | 2 | unknown unit",
        "volume create x --size 999999999TiB | 2 | more bytes",
        "volume create x | 2 | --size",
        "volume create a/b --size 1MiB | 2 | is no name",
        "volume create db --size 2MiB | 3 | ALREADY_EXISTS",
        "volume create silent --size 1MiB | 5 | NOT_ACKNOWLEDGED",
        "volume create broken --size 1MiB | 1 | FAILED",
        "volume create x --size 128TiB | 3 | LIMIT",
        "volume show none | 4 | NOT_FOUND",
        "retention show none | 4 | NOT_FOUND",
        "retention set db | 2 | name --window",
        "retention set db --window 3x | 2 | no span of time",
        "retention set db --ladder 1h | 2 | no rung",
        "retention set db --ladder 1h:7d | 2 | give a window too",
        "retention set db --cap 2GiB --hard-cap 1GiB | 2 | must not be below",
        "volume delete db --confirm other | 2 | INVALID",
        "volume delete none --confirm none | 4 | NOT_FOUND",
        "volum | 2 | volume",
        "image open db --at seq:15 | 3 | DARK_INTERVAL",
        "image open db --at seq:1000 | 3 | BEYOND_HEAD",
        "image open db --at time:2000-01-01T00:00:00Z | 3 | BEYOND_HORIZON",
        "image open db --at yesterday | 2 | names no recovery point",
        "image open none --at latest | 4 | NOT_FOUND",
        "image close none | 4 | NOT_FOUND",
        "image export db --at latest --to /tmp/x --format tar --detach | 2 | INVALID",
        "jobs show none | 4 | NOT_FOUND",
        "jobs cancel none | 4 | NOT_FOUND",
        "timeline none | 4 | NOT_FOUND",
        "timeline db --buckets 0 | 2 | INVALID",
        "timeline db --buckets many | 2 | buckets",
        "verify none | 4 | NOT_FOUND",
        "group show none | 4 | NOT_FOUND",
        "group create a/b --volume db | 2 | is no name",
        "group create x | 2 | --volume",
        "tag none t | 4 | NOT_FOUND",
        "tag none | 2 | name a group and the new tag",
        "tag g t --crash --app x | 2 | mutually exclusive",
        "tag list none | 4 | NOT_FOUND",
        "tag lock none t | 4 | NOT_FOUND",
        "image open --group none --at latest | 4 | NOT_FOUND",
        "image open db --group none --at latest | 2 | a volume or --group",
        "status --jsn | 2 | --jsn",
      })
  void shouldFailWithTheCode(String command, int exit, String words) {
    Ran ran = run(command.strip().split(" "));
    assertEquals(exit, ran.exit(), ran.toString());
    assertTrue(ran.err().contains(words.strip()), ran.err());
    assertEquals("", ran.out());
  }

  /** A node that is not there is said to be, with the way out. */
  @Test
  void shouldTellAnUnreachableNode() throws IOException {
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    Ran ran = runAsIs("status", "--node", "127.0.0.1:" + port);
    assertEquals(5, ran.exit());
    assertTrue(ran.err().contains("tidemark up"), ran.err());
    assertEquals(2, runAsIs("status", "--node", "ftp://x").exit());
  }

  /** With --json the output is the node's answer (L3). */
  @Test
  void shouldPrintJson() throws Exception {
    ObjectMapper json = new ObjectMapper();
    assertEquals(
        "db", json.readTree(run("volume", "list", "--json").out()).get(0).path("name").asText());
    assertEquals(
        100, json.readTree(run("volume", "show", "db", "--json").out()).at("/head/seq").asInt());
    assertEquals(20, json.readTree(run("timeline", "db", "--json").out()).path("buckets").size());
    JsonNode status = json.readTree(run("status", "--json").out());
    assertEquals("here", status.at("/site/name").asText());
    assertEquals(1, status.path("volumes").size());
    JsonNode image =
        json.readTree(run("image", "open", "db", "--at", "seq:7", "--name", "i7", "--json").out());
    assertEquals(7, image.at("/at/seq").asInt());
    assertEquals(0, run("image", "close", "i7").exit());
    JsonNode job = json.readTree(run("verify", "db", "--detach", "--json").out());
    assertEquals("verify", job.path("kind").asText());
    assertTrue(json.readTree(run("jobs", "--json").out()).size() >= 1);
  }

  /** Tables and sentences for people. */
  @Test
  void shouldPrintWords() {
    Ran list = run("volume", "list");
    assertTrue(list.out().contains("VOLUME"), list.out());
    assertTrue(list.out().contains("db      1 MiB  Protected  continuous  100"), list.out());
    Ran show = run("volume", "show", "db");
    assertTrue(show.out().contains("seq 100 at 2026-01-31T12:01:40Z"), show.out());
    assertTrue(show.out().contains("0.5 s, 8 KiB in 2 writes"), show.out());
    assertTrue(show.out().contains("seq 11 to 20"), show.out());
    Ran opened = run("image", "open", "db", "--at", "seq:9", "--name", "i9");
    assertEquals("nbd://127.0.0.1:10809/i9" + System.lineSeparator(), opened.out());
    assertTrue(opened.err().contains("tidemark image close i9"), opened.err());
    assertTrue(run("image", "list").out().contains("read-only"));
    assertEquals(0, run("image", "close", "i9").exit());
    assertTrue(run("timeline", "db").out().contains("dark"), "dark intervals show");
    assertTrue(run("status").out().startsWith("site here"));
  }

  /** Groups and tags: created, taken, listed, locked, opened. */
  @Test
  void shouldTagGroups() throws Exception {
    assertEquals(0, run("group", "create", "shop", "--volume", "db").exit());
    assertTrue(run("group", "list").out().contains("shop"));
    assertEquals(0, run("group", "schedule", "shop", "s", "--every", "1", "--keep", "60").exit());
    assertTrue(run("group", "show", "shop").out().contains("every 1 s, kept for 60 s"));
    Ran tag = run("tag", "shop", "t1", "--notes", "before");
    assertEquals(0, tag.exit(), tag.err());
    assertTrue(tag.out().contains("Committed, crash-consistent"), tag.out());
    assertTrue(run("tag", "shop", "t2", "--app", "pg").out().contains("application pg: done"));
    assertTrue(run("tag", "shop", "t3", "--app").out().contains("application-consistent"));
    assertEquals(3, run("tag", "shop", "late").exit());
    assertTrue(run("tag", "list", "shop", "--prefix", "t1").out().contains("t1"));
    assertTrue(run("tag", "lock", "shop", "t1").out().contains(", locked"));
    assertFalse(run("tag", "unlock", "shop", "t1").out().contains(", locked"));
    JsonNode json = new ObjectMapper().readTree(run("tag", "show", "shop", "t1", "--json").out());
    assertEquals(42, json.at("/points/0/seq").asInt());
    Ran opened = run("image", "open", "--group", "shop", "--at", "seq:9", "--name", "cli");
    assertTrue(opened.out().contains("db nbd://127.0.0.1:10809/cli-db"), opened.out());
    assertEquals(0, run("image", "close", "cli-db").exit());
    assertEquals(0, run("group", "delete", "shop").exit());
  }

  /** A command that is cut short says how to go on. */
  @Test
  void shouldSayWhatIsMissing() {
    Ran volume = runAsIs("volume");
    assertEquals(2, volume.exit());
    assertTrue(volume.err().contains("create, list, show or delete"), volume.err());
    assertEquals(2, runAsIs().exit());
    assertEquals(2, runAsIs("image").exit());
  }

  /** What is set is shown, what is not named stays, and holders are named. */
  @Test
  void shouldSetAndShowRetention() {
    Ran set = run("retention", "set", "db", "--window", "48h", "--ladder", "all:3d,1h:2w");
    assertEquals(0, set.exit(), set.err());
    Ran more = run("retention", "set", "db", "--cap", "2GiB");
    assertEquals(0, more.exit(), more.err());
    String shown = run("retention", "show", "db").out();
    for (String part :
        List.of(
            "2d",
            "2 GiB",
            "all up to 3d, one in 1h up to 2w",
            "held by image:old",
            "tag nightly")) {
      assertTrue(shown.contains(part), part + " is not in: " + shown);
    }
    Ran lifted = run("retention", "set", "db", "--window", "none", "--ladder", "none");
    assertTrue(lifted.out().contains("every write is kept"), lifted.out());
  }

  /** The help teaches by example; a change of it is a change of docs/cli.md, too. */
  @Test
  void shouldPrintTheGoldenHelp() throws IOException {
    try (InputStream in = CliTest.class.getResourceAsStream("help.txt")) {
      String golden = in == null ? "" : new String(in.readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(golden, runAsIs("--help").out());
    }
  }

  /** Every command has help with exit code 0, and none mentions a feature without its command. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "volume",
        "volume create",
        "volume list",
        "volume show",
        "volume delete",
        "timeline",
        "group",
        "group create",
        "group list",
        "group show",
        "group schedule",
        "group unschedule",
        "group delete",
        "tag",
        "tag list",
        "tag show",
        "tag lock",
        "tag unlock",
        "image",
        "image open",
        "image list",
        "image close",
        "image export",
        "jobs",
        "jobs list",
        "jobs show",
        "jobs cancel",
        "verify",
        "status",
        "events"
      })
  void shouldHaveHelpEverywhere(String command) {
    List<String> arguments = new ArrayList<>(List.of(command.split(" ")));
    arguments.add("--help");
    Ran ran = runAsIs(arguments.toArray(String[]::new));
    assertEquals(0, ran.exit());
    assertTrue(ran.out().contains("Usage: tidemark " + command), ran.out());
    assertEquals("", ran.err());
  }

  @ParameterizedTest
  @CsvSource({
    "512, 512",
    "1KiB, 1024",
    "1GiB, 1073741824",
    "2g, 2147483648",
    "1 MB, 1000000",
    "3TiB, 3298534883328",
  })
  void shouldReadSizes(String text, long bytes) {
    assertEquals(bytes, Amounts.bytes(text));
  }

  @Test
  void shouldWriteAmounts() {
    assertEquals("1.5 GiB", Amounts.size(3L << 29));
    assertEquals("512 B", Amounts.size(512));
    assertEquals("64 MiB", Amounts.size(64 << 20));
    assertEquals("2 min 5 s", Amounts.seconds(125));
    assertEquals("1 h 1 min", Amounts.seconds(3_660));
    assertFalse(Amounts.seconds(0.04).isEmpty());
  }
}
