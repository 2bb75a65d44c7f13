package io.tidemark.sandbox;

import io.tidemark.localfile.LocalFiles;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One disk's sandbox; see the package. */
public final class Sandbox implements Tools, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Sandbox.class);
  private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

  /** What a tool may use: address space in bytes and processor time in seconds. */
  private static final long TOOL_MEMORY_BYTES_MAX = 2L << 30;

  private static final int TOOL_PROCESSOR_SECONDS_MAX = 3_600;
  private static final int NOBODY = 65_534;
  private static final int ERRORS_MAX = 2_000;
  private static final int END_SECONDS = 10;
  private static final int OPEN_SECONDS_MAX = 30;

  /** How often it is looked whether a tool still gives output to whoever reads it. */
  private static final int LOOK_SECONDS = 2;

  /** Where memory runs out, the kernel ends a tool before anything else of the machine. */
  private static final List<String> FIRST_TO_GO = List.of("choom", "-n", "1000", "--");

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

  /**
   * Process 1: makes the disk appear, hides what no tool needs (B1), says its process id, and ends
   * with its input or with the NBD client (B2). The disk's directory is entered before what is
   * around it is hidden.
   */
  private static final String SCRIPT =
      """
      umask 077
      trap 'exit 1' USR1
      exec 3<&0
      options=
      [ "$3" = root ] && options='-o allow_other'
      ( nbdfuse $options -C 4 "$2/disk" "$1" </dev/null >&2; kill -USR1 1 ) &
      tries=0
      until [ -s "$2/disk" ]; do
        tries=$((tries + 1))
        [ $tries -gt 2500 ] && echo 'the NBD client did not make the disk appear' >&2 && exit 1
        sleep 0.01
      done
      cd "$2" || exit 1
      read -r pid rest </proc/self/stat
      mount -n -t proc -o nosuid,nodev,noexec proc /proc 2>/dev/null
      for place in /* /dev/shm "$4"; do
        case $place in /bin|/sbin|/lib*|/usr|/etc|/dev|/proc|/sys) continue ;; esac
        [ -d "$place" ] && [ ! -L "$place" ] || continue
        mount -n -t tmpfs -o size=64k,mode=0755,nosuid,nodev,noexec tmpfs "$place" || exit 1
      done
      mkdir -p "$5" || exit 1
      ( cat <&3 >/dev/null; kill -USR1 1 ) &
      echo "$pid"
      exec >&2
      wait
      """;

  /** Where the kernel's driver may mount the disk for a moment, in one of the hidden places. */
  private static final String MOUNT_PLACE = "/tmp/disk";

  /** Ends tools at their time limit. */
  private static final ScheduledExecutorService LIMITS =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "sandbox-limits");
            thread.setDaemon(true);
            return thread;
          });

  /** Each reads a tool's standard error, lest it wait for a reader. */
  private static final ExecutorService ERRORS =
      Executors.newCachedThreadPool(
          work -> {
            Thread thread = new Thread(work, "sandbox-errors");
            thread.setDaemon(true);
            return thread;
          });

  private final Path directory;
  private final Process first;
  private final List<String> enter;
  private final boolean root;
  private final Duration answerLimit;
  private final AtomicInteger runs = new AtomicInteger();

  private Sandbox(
      Path directory, Process first, List<String> enter, boolean root, Duration answerLimit) {
    this.directory = directory;
    this.first = first;
    this.enter = enter;
    this.root = root;
    this.answerLimit = answerLimit;
  }

  /**
   * Starts a sandbox.
   *
   * @param hidden what the tools must not see besides people's and programs' data: the node's
   * @param directory for its mount point and small files; created, deleted by {@link #close}
   * @param uri of the NBD export, on a unix socket: there is no network inside
   * @throws Refusal {@code UNREADABLE} when this machine cannot do it, with the reason
   */
  public static Sandbox open(Path hidden, Path directory, String uri) throws IOException {
    return open(hidden, directory, uri, ANSWER_LIMIT);
  }

  static Sandbox open(Path hidden, Path directory, String uri, Duration answerLimit)
      throws IOException {
    require("unshare", "nsenter", "setpriv", "prlimit", "choom", "nbdfuse");
    boolean root = "root".equals(System.getProperty("user.name"));
    Path mountPoint = Files.createDirectories(directory.resolve("disk"));
    List<String> command = new ArrayList<>(FIRST_TO_GO);
    command.add("unshare");
    if (!root) {
      command.addAll(List.of("--user", "--map-root-user"));
    }
    command.addAll(List.of("--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"));
    command.addAll(List.of("--propagation", "private", "/bin/sh", "-c", SCRIPT, "tidemark-files"));
    command.addAll(List.of(uri, mountPoint.toString(), root ? "root" : "user"));
    command.addAll(List.of(hidden.toString(), MOUNT_PLACE));
    Path log = directory.resolve("log");
    Process first = process(command).redirectError(log.toFile()).start();
    ScheduledFuture<?> limit =
        LIMITS.schedule(() -> kill(first), OPEN_SECONDS_MAX, TimeUnit.SECONDS);
    try {
      String pid = firstLine(first);
      if (pid == null || !pid.matches("[0-9]{1,10}")) {
        throw new Refusal(
            ErrorCode.UNREADABLE,
            "this node cannot set up the place where it reads files: "
                + Refusal.printable(tail(log))
                + "; it needs /dev/fuse and, when it does not run as root, user namespaces");
      }
      return new Sandbox(directory, first, enter(pid, root), root, answerLimit);
    } catch (IOException | RuntimeException e) {
      end(first);
      LocalFiles.deleteTree(directory);
      throw e;
    } finally {
      limit.cancel(false);
    }
  }

  private static String firstLine(Process process) throws IOException {
    BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.ISO_8859_1));
    return reader.readLine();
  }

  private static List<String> enter(String pid, boolean root) {
    List<String> enter = new ArrayList<>(FIRST_TO_GO);
    enter.addAll(List.of("nsenter", "--target", pid));
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
    require(command.get(0));
    try (Running running = begin(command.get(0), unprivileged(command), input)) {
      return running.toEnd(outputMax);
    }
  }

  @Override
  public Output answer(List<String> command, String input) throws IOException {
    require(command.get(0));
    return begin(command.get(0), unprivileged(command), input).within();
  }

  @Override
  public Output start(List<String> command, String input) throws IOException {
    require(command.get(0));
    return begin(command.get(0), unprivileged(command), input).progressing();
  }

  @Override
  public Answer mountOnce(String type, String options) throws IOException {
    if (!canMount()) {
      return new Answer(1, "", "needs root and loop devices");
    }
    Answer mounted =
        privileged(List.of("mount", "-t", type, "-o", options, "--", DISK, MOUNT_PLACE));
    return mounted.exitCode() == 0 ? privileged(List.of("umount", "--", MOUNT_PLACE)) : mounted;
  }

  private Answer privileged(List<String> command) throws IOException {
    List<String> whole = new ArrayList<>(enter);
    whole.addAll(command);
    try (Running running = begin(command.get(0), whole, "")) {
      return running.toEnd(ERRORS_MAX);
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
            "--no-new-privs",
            "--inh-caps=-all",
            "--bounding-set=-all"));
    if (root) {
      whole.addAll(List.of("--reuid", "" + NOBODY, "--regid", "" + NOBODY, "--clear-groups"));
    }
    whole.addAll(command);
    return whole;
  }

  private Running begin(String tool, List<String> command, String input) throws IOException {
    Path in = directory.resolve("in-" + runs.incrementAndGet());
    Files.writeString(in, input, StandardCharsets.ISO_8859_1);
    Process process = process(command).redirectInput(in.toFile()).start();
    return new Running(tool, process, in, answerLimit);
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
  private static void kill(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  private static void end(Process process) {
    kill(process);
    try {
      if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
        LOG.warn("process {} does not end", process.pid());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A tool at work, ended at a limit of time for the whole or for each read of its output (B3). */
  private static final class Running extends InputStream implements Output {
    private final String tool;
    private final Duration most;
    private final Process process;
    private final InputStream output;
    private final Path in;
    private final CompletableFuture<String> errors;
    private final AtomicBoolean closed = new AtomicBoolean();

    /** When the read that is under way began, by the nano clock; 0 for none. */
    private final AtomicLong waitingSince = new AtomicLong();

    private volatile boolean late;
    private volatile ScheduledFuture<?> limit;

    Running(String tool, Process process, Path in, Duration most) {
      this.tool = tool;
      this.most = most;
      this.process = process;
      this.output = process.getInputStream();
      this.in = in;
      this.errors = CompletableFuture.supplyAsync(this::drainErrors, ERRORS);
    }

    /** What does not fit is read all the same, and dropped. */
    private String drainErrors() {
      try (InputStream stream = process.getErrorStream()) {
        byte[] first = stream.readNBytes(ERRORS_MAX);
        stream.transferTo(OutputStream.nullOutputStream());
        return new String(first, StandardCharsets.ISO_8859_1);
      } catch (IOException e) {
        return "its errors cannot be read: " + e.getMessage();
      }
    }

    Running within() {
      limit = LIMITS.schedule(this::tooLate, most.toMillis(), TimeUnit.MILLISECONDS);
      return this;
    }

    Running progressing() {
      limit =
          LIMITS.scheduleWithFixedDelay(
              () -> {
                long since = waitingSince.get();
                if (since != 0 && System.nanoTime() - since > most.toNanos()) {
                  tooLate();
                }
              },
              LOOK_SECONDS,
              LOOK_SECONDS,
              TimeUnit.SECONDS);
      return this;
    }

    private void tooLate() {
      late = true;
      kill(process);
    }

    private void requireInTime() {
      if (late) {
        throw new Refusal(
            ErrorCode.LIMIT,
            tool
                + " did not answer within "
                + most.toSeconds()
                + " s; read the files from the image over NBD");
      }
    }

    Answer toEnd(int outputMax) throws IOException {
      within();
      byte[] bytes = readNBytes(outputMax + 1);
      boolean cut = bytes.length > outputMax;
      int code = -1;
      if (cut) {
        kill(process);
      } else {
        code = exitCode();
      }
      requireInTime();
      if (CANNOT_RUN.contains(code)) {
        throw missing(tool);
      }
      int kept = Math.min(bytes.length, outputMax);
      return new Answer(code, new String(bytes, 0, kept, StandardCharsets.ISO_8859_1), errors());
    }

    private String errors() {
      return errors.copy().completeOnTimeout("", END_SECONDS, TimeUnit.SECONDS).join();
    }

    private int exitCode() throws IOException {
      try {
        return process.waitFor();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while a tool was working", e);
      }
    }

    @Override
    public InputStream stream() {
      return this;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      waitingSince.set(System.nanoTime() | 1);
      try {
        int read = output.read(into, offset, length);
        if (read < 0) {
          requireInTime();
        }
        return read;
      } catch (IOException e) {
        requireInTime(); // killing a process closes its streams
        throw e;
      } finally {
        waitingSince.set(0);
      }
    }

    @Override
    public Answer end() throws IOException {
      waitingSince.set(System.nanoTime() | 1);
      int code = exitCode();
      requireInTime();
      return new Answer(code, "", errors());
    }

    @Override
    public void close() {
      if (!closed.compareAndSet(false, true)) {
        return;
      }
      if (limit != null) {
        limit.cancel(false);
      }
      Sandbox.end(process);
      try {
        Files.deleteIfExists(in);
      } catch (IOException e) {
        LOG.warn("cannot delete the input of a tool", e);
      }
    }
  }
}
