package io.tidemark.sandbox;

import io.tidemark.localfile.LocalFiles;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One disk's sandbox; see the package. */
public final class Sandbox implements Tools, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Sandbox.class);
  private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

  /** What a tool may use: address space in bytes and processor time in seconds. */
  private static final long TOOL_MEMORY_BYTES_MAX = 4L << 30;

  private static final int TOOL_PROCESSOR_SECONDS_MAX = 3_600;
  private static final int NOBODY = 65_534;
  private static final int ERRORS_MAX = 2_000;
  private static final int END_SECONDS = 10;

  /** Exit codes by which nsenter, prlimit and setpriv say that they cannot run the command. */
  private static final List<Integer> CANNOT_RUN = List.of(126, 127);

  /** Which package has a tool, where that is not plain. */
  private static final Map<String, String> PACKAGES =
      Map.of(
          "debugfs", "e2fsprogs",
          "dumpe2fs", "e2fsprogs",
          "e2fsck", "e2fsprogs",
          "xfs_db", "xfsprogs",
          "xfs_logprint", "xfsprogs",
          "fls", "sleuthkit",
          "icat", "sleuthkit",
          "sfdisk", "fdisk (util-linux)",
          "nbdfuse", "libnbd-bin");

  /** Process 1: makes the disk appear, says its process id, waits for the end of its input (B2). */
  private static final String SCRIPT =
      """
      umask 077
      options=
      [ "$3" = root ] && options='-o allow_other'
      nbdfuse $options -C 4 "$2/disk" "$1" </dev/null >&2 &
      fuse=$!
      tries=0
      until [ -s "$2/disk" ]; do
        kill -0 $fuse 2>/dev/null || exit 1
        tries=$((tries + 1))
        [ $tries -gt 1000 ] && exit 1
        sleep 0.01
      done
      cd "$2" || exit 1
      read -r pid rest </proc/self/stat
      echo "$pid"
      cat >/dev/null
      """;

  /** Ends tools at their time limit. */
  private static final ScheduledExecutorService LIMITS =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "sandbox-limits");
            thread.setDaemon(true);
            return thread;
          });

  private final Path directory;
  private final Process first;
  private final List<String> enter;
  private final boolean root;
  private final AtomicInteger runs = new AtomicInteger();

  private Sandbox(Path directory, Process first, List<String> enter, boolean root) {
    this.directory = directory;
    this.first = first;
    this.enter = enter;
    this.root = root;
  }

  /**
   * Starts a sandbox.
   *
   * @param directory for its mount point and small files; created, deleted by {@link #close}
   * @param uri of the NBD export, on a unix socket: there is no network inside
   * @throws Refusal {@code UNREADABLE} when this machine cannot do it, with the reason
   */
  public static Sandbox open(Path directory, String uri) throws IOException {
    require("unshare", "nsenter", "setpriv", "prlimit", "nbdfuse");
    boolean root = "root".equals(System.getProperty("user.name"));
    Path mountPoint = Files.createDirectories(directory.resolve("disk"));
    Files.createDirectories(directory.resolve("mnt"));
    List<String> command = new ArrayList<>(List.of("unshare"));
    if (!root) {
      command.addAll(List.of("--user", "--map-root-user"));
    }
    command.addAll(List.of("--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"));
    command.addAll(List.of("--propagation", "private", "/bin/sh", "-c", SCRIPT, "tidemark-files"));
    command.addAll(List.of(uri, mountPoint.toString(), root ? "root" : "user"));
    Path log = directory.resolve("log");
    Process first = process(command).redirectError(log.toFile()).start();
    try {
      String pid = firstLine(first);
      if (pid == null || !pid.matches("[0-9]{1,10}")) {
        throw new Refusal(
            ErrorCode.UNREADABLE,
            "this node cannot set up the place where it reads files: "
                + Refusal.printable(tail(log))
                + "; it needs /dev/fuse and, when it does not run as root, user namespaces");
      }
      return new Sandbox(directory, first, enter(pid, root), root);
    } catch (IOException | RuntimeException e) {
      end(first);
      LocalFiles.deleteTree(directory);
      throw e;
    }
  }

  private static String firstLine(Process process) throws IOException {
    BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.ISO_8859_1));
    return reader.readLine();
  }

  private static List<String> enter(String pid, boolean root) {
    List<String> enter = new ArrayList<>(List.of("nsenter", "--target", pid));
    if (!root) {
      enter.addAll(List.of("--user", "--preserve-credentials"));
    }
    enter.addAll(List.of("--mount", "--pid", "--net", "--ipc", "--wd", "--"));
    return List.copyOf(enter);
  }

  private static void require(String... tools) {
    for (String tool : tools) {
      boolean found = false;
      for (String place : PATH.split(":")) {
        found |= Files.isExecutable(Path.of(place, tool));
      }
      if (!found) {
        throw missing(tool);
      }
    }
  }

  private static Refusal missing(String tool) {
    return new Refusal(
        ErrorCode.UNREADABLE,
        "this node lacks the tool "
            + tool
            + ": install the package "
            + PACKAGES.getOrDefault(tool, "util-linux")
            + ", or read the files from the image over NBD");
  }

  private static ProcessBuilder process(List<String> command) {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().clear();
    builder.environment().putAll(Map.of("PATH", PATH, "LC_ALL", "C", "TZ", "UTC"));
    return builder;
  }

  private static String tail(Path log) throws IOException {
    String text = Files.readString(log, StandardCharsets.ISO_8859_1).strip();
    return text.substring(text.lastIndexOf('\n') + 1);
  }

  /** Whether the kernel's own drivers can be used inside. */
  public boolean canMount() {
    return root && Files.exists(Path.of("/dev/loop-control"));
  }

  @Override
  public Answer run(List<String> command, String input, int outputMax) throws IOException {
    try (Running running = begin(unprivileged(command), input)) {
      return running.toEnd(command.get(0), outputMax);
    }
  }

  @Override
  public Output start(List<String> command, String input) throws IOException {
    require(command.get(0));
    return begin(unprivileged(command), input);
  }

  @Override
  public Answer mountOnce(String type, String options) throws IOException {
    if (!canMount()) {
      return new Answer(1, "", "needs root and loop devices");
    }
    String place = directory.resolve("mnt").toString();
    List<String> mount = List.of("mount", "-t", type, "-o", options, "--", DISK, place);
    Answer mounted = privileged(mount);
    return mounted.exitCode() == 0 ? privileged(List.of("umount", "--", place)) : mounted;
  }

  private Answer privileged(List<String> command) throws IOException {
    List<String> whole = new ArrayList<>(enter);
    whole.addAll(command);
    try (Running running = begin(whole, "")) {
      return running.toEnd(command.get(0), ERRORS_MAX);
    }
  }

  private List<String> unprivileged(List<String> command) {
    List<String> whole = new ArrayList<>(enter);
    whole.addAll(
        List.of(
            "prlimit",
            "--as=" + TOOL_MEMORY_BYTES_MAX,
            "--cpu=" + TOOL_PROCESSOR_SECONDS_MAX,
            "--core=0",
            "setpriv",
            "--no-new-privs"));
    if (root) {
      whole.addAll(List.of("--reuid", "" + NOBODY, "--regid", "" + NOBODY, "--clear-groups"));
    }
    whole.addAll(command);
    return whole;
  }

  private Running begin(List<String> command, String input) throws IOException {
    int number = runs.incrementAndGet();
    Path in = directory.resolve("in-" + number);
    Path err = directory.resolve("err-" + number);
    Files.writeString(in, input, StandardCharsets.ISO_8859_1);
    Process process =
        process(command).redirectInput(in.toFile()).redirectError(err.toFile()).start();
    return new Running(process, in, err);
  }

  /** Whether it still works; it does not once its NBD server is gone. */
  public boolean alive() {
    return first.isAlive();
  }

  @Override
  public void close() {
    end(first);
    try {
      LocalFiles.deleteTree(directory);
    } catch (IOException e) {
      LOG.warn("cannot delete {}", directory, e);
    }
  }

  /** Kills a process and what it started; the kernel ends the rest of a sandbox (B2). */
  private static void end(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    try {
      if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
        LOG.warn("process {} does not end", process.pid());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static final class Running implements Output {
    private final Process process;
    private final Path in;
    private final Path err;
    private final AtomicBoolean closed = new AtomicBoolean();

    Running(Process process, Path in, Path err) {
      this.process = process;
      this.in = in;
      this.err = err;
    }

    Answer toEnd(String tool, int outputMax) throws IOException {
      AtomicBoolean late = new AtomicBoolean();
      ScheduledFuture<?> limit =
          LIMITS.schedule(
              () -> {
                late.set(true);
                Sandbox.end(process);
              },
              ANSWER_LIMIT.toMillis(),
              TimeUnit.MILLISECONDS);
      try {
        byte[] output = process.getInputStream().readNBytes(outputMax + 1);
        boolean cut = output.length > outputMax;
        String text =
            new String(
                output, 0, Math.min(output.length, outputMax), StandardCharsets.ISO_8859_1);
        Answer end = cut ? new Answer(-1, "", errors()) : end();
        if (late.get()) {
          throw new Refusal(
              ErrorCode.LIMIT,
              tool
                  + " did not answer within "
                  + ANSWER_LIMIT.toSeconds()
                  + " s; read the files from the image over NBD");
        }
        if (CANNOT_RUN.contains(end.exitCode())) {
          throw missing(tool);
        }
        return new Answer(end.exitCode(), text, end.errors());
      } finally {
        limit.cancel(false);
      }
    }

    @Override
    public InputStream stream() {
      return process.getInputStream();
    }

    @Override
    public Answer end() throws IOException {
      try {
        int code = process.waitFor();
        return new Answer(code, "", errors());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while a tool was working", e);
      }
    }

    private String errors() throws IOException {
      try (InputStream stream = Files.newInputStream(err)) {
        return new String(stream.readNBytes(ERRORS_MAX), StandardCharsets.ISO_8859_1);
      }
    }

    @Override
    public void close() {
      if (!closed.compareAndSet(false, true)) {
        return;
      }
      Sandbox.end(process);
      try {
        Files.deleteIfExists(in);
        Files.deleteIfExists(err);
      } catch (IOException e) {
        LOG.warn("cannot delete the files of a tool", e);
      }
    }
  }
}
