package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;

/**
 * A data base under load fails over to another site and back. Its clients know it by one address
 * and connect again; what was committed is there after a planned failover, and after a forced one
 * all that was committed before the point that the report names.
 *
 * <p>{@code java -cp ... io.tidemark.system.PostgresFailover DIRECTORY}
 */
final class PostgresFailover implements AutoCloseable {
  private static final Path BIN = Path.of("/usr/lib/postgresql/15/bin");
  private static final String VOLUME = "ledger";
  private static final String PLAN = "/api/v1/plans/books";
  private static final long VOLUME_BYTES = 192L << 20;
  private static final Duration LIMIT = Duration.ofSeconds(120);
  private static final String BALANCES =
      "select (select sum(abalance) from pgbench_accounts) = (select coalesce(sum(delta), 0) from"
          + " pgbench_history) and (select sum(abalance) from pgbench_accounts) = (select"
          + " sum(bbalance) from pgbench_branches)";

  private final TestSite a;
  private final TestSite b;
  private final Path directory;

  /** The address that clients know. */
  private final Path sockets;

  /** Rows that were committed, and when that was known. */
  private final Map<Integer, Instant> committed = new TreeMap<>();

  private final AtomicBoolean stop = new AtomicBoolean();
  private final List<Thread> clients = new ArrayList<>();
  private int number;
  private TestSite.TestTap tap;
  private MountedExport mounted;
  private int mounts;

  PostgresFailover(TestSite a, TestSite b, Path directory) throws Exception {
    this.a = a;
    this.b = b;
    this.directory = directory;
    this.sockets = Files.createDirectory(directory.resolve("pg"));
    Shell.run("chmod", "755", directory.toString()).orFail();
    Shell.run("chown", "postgres", sockets.toString()).orFail();
  }

  /** Skips visibly where something of it is not installed. */
  static void requires() {
    Shell.requires("nbdcopy", "nbdfuse", "losetup", "fusermount3", "runuser", "mkfs.ext4");
    Shell.requiresRoot(Path.of("/dev/fuse"));
    if (!Files.isExecutable(BIN.resolve("pgbench"))) {
      Shell.requires("pgbench of PostgreSQL 15");
    }
  }

  /** Over and back as planned, then over by force with the link paused. Returns what it saw. */
  String run() throws Exception {
    protect();
    final StringBuilder saw = new StringBuilder();
    saw.append(planned(b, "/failover", "{\"mode\":\"planned\"}", "FailedOver"));
    order("/commit", null);
    awaitState(b, "Committed");
    awaitStreaming(b);
    saw.append(planned(a, "/failback", null, "Ready"));
    awaitStreaming(a);
    saw.append(forced());
    return saw.toString();
  }

  private void protect() throws Exception {
    a.client.createVolume(VOLUME, VOLUME_BYTES);
    try (RandomAccessFile file = new RandomAccessFile(backing(a).toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    tap = a.tap(VOLUME, backing(a));
    tap.start();
    tap.awaitServed();
    mounted = new MountedExport(directory, "pg-" + mounts++, tap.uri());
    Shell.run("mkfs.ext4", "-qF", mounted.device()).orFail();
    mounted.mount();
    Shell.run("chown", "postgres", mounted.mountPoint().toString()).orFail();
    String data = data();
    Shell.as("postgres", bin("initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-N");
    Shell.run("sync", "-f", mounted.mountPoint().toString()).orFail();
    serve();
    sql("create table rows (number int primary key)");
    Shell.as("postgres", client("pgbench", "-i", "-q", "-s", "1"));
    a.client.send("POST", "/api/v1/links", "{\"volumes\":[\"ledger\"],\"to\":\"b\"}").orFail();
    a.client
        .send(
            "POST",
            "/api/v1/plans",
            "{\"name\":\"books\",\"source\":\"a\",\"target\":\"b\",\"steps\":[{\"name\":\"all\","
                + "\"volumes\":[\"ledger\"]}]}")
        .orFail();
    awaitStreaming(a);
    clients.add(new Thread(this::insert, "inserts"));
    clients.add(new Thread(this::bench, "pgbench"));
    clients.forEach(Thread::start);
  }

  // ---- failovers ------------------------------------------------------------------------------

  private String planned(TestSite to, String what, String body, String state) throws Exception {
    awaitMore(20);
    long began = System.nanoTime();
    order(what, body);
    JsonNode over = awaitState(to, state);
    if (over.at("/run/volumes/0/lostWrites").asLong(-1) != 0) {
      throw new AssertionError("a planned failover lost writes: " + over);
    }
    move(to);
    awaitMore(1);
    final double seconds = (System.nanoTime() - began) / 1e9;
    awaitMore(20);
    int there = assertRows();
    return "%s: %d rows committed, none lost, next commit after %.1f s%n"
        .formatted(what, there, seconds);
  }

  private String forced() throws Exception {
    awaitWhole();
    String link = link(a);
    a.client.send("PATCH", "/api/v1/links/" + link, "{\"paused\":true}").orFail();
    awaitMore(20);
    long began = System.nanoTime();
    order("/failover", "{\"mode\":\"forced\"}");
    JsonNode over = awaitState(b, "FailedOver");
    JsonNode volume = over.at("/run/volumes/0");
    long fork = volume.path("goesOnAtSeq").asLong();
    long head = a.client.head(VOLUME);
    long lost = volume.path("lostWrites").asLong(-1);
    if (lost != head - fork || lost <= 0) {
      throw new AssertionError("reported " + lost + ", lost " + (head - fork) + ": " + over);
    }
    Instant point =
        Instant.parse(b.client.point(VOLUME, "seq:" + fork).orFail().at("/at/time").asText());
    Map<Integer, Instant> before;
    move(b);
    synchronized (committed) {
      before = new TreeMap<>(committed);
    }
    awaitMore(5);
    final double seconds = (System.nanoTime() - began) / 1e9;
    List<Integer> there = rows();
    List<Integer> gone =
        before.keySet().stream().filter(row -> !there.contains(row)).collect(Collectors.toList());
    for (int row : gone) {
      if (before.get(row).isBefore(point)) {
        throw new AssertionError(
            "row " + row + " was committed at " + before.get(row) + ", before " + point);
      }
    }
    if (gone.isEmpty()) {
      throw new AssertionError("nothing was lost with the link paused: " + over);
    }
    synchronized (committed) {
      gone.forEach(committed::remove);
    }
    assertRows();
    return "forced: %d writes lost as reported, with them the %d rows committed after %s; next commits after %.1f s%n"
        .formatted(lost, gone.size(), point, seconds);
  }

  /** The data base ends where it was as in a power cut, and starts at the other site. */
  private void move(TestSite to) throws Exception {
    Shell.run(asPostgres(bin("pg_ctl"), "-D", data(), "-m", "immediate", "stop"));
    mounted.close();
    tap.kill();
    fill(to);
    Path state = backing(to).resolveSibling(backing(to).getFileName() + ".tidemark");
    Shell.run("rm", "-rf", state.toString()).orFail();
    tap = to.tap(VOLUME, backing(to));
    tap.start();
    tap.awaitServed();
    mounted = new MountedExport(directory, "pg-" + mounts++, tap.uri());
    mounted.mount();
    Files.deleteIfExists(Path.of(data(), "postmaster.pid"));
    serve();
  }

  /** From the journal's head. */
  private void fill(TestSite to) throws Exception {
    JsonNode image = to.client.openImage(VOLUME, "latest", false).orFail();
    Files.deleteIfExists(backing(to));
    Shell.run("nbdcopy", image.path("uri").asText(), backing(to).toString()).orFail();
    to.client.closeImage(image.path("name").asText());
  }

  private Path backing(TestSite site) {
    return directory.resolve(site == a ? "ledger-a.img" : "ledger-b.img");
  }

  // ---- the data base --------------------------------------------------------------------------

  private String data() {
    return mounted.mountPoint().resolve("db").toString();
  }

  private void serve() throws Exception {
    Shell.as(
        "postgres",
        bin("pg_ctl"),
        "-D",
        data(),
        "-w",
        "-l",
        sockets.resolve("log").toString(),
        "-o",
        "-c listen_addresses='' -c max_wal_size=48MB -c min_wal_size=32MB"
            + " -c unix_socket_directories="
            + sockets,
        "start");
  }

  private static String bin(String program) {
    return BIN.resolve(program).toString();
  }

  private static List<String> asPostgres(String... command) {
    List<String> whole = new ArrayList<>(List.of("runuser", "-u", "postgres", "--"));
    whole.addAll(List.of(command));
    return whole;
  }

  private String[] client(String program, String... arguments) {
    List<String> whole = new ArrayList<>(List.of(bin(program)));
    whole.addAll(List.of("-h", sockets.toString(), "-U", "postgres"));
    whole.addAll(List.of(arguments));
    return whole.toArray(String[]::new);
  }

  private String sql(String statement) throws Exception {
    return Shell.as("postgres", client("psql", "-Atc", statement, "postgres"));
  }

  private List<Integer> rows() throws Exception {
    return sql("select number from rows order by number").lines().map(Integer::valueOf).toList();
  }

  /** Every row that was known to be committed, and pgbench's books. */
  private int assertRows() throws Exception {
    Map<Integer, Instant> known;
    synchronized (committed) {
      known = new TreeMap<>(committed);
    }
    List<Integer> there = rows();
    for (int row : known.keySet()) {
      if (!there.contains(row)) {
        throw new AssertionError("row " + row + " was committed and is lost");
      }
    }
    if (!sql(BALANCES).equals("t")) {
      throw new AssertionError("pgbench's books are not right");
    }
    return known.size();
  }

  // ---- clients --------------------------------------------------------------------------------

  /** One row a transaction; whatever fails is tried again as another one. */
  private void insert() {
    try {
      while (!stop.get()) {
        int row = ++number;
        Shell.Result result =
            Shell.run(
                asPostgres(
                    client("psql", "-qc", "insert into rows values (" + row + ")", "postgres")));
        if (result.exitCode() == 0) {
          synchronized (committed) {
            committed.put(row, Instant.now());
          }
        }
      }
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends with its connection, and is started again. */
  private void bench() {
    try {
      while (!stop.get()) {
        Process pgbench =
            new ProcessBuilder(asPostgres(client("pgbench", "-n", "-c", "2", "-T", "3")))
                .redirectErrorStream(true)
                .redirectOutput(
                    ProcessBuilder.Redirect.appendTo(directory.resolve("pgbench.log").toFile()))
                .start();
        if (!pgbench.waitFor(60, TimeUnit.SECONDS)) {
          pgbench.destroyForcibly();
        }
      }
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void awaitMore(int rows) throws Exception {
    int before = size();
    Await.until(rows + " more rows are committed", LIMIT, () -> size() >= before + rows);
  }

  private int size() {
    synchronized (committed) {
      return committed.size();
    }
  }

  // ---- the sites ------------------------------------------------------------------------------

  private void order(String what, String body) throws Exception {
    SiteClient.Answer answer = a.client.send("POST", PLAN + what, body);
    if (answer.status() != 202) {
      throw new AssertionError(what + ": " + answer);
    }
  }

  private static JsonNode awaitState(TestSite at, String state) throws Exception {
    JsonNode[] last = new JsonNode[1];
    Await.until(
        "the plan is " + state,
        LIMIT,
        () -> {
          last[0] = at.client.get(PLAN).orFail();
          if (last[0].path("state").asText().equals("Failed")) {
            throw new AssertionError("the run failed: " + last[0]);
          }
          return last[0].path("state").asText().equals(state);
        });
    return last[0];
  }

  private static String link(TestSite from) throws Exception {
    for (JsonNode link : from.client.get("/api/v1/links").orFail()) {
      if (link.at("/lanes/0/volume").asText().equals(VOLUME)) {
        return link.path("name").asText();
      }
    }
    throw new AssertionError("there is no link of " + VOLUME);
  }

  /** Nothing of a tap's first comparing is under way any more. */
  private void awaitWhole() throws Exception {
    for (TestSite site : List.of(a, b)) {
      Await.until(
          "the volume is whole",
          LIMIT,
          () -> site.client.volume(VOLUME).path("state").asText().equals("Protected"));
    }
  }

  private static void awaitStreaming(TestSite from) throws Exception {
    Await.until(
        "the link of " + VOLUME + " streams",
        LIMIT,
        () ->
            from.client
                .get("/api/v1/links/" + link(from))
                .orFail()
                .path("state")
                .asText()
                .equals("Streaming"));
  }

  @Override
  public void close() throws IOException {
    stop.set(true);
    try {
      for (Thread client : clients) {
        client.join(TimeUnit.SECONDS.toMillis(90));
      }
      if (mounted != null) {
        Shell.run(asPostgres(bin("pg_ctl"), "-D", data(), "-m", "immediate", "stop"));
        mounted.close();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while stopping the data base", e);
    } finally {
      if (tap != null) {
        tap.kill();
      }
    }
  }

  public static void main(String[] arguments) throws Exception {
    Path directory = Files.createDirectories(Path.of(arguments[0]));
    try (TestSite a = new TestSite(directory.resolve("a")).with("--site", "a");
        TestSite b = new TestSite(directory.resolve("b"))) {
      b.with("--site", "b", "--join", "127.0.0.1:" + a.arteryPort);
      a.launch();
      b.launch();
      a.awaitReady();
      b.awaitReady();
      for (TestSite site : List.of(a, b)) {
        Await.until("the sites are together", LIMIT, () -> together(site));
      }
      try (PostgresFailover books = new PostgresFailover(a, b, directory)) {
        System.out.print(books.run());
      }
    }
    System.out.println("all held");
  }

  private static boolean together(TestSite site) throws Exception {
    String other = site.directory.endsWith("a") ? "b" : "a";
    for (JsonNode seen : site.client.get("/api/v1/sites").orFail()) {
      if (seen.path("name").asText().equals(other) && seen.path("reachable").asBoolean()) {
        return site.client.ready();
      }
    }
    return false;
  }
}
