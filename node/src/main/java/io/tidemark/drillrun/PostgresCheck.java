package io.tidemark.drillrun;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Starts PostgreSQL on the image and asks it something. Mounts the image, for which the node has to
 * run as root; the server runs as the owner of its data, on a Unix socket of its own.
 */
final class PostgresCheck implements Check {
  private static final String QUERY = "select count(*) from pg_class";
  private static final Path INSTALLED = Path.of("/usr/lib/postgresql");
  private static final long UNDO_SECONDS_MAX = 60;
  private static final Logger LOG = LoggerFactory.getLogger(PostgresCheck.class);

  private final String directory;
  private final String query;
  private final String database;

  /**
   * @param arguments the data's directory in the file system (default: its root), a query (default:
   *     counts the catalogue) and the data base (default: postgres)
   */
  PostgresCheck(List<String> arguments) {
    this.directory = arguments.size() > 0 ? arguments.get(0) : ".";
    this.query = arguments.size() > 1 ? arguments.get(1) : QUERY;
    this.database = arguments.size() > 2 ? arguments.get(2) : "postgres";
  }

  @Override
  public Finding run(Disk disk)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    if (!"root".equals(System.getProperty("user.name"))) {
      throw new CheckError("the node has to run as root to mount the image");
    }
    String mount = Tool.find("mount", "mount");
    String losetup = Tool.find("losetup", "mount");
    try (FuseDisk shown = FuseDisk.of(disk);
        Undo undo = new Undo()) {
      String loop =
          must(disk, losetup, "-f", "--show", "--direct-io=on", shown.file().toString()).output();
      undo.later(losetup, "-d", loop);
      Path mounted = Files.createDirectory(disk.scratch().resolve("mounted"));
      must(disk, mount, loop, mounted.toString());
      undo.later(Tool.find("umount", "mount"), mounted.toString());
      Path data = mounted.resolve(directory).normalize().toRealPath();
      if (!data.startsWith(mounted.toRealPath())
          || !Files.isRegularFile(data.resolve("PG_VERSION"))) {
        throw new CheckError("there is no data of PostgreSQL in '" + directory + "'");
      }
      return ask(disk, data, undo);
    }
  }

  private Finding ask(Disk disk, Path data, Undo undo)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    Path bin = programs(Files.readString(data.resolve("PG_VERSION")).strip());
    Files.deleteIfExists(data.resolve("postmaster.pid"));
    Path sockets = Files.createDirectory(disk.scratch().resolve("s"));
    Object owner = Files.getAttribute(data, "unix:uid");
    Object group = Files.getAttribute(data, "unix:gid");
    must(disk, Tool.find("chown", "coreutils"), owner + ":" + group, sockets.toString());
    List<String> as =
        List.of(
            Tool.find("setpriv", "util-linux"),
            "--reuid=" + owner,
            "--regid=" + group,
            "--clear-groups");
    Path log = sockets.resolve("log");
    List<String> start = new ArrayList<>(as);
    start.addAll(List.of(bin.resolve("pg_ctl").toString(), "-D", data.toString(), "-w"));
    start.addAll(List.of("-t", Long.toString(Math.max(1, secondsLeft(disk)))));
    start.addAll(List.of("-l", log.toString(), "-o"));
    start.add("-c listen_addresses='' -c unix_socket_directories=" + sockets + " -c ssl=off");
    start.add("start");
    List<String> stop = new ArrayList<>(as);
    stop.addAll(List.of(bin.resolve("pg_ctl").toString(), "-D", data.toString()));
    stop.addAll(List.of("-m", "immediate", "-w", "stop"));
    undo.later(stop.toArray(String[]::new));
    Tool.Ended started = Tool.run(start, Map.of(), disk.deadlineNanos());
    if (started.exitCode() != 0) {
      String why = Files.exists(log) ? Files.readString(log) : started.output();
      return new Finding(false, "PostgreSQL does not start: " + end(why));
    }
    List<String> psql = new ArrayList<>(as);
    psql.addAll(List.of(bin.resolve("psql").toString(), "-XAtq", "-v", "ON_ERROR_STOP=1"));
    psql.addAll(List.of("-h", sockets.toString(), "-U", "postgres", "-d", database, "-c", query));
    Tool.Ended answered = Tool.run(psql, Map.of(), disk.deadlineNanos());
    return new Finding(answered.exitCode() == 0, "PostgreSQL answers: " + answered.output());
  }

  private static String end(String text) {
    return text.substring(Math.max(0, text.length() - 600));
  }

  private static long secondsLeft(Disk disk) {
    return TimeUnit.NANOSECONDS.toSeconds(disk.deadlineNanos() - System.nanoTime());
  }

  private static Path programs(String version) throws CheckError, IOException {
    Path bin = INSTALLED.resolve(version).resolve("bin");
    if (Files.isExecutable(bin.resolve("pg_ctl"))) {
      return bin;
    }
    List<String> there = new ArrayList<>();
    if (Files.isDirectory(INSTALLED)) {
      try (DirectoryStream<Path> found = Files.newDirectoryStream(INSTALLED)) {
        found.forEach(path -> there.add(path.getFileName().toString()));
      }
    }
    throw new CheckError(
        "the data is of PostgreSQL " + version + ", the node has " + there + ": install it");
  }

  private static Tool.Ended must(Disk disk, String... command)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    Tool.Ended ended = Tool.run(List.of(command), Map.of(), disk.deadlineNanos());
    if (ended.exitCode() != 0) {
      throw new CheckError(command[0] + " failed: " + ended.output());
    }
    return ended;
  }

  /** What has to be undone, last first, whatever happens (N2). */
  private static final class Undo implements AutoCloseable {
    private final Deque<List<String>> commands = new ArrayDeque<>();

    void later(String... command) {
      commands.push(List.of(command));
    }

    @Override
    public void close() throws IOException {
      while (!commands.isEmpty()) {
        List<String> command = commands.pop();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(UNDO_SECONDS_MAX);
        try {
          Tool.Ended ended = Tool.run(command, Map.of(), deadline);
          LOG.debug("{}: {} {}", command, ended.exitCode(), ended.output());
        } catch (TimeoutException e) {
          LOG.warn("{} does not end", command, e);
        } catch (InterruptedException e) {
          LOG.warn("not waited for {}", command);
          Thread.currentThread().interrupt();
          return; // the drill's directory is cleared of what still uses it
        }
      }
    }
  }
}
