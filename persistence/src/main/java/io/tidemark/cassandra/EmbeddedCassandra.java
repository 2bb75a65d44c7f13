package io.tidemark.cassandra;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Cassandra that this node owns: a child process that is started, watched, started again when it
 * dies, and stopped with the node. It reads its standard input and ends when that ends, so none is
 * left behind even when the node is killed (K4).
 *
 * <pre>
 *   start -> Serving -- child dies --> Restarting -- ready --> Serving
 *               |                          `-- attempts spent --> GivenUp
 *               `-- close --> Closed
 * </pre>
 */
public final class EmbeddedCassandra implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(EmbeddedCassandra.class);

  /** How long a leftover of a killed node may take to notice that its node is gone. */
  private static final Duration LEFTOVER_GRACE = Duration.ofSeconds(5);

  private static final Duration KILL_TIMEOUT = Duration.ofSeconds(20);
  private static final long PROBE_INTERVAL_MILLIS = 100;

  /** A child that served this long is not one of a row of failed starts. */
  private static final long HEALTHY_AFTER_NANOS = TimeUnit.SECONDS.toNanos(60);

  private final EmbeddedCassandraSettings settings;
  private final Path home;
  private final DataDirectoryLock lock;
  private final CassandraLog log;
  private final CompletableFuture<Refusal> givenUp = new CompletableFuture<>();
  private final ScheduledExecutorService supervisor;

  /** Replaced only by {@link #launch}, under the lock of this object. */
  private volatile Process child;

  /** A child that was told to stop: nobody is to revive it. */
  private volatile Process stopping;

  private volatile boolean closing;
  private long startedNanos;
  private int failedStarts;

  private EmbeddedCassandra(EmbeddedCassandraSettings settings, Path home, DataDirectoryLock lock) {
    this.settings = settings;
    this.home = home;
    this.lock = lock;
    this.log = new CassandraLog(home.resolve("logs"));
    this.supervisor =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "cassandra-supervisor");
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * Starts Cassandra with its data under {@code dataDirectory/cassandra} and waits until it serves
   * clients; takes about ten seconds. Blocks.
   *
   * @throws Refusal {@code INVALID} for the wrong Java or a missing runtime, {@code BUSY} when
   *     another node has the data directory or another process a port, {@code FAILED} when the disk
   *     is full, when Cassandra ends during the start (the message shows the end of its log) or is
   *     not ready in time
   */
  public static EmbeddedCassandra start(EmbeddedCassandraSettings settings, Path dataDirectory) {
    Path home = dataDirectory.toAbsolutePath().normalize().resolve("cassandra");
    try {
      Files.createDirectories(home.resolve("conf"));
      Files.createDirectories(home.resolve("logs"));
      DataDirectoryLock lock = DataDirectoryLock.take(home);
      EmbeddedCassandra cassandra = null;
      boolean started = false;
      try {
        endLeftover(home);
        cassandra = new EmbeddedCassandra(CassandraPorts.choose(settings, home), home, lock);
        cassandra.launch();
        started = true;
        return cassandra;
      } finally {
        if (!started) {
          if (cassandra != null) {
            cassandra.supervisor.shutdownNow();
          }
          lock.close();
        }
      }
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "the data directory %s cannot be used: %s".formatted(home, e), e);
    }
  }

  /** Where clients connect. */
  public InetSocketAddress contactPoint() {
    return new InetSocketAddress(settings.address(), settings.nativePort());
  }

  public int storagePort() {
    return settings.storagePort();
  }

  /** Process id of the current child. */
  public long pid() {
    return child.pid();
  }

  public boolean alive() {
    return child.isAlive();
  }

  /** What Cassandra logs. */
  public Path logFile() {
    return log.file();
  }

  /** Completes with the exit status of the current child when it ends, for whatever reason. */
  public CompletionStage<Integer> exited() {
    return child.onExit().thenApply(Process::exitValue);
  }

  /** Completes when Cassandra died and starting it again failed too often, or is switched off. */
  public CompletionStage<Refusal> givenUp() {
    return givenUp;
  }

  /**
   * Stops the child if it still runs and starts it again on the same data and ports. Blocks.
   *
   * @throws Refusal as {@link #start}
   */
  public synchronized void restart() {
    if (closing) {
      throw new Refusal(ErrorCode.FAILED, "this Cassandra has been closed");
    }
    try {
      stopChild();
      launch();
    } catch (IOException e) {
      throw new Refusal(ErrorCode.FAILED, "Cassandra could not be started: " + e, e);
    }
  }

  /** Drains and stops Cassandra in bounded time, and gives the data directory back. */
  @Override
  public void close() {
    closing = true;
    supervisor.shutdownNow();
    synchronized (this) {
      stopChild();
      try {
        Files.deleteIfExists(pidFile(home));
        lock.close();
      } catch (IOException e) {
        throw new UncheckedIOException("giving back " + home, e);
      }
    }
  }

  /** A killed child leaves the native libraries behind that it unpacked. */
  private static void emptyTemporary(Path directory) throws IOException {
    Files.createDirectories(directory);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        if (Files.isRegularFile(file)) {
          Files.delete(file);
        }
      }
    }
  }

  private synchronized void launch() throws IOException {
    long began = System.nanoTime();
    CassandraPorts.requireFree(settings);
    requireSpace();
    Files.writeString(home.resolve("conf/cassandra.yaml"), CassandraYaml.of(settings, home));
    emptyTemporary(home.resolve(CassandraCommand.TEMPORARY));
    log.mark();
    ProcessBuilder builder =
        new ProcessBuilder(CassandraCommand.of(settings, home, log.file()))
            .directory(home.toFile())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.to(new File(log.console().toString())));
    Process process = begin(builder);
    boolean ready = false;
    try {
      Files.writeString(pidFile(home), process.pid() + "\n");
      awaitReady(process);
      ready = true;
    } finally {
      if (!ready) {
        kill(process.toHandle());
      }
    }
    child = process;
    startedNanos = System.nanoTime();
    LOG.info(
        "Cassandra serves on {} after {} ms, pid {}",
        settings.summary(),
        TimeUnit.NANOSECONDS.toMillis(startedNanos - began),
        process.pid());
    process.onExit().thenAccept(this::onExit);
  }

  private static Process begin(ProcessBuilder builder) {
    try {
      return builder.start();
    } catch (IOException e) {
      throw notRun(e.getMessage(), e);
    }
  }

  private static Refusal notRun(String reason, Throwable cause) {
    return new Refusal(
        ErrorCode.FAILED,
        "the Java of the embedded Cassandra cannot be run (%s): see".formatted(reason)
            + " tidemark.cassandra.embedded-server.java-home",
        cause);
  }

  private void awaitReady(Process process) {
    long deadline = System.nanoTime() + settings.startTimeout().toNanos();
    try {
      while (!CqlProbe.answers(contactPoint())) {
        if (process.waitFor(PROBE_INTERVAL_MILLIS, TimeUnit.MILLISECONDS)) {
          if (CassandraCommand.NOT_RUN.contains(process.exitValue())) {
            throw notRun(log.reason(), null);
          }
          throw new Refusal(
              ErrorCode.FAILED,
              "Cassandra ended during its start with status %d, for the reason that its log gives: %s"
                  .formatted(process.exitValue(), log.reason()));
        }
        if (System.nanoTime() > deadline) {
          throw new Refusal(
              ErrorCode.FAILED,
              "Cassandra did not serve within %d s; its log says: %s"
                  .formatted(settings.startTimeout().toSeconds(), log.reason()));
        }
      }
      // What answered must be ours: a process that lost its port to another one is about to end.
      if (!process.isAlive()) {
        throw new Refusal(ErrorCode.FAILED, "Cassandra ended after its start: " + log.reason());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "the start of Cassandra was interrupted", e);
    }
  }

  private void onExit(Process process) {
    if (closing || process != child || process == stopping) {
      return;
    }
    LOG.warn("Cassandra, pid {}, ended with status {}", process.pid(), process.exitValue());
    if (!settings.restart().enabled()) {
      givenUp.complete(
          new Refusal(
              ErrorCode.FAILED,
              "Cassandra ended with status %d; its log says: %s"
                  .formatted(process.exitValue(), log.reason())));
      return;
    }
    supervisor.execute(
        () -> {
          failedStarts =
              System.nanoTime() - startedNanos > HEALTHY_AFTER_NANOS ? 0 : failedStarts + 1;
          scheduleRevival(process);
        });
  }

  private void scheduleRevival(Process dead) {
    EmbeddedCassandraSettings.RestartPolicy policy = settings.restart();
    long pause = policy.backoffMin().toMillis() << Math.min(Math.max(0, failedStarts - 1), 16);
    supervisor.schedule(
        () -> revive(dead), Math.min(pause, policy.backoffMax().toMillis()), TimeUnit.MILLISECONDS);
  }

  private synchronized void revive(Process dead) {
    if (closing || child != dead || child == stopping) {
      return;
    }
    try {
      launch();
    } catch (Refusal | IOException e) {
      failedStarts++;
      LOG.warn("Cassandra could not be started again, attempt {}", failedStarts, e);
      if (failedStarts >= settings.restart().attempts()) {
        givenUp.complete(
            new Refusal(
                ErrorCode.FAILED,
                "Cassandra died and could not be started again: " + e.getMessage(),
                e));
      } else {
        scheduleRevival(dead);
      }
    }
  }

  private void stopChild() {
    Process process = child;
    if (process == null || !process.isAlive()) {
      return;
    }
    stopping = process;
    try {
      process.getOutputStream().write("stop\n".getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
      if (!process.waitFor(settings.stopTimeout().toMillis(), TimeUnit.MILLISECONDS)) {
        LOG.warn("Cassandra did not stop within {}; it is killed", settings.stopTimeout());
      }
    } catch (IOException e) {
      LOG.warn("Cassandra does not listen any more; it is killed", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    kill(process.toHandle());
  }

  private void requireSpace() throws IOException {
    long free = Files.getFileStore(home).getUsableSpace();
    if (free < settings.minimumFreeBytes()) {
      throw new Refusal(
          ErrorCode.FAILED,
          "the disk of %s is full: %d MiB free, %d MiB needed to start"
                  .formatted(home, free >> 20, settings.minimumFreeBytes() >> 20)
              + " (tidemark.cassandra.embedded-server.minimum-free)");
    }
  }

  private static Path pidFile(Path home) {
    return home.resolve("child.pid");
  }

  /** Ends the Cassandra of a node that was killed, should it not have ended by itself. */
  private static void endLeftover(Path home) throws IOException {
    Path file = pidFile(home);
    if (!Files.exists(file)) {
      return;
    }
    Optional<ProcessHandle> leftover = leftover(Files.readString(file).strip(), home);
    if (leftover.isPresent()) {
      LOG.warn("Cassandra, pid {}, of a killed node is still there", leftover.get().pid());
      if (!awaitExit(leftover.get(), LEFTOVER_GRACE)) {
        kill(leftover.get());
      }
    }
    Files.delete(file);
  }

  private static Optional<ProcessHandle> leftover(String pid, Path home) throws IOException {
    if (!pid.matches("\\d{1,10}")) {
      return Optional.empty();
    }
    Path commandLine = Path.of("/proc", pid, "cmdline");
    try {
      String command = Files.readString(commandLine, StandardCharsets.ISO_8859_1);
      String homeProperty = "-Dcassandra.storagedir=" + home;
      boolean ours =
          command.contains(CassandraCommand.MAIN)
              && command.contains(
                  new String(
                      homeProperty.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1));
      return ours ? ProcessHandle.of(Long.parseLong(pid)) : Optional.empty();
    } catch (java.nio.file.NoSuchFileException e) {
      return Optional.empty();
    }
  }

  private static void kill(ProcessHandle process) {
    if (process.isAlive()) {
      process.destroyForcibly();
      if (!awaitExit(process, KILL_TIMEOUT)) {
        throw new Refusal(
            ErrorCode.FAILED,
            "Cassandra, pid %d, does not end even when killed".formatted(process.pid()));
      }
    }
  }

  private static boolean awaitExit(ProcessHandle process, Duration timeout) {
    try {
      process.onExit().get(timeout.toMillis(), TimeUnit.MILLISECONDS);
      return true;
    } catch (java.util.concurrent.TimeoutException e) {
      return false;
    } catch (java.util.concurrent.ExecutionException e) {
      throw new IllegalStateException("waiting for the end of a process", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
