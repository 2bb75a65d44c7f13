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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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
        "rollback db --at seq:5 --confirm other | 2 | --confirm db",
        "rollback db --at seq:5 --confirm db | 3 | BUSY",
        "rollback none --at seq:5 --confirm none | 4 | NOT_FOUND",
        "drill create d1 --volume db --check magic | 2 | INVALID",
        "drill create d1 --volume db --check fsck --every 1y | 2 | --every",
        "drill create d1 --volume none --check fsck | 4 | NOT_FOUND",
        "drill run none | 4 | NOT_FOUND",
        "drill delete none | 4 | NOT_FOUND",
        "compare none --from seq:1 --to latest | 4 | NOT_FOUND",
        "compare db --from seq:1 | 2 | --to",
        "compare db --from seq:1 --to latest --limit -1 | 2 | --limit",
        "bisect db --from seq:9 --to seq:9 true | 2 | no write between",
        "bisect db --from seq:1 --to latest | 2 | CMD",
        "bisect none --from seq:1 --to latest true | 4 | NOT_FOUND",
        "files ls db --at latest relative | 2 | INVALID",
        "files ls db --at latest /none | 4 | NOT_FOUND",
        "files ls db /none | 2 | --at",
        "files get db --at latest / | 2 | directory",
        "files get none --at latest /a.txt | 4 | NOT_FOUND",
        "files get db --at latest /a.txt --to / | 3 | ALREADY_EXISTS",
        "files get db --at latest /a.txt --to /nowhere/a.txt | 1 | FAILED",
        "files history db /a.txt | 2 | INVALID",
        "files history db /a.txt --at yesterday | 2 | names no recovery point",
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

  /** Every page is followed; ranges beyond the limit are counted. */
  @Test
  void shouldCompare() throws Exception {
    JsonNode answer =
        new ObjectMapper()
            .readTree(
                run("compare", "db", "--from", "seq:5", "--to", "latest", "--limit", "3", "--json")
                    .out());
    assertEquals(3, answer.path("ranges").size());
    assertEquals(205, answer.path("count").asInt());
    assertEquals(205 * 512, answer.path("bytes").asInt());
    assertEquals(100, answer.at("/to/seq").asInt());
    Ran words = run("compare", "db", "--from", "seq:5", "--to", "seq:6", "--content");
    assertTrue(words.out().contains("differ between seq 5 and seq 6, in 205 ranges"), words.out());
  }

  /** A drill from its creation to its end; run's exit code is the verdict. */
  @Test
  void shouldDrill() {
    Ran created =
        runAsIs(
            "drill",
            "create",
            "d2",
            "--node",
            node,
            "--volume",
            "db",
            "--check",
            "command",
            "--every",
            "15m",
            "--",
            "own.sh",
            "--fast");
    assertEquals(0, created.exit(), created.toString());
    Ran ran = run("drill", "run", "d2");
    assertEquals(0, ran.exit(), ran.toString());
    assertTrue(ran.out().contains("passed  seq 50  all is well"), ran.out());
    assertTrue(run("drill", "list").out().contains("15 min"), run("drill", "list").out());
    assertTrue(run("drill", "show", "d2", "--json").out().contains("--fast"));
    assertTrue(run("volume", "show", "db").out().contains("by drill d2"));
    assertTrue(run("timeline", "db").out().contains("last proven point seq 50"));
    assertEquals(0, run("drill", "delete", "d2").exit());
  }

  /** What undoes a rollback is told before it is done. */
  @Test
  void shouldTellWhatUndoesARollback() {
    Ran ran = run("rollback", "db", "--at", "seq:5", "--confirm", "db", "--force", "--detach");
    assertEquals(0, ran.exit(), ran.toString());
    assertTrue(ran.err().contains("tidemark rollback db --at seq:100 --confirm db"), ran.err());
    assertTrue(ran.out().contains("job rollback-1"), ran.out());
  }

  private static Ran bisect(String from, String to, String check) {
    return runAsIs(
        "bisect", "--node", node, "--json", "db", "--from", from, "--to", to, "--", "sh", "-c",
        check);
  }

  /**
   * The first bad write is found, each image is closed, and the check's words stay off the answer.
   */
  @Test
  void shouldBisect() throws Exception {
    ObjectMapper json = new ObjectMapper();
    Ran ran =
        bisect(
            "seq:22",
            "latest",
            "echo check of $TIDEMARK_IMAGE_URI; test $TIDEMARK_SEQ -lt 57 || exit 3");
    assertEquals(0, ran.exit(), ran.toString());
    JsonNode answer = json.readTree(ran.out());
    assertEquals(56, answer.at("/lastGood/seq").asInt());
    assertEquals(57, answer.at("/firstBad/seq").asInt());
    assertTrue(answer.path("exact").asBoolean());
    assertTrue(answer.path("images").asInt() <= 9, answer.toString());
    assertEquals(3, answer.at("/steps/1/exitCode").asInt());
    assertTrue(ran.err().contains("| check of nbd://127.0.0.1:10809/check-db-"), ran.err());
    assertEquals("[ ]", run("image", "list", "--json").out().strip());
  }

  /** What cannot be tested is told as an interval: dark, or skipped by the check. */
  @Test
  void shouldBisectAroundWhatCannotBeTested() throws Exception {
    ObjectMapper json = new ObjectMapper();
    JsonNode dark = json.readTree(bisect("seq:0", "latest", "test $TIDEMARK_SEQ -lt 15").out());
    assertEquals(10, dark.at("/lastGood/seq").asInt());
    assertEquals(21, dark.at("/firstBad/seq").asInt());
    assertFalse(dark.path("exact").asBoolean());
    assertEquals(10, dark.path("untested").asInt());
    assertEquals("spill file full", dark.at("/dark/0/reason").asText());
    JsonNode skipped =
        json.readTree(
            bisect(
                    "seq:30",
                    "seq:60",
                    "test $TIDEMARK_SEQ = 45 && exit 125; test $TIDEMARK_SEQ -lt 45")
                .out());
    assertEquals(44, skipped.at("/lastGood/seq").asInt());
    assertEquals(46, skipped.at("/firstBad/seq").asInt());
    assertEquals(1, skipped.path("skipped").asInt());
  }

  /** Ends that are not good and bad, and checks that are no verdict, end the search. */
  @Test
  void shouldRefuseToBisectWithoutAGoodAndABadEnd() {
    Ran allGood = bisect("seq:30", "seq:60", "true");
    assertEquals(2, allGood.exit());
    assertTrue(allGood.err().contains("says good at --to (seq 60"), allGood.err());
    Ran allBad = bisect("seq:30", "seq:60", "false");
    assertTrue(allBad.err().contains("says bad at --from"), allBad.err());
    Ran killed = bisect("seq:30", "seq:60", "kill -9 $$");
    assertEquals(1, killed.exit());
    assertTrue(killed.err().contains("no verdict"), killed.err());
    Ran missing =
        runAsIs(
            "bisect",
            "--node",
            node,
            "db",
            "--from",
            "seq:30",
            "--to",
            "seq:60",
            "--",
            "no-such-command");
    assertEquals(1, missing.exit());
    assertTrue(missing.err().contains("cannot be started"), missing.err());
    assertEquals("[ ]", run("image", "list", "--json").out().strip());
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

  /** Names of any bytes are shown, asked for, and fetched whole or not at all. */
  @Test
  void shouldFetchFiles(@TempDir Path directory) throws Exception {
    Ran list = run("files", "ls", "db", "--at", "latest", "/");
    assertTrue(list.out().contains("0640  1    2    10"), list.out());
    assertTrue(list.out().contains("odd??name"), list.out());
    Ran encoded = run("files", "ls", "db", "--at", "latest", "/", "--encoded");
    assertTrue(encoded.out().contains("odd%FF%0Aname"), encoded.out());
    JsonNode json =
        new ObjectMapper()
            .readTree(run("files", "ls", "db", "--at", "latest", "/", "--json").out());
    assertEquals(3, json.path("entries").size());
    assertTrue(json.path("next").isNull());
    assertEquals(2, run("files", "ls", "db", "--at", "latest", "/\ufffd").exit());
    assertTrue(run("files", "ls", "db", "--at", "latest", "/\ufffd").err().contains("--encoded"));
    assertEquals(4, run("files", "ls", "db", "--at", "latest", "/ #?&+\u00fc", "--encoded").exit());
    assertEquals(2, run("files", "ls", "db", "--at", "latest", "/%zz", "--encoded").exit());
    Path to = directory.resolve("fetched");
    Ran got =
        run("files", "get", "db", "--at", "latest", "/odd%FF%0Aname", "--encoded", "--to", "" + to);
    assertEquals(0, got.exit(), got.err());
    assertEquals("odd", Files.readString(to));
    assertEquals(3, run("files", "get", "db", "--at", "latest", "/a.txt", "--to", "" + to).exit());
    assertEquals("odd", Files.readString(to));
    try (Stream<Path> left = Files.list(directory)) {
      assertEquals(List.of(to), left.toList());
    }
    Ran history = run("files", "history", "db", "/a.txt", "--at", "seq:1", "--hash");
    assertTrue(history.out().contains("absent"), history.out());
    assertTrue(history.out().contains("00ff"), history.out());
    assertTrue(history.err().contains("seq:1 was passed over: dark"), history.err());
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
    Ran noted = run("tag", "list", "shop", "--words", "t1 BEFORE");
    assertTrue(noted.out().contains("t1 "), noted.out());
    assertFalse(run("tag", "list", "shop", "--words", "before t2").out().contains("t2 "));
    assertEquals(2, run("tag", "list", "shop", "--words", " ").exit());
    Ran page = run("tag", "list", "shop", "--limit", "1");
    assertTrue(page.out().contains("There may be older ones: add --to 20"), page.out());
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

  /** A link from its creation to its end, in the units that people use. */
  @Test
  void shouldAdministerLinks() {
    String created =
        run("link create --volume db --to site-2 --throttle 20Mbit --rpo 5s --priority 7"
                .split(" "))
            .out();
    assertTrue(created.contains("link db-to-site-2 replicates to site-2"), created);
    String shown = run("link show db-to-site-2".split(" ")).out();
    assertTrue(shown.contains("20.0 Mbit/s"), shown);
    assertTrue(shown.contains("9.5 s, 10 writes, 40 KiB"), shown);
    assertTrue(shown.contains("in 2.0 s"), shown);
    assertTrue(run("link list".split(" ")).out().contains("Streaming"));
    assertTrue(run("link pause db-to-site-2".split(" ")).out().contains("Paused"));
    assertTrue(run("link list".split(" ")).out().contains("(stale)"));
    assertTrue(run("link resume db-to-site-2".split(" ")).out().contains("Streaming"));
    assertTrue(run("link set db-to-site-2 --throttle none".split(" ")).out().contains("unlimited"));
    assertEquals(0, run("link resync db-to-site-2".split(" ")).exit());
    assertEquals(2, run("link create --volume db --to site-2 --throttle fast".split(" ")).exit());
    assertEquals(0, run("link delete db-to-site-2".split(" ")).exit());
    assertEquals(4, run("link show db-to-site-2".split(" ")).exit());
  }

  /** A plan from a file, failed over and back. */
  @Test
  void shouldFailOver(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("plan.json");
    Files.writeString(
        file,
        "{\"name\":\"shop\",\"source\":\"site-1\",\"target\":\"site-2\",\"steps\":["
            + "{\"name\":\"all\",\"volumes\":[\"db\"]}]}");
    Ran created = run("plan", "create", file.toString());
    assertTrue(created.out().contains("plan shop: from site-1 to site-2"), created.toString());
    assertTrue(run("plan list".split(" ")).out().contains("Ready"));
    String shown = run("plan show shop".split(" ")).out();
    assertTrue(shown.contains("db: 10 writes, 40 KiB, 2.5 s"), shown);
    assertEquals(2, run("failover shop --mode quick".split(" ")).exit());
    Ran over = run("failover shop --mode forced --override SECOND_PRIMARY".split(" "));
    assertEquals(0, over.exit());
    assertTrue(over.out().contains("FailedOver at site-2"), over.out());
    assertTrue(over.out().contains("writes lost: 10"), over.out());
    assertTrue(over.err().contains("promote db: primary in epoch 2"), over.err());
    assertEquals(3, run("failback shop".split(" ")).exit());
    assertEquals(0, run("commit shop".split(" ")).exit());
    assertEquals(0, run("failback shop".split(" ")).exit());
    assertEquals(3, run("rollback-failover shop".split(" ")).exit());
    Ran on = run("plan automatic shop --witness w --after 9s".split(" "));
    assertTrue(on.out().contains("witness w, after 9"), on.toString());
    assertEquals(2, run("plan automatic shop".split(" ")).exit());
    assertEquals(2, run("plan automatic shop --off --witness w".split(" ")).exit());
    assertEquals(2, run("plan automatic shop --witness site-1".split(" ")).exit());
    assertEquals(0, run("plan automatic shop --off".split(" ")).exit());
    assertEquals(4, run("plan show none".split(" ")).exit());
    assertEquals(4, run("plan", "create", directory.resolve("none").toString()).exit());
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
        "link",
        "link create",
        "link list",
        "link show",
        "link set",
        "link pause",
        "link resume",
        "link resync",
        "link delete",
        "plan",
        "plan create",
        "plan list",
        "plan show",
        "plan automatic",
        "failover",
        "commit",
        "rollback-failover",
        "failback",
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
        "files",
        "files ls",
        "files get",
        "files history",
        "jobs",
        "jobs list",
        "jobs show",
        "jobs cancel",
        "verify",
        "compare",
        "bisect",
        "rollback",
        "drill",
        "drill create",
        "drill list",
        "drill show",
        "drill run",
        "drill delete",
        "status",
        "site",
        "site list",
        "site forget",
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
