package io.tidemark.demo;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/**
 * Where the demonstration plays: a temporary directory and the processes in it, all gone at the end
 * (E2).
 */
final class Stage implements AutoCloseable {
  private static final String MAIN = "io.tidemark.cli.Main";
  private static final long STOP_SECONDS = 25;

  private final Path directory;
  private final Thread onInterrupt = new Thread(this::clear, "demo-clear");
  private final Set<ProcessHandle> processes = new LinkedHashSet<>();

  private Stage(Path directory) {
    this.directory = directory;
  }

  static Stage open() throws IOException {
    Stage stage = new Stage(Files.createTempDirectory("tidemark-demo-"));
    Runtime.getRuntime().addShutdownHook(stage.onInterrupt);
    return stage;
  }

  Path directory() {
    return directory;
  }

  /** A port that nobody uses now. */
  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  /** Starts a Tidemark process of its own JVM; its output goes to a file of that name. */
  synchronized Process start(String log, String heap, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-Xmx" + heap);
    command.add("-XX:+ExitOnOutOfMemoryError");
    command.add("--add-opens=java.base/java.nio=ALL-UNNAMED");
    String cassandra = System.getProperty("tidemark.cassandra.lib");
    if (cassandra != null) {
      command.add("-Dtidemark.cassandra.lib=" + cassandra);
    }
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(MAIN);
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(
                ProcessBuilder.Redirect.appendTo(directory.resolve(log + ".log").toFile()))
            .start();
    processes.add(process.toHandle());
    return process;
  }

  /** The last lines of a process's output, for the failure that it explains. */
  String output(String log) {
    try {
      List<String> lines = Files.readAllLines(directory.resolve(log + ".log"));
      return String.join("\n", lines.subList(Math.max(0, lines.size() - 20), lines.size()));
    } catch (IOException e) {
      return "(its output cannot be read: " + e + ")";
    }
  }

  /** SIGKILL, as by the kernel: no hook runs. Returns what it leaves behind to die by itself. */
  synchronized List<ProcessHandle> kill(Process process) {
    List<ProcessHandle> children = process.descendants().toList();
    processes.addAll(children);
    process.destroyForcibly();
    process.onExit().join();
    return children;
  }

  /** SIGTERM, and the exit awaited. */
  void stop(Process process) {
    synchronized (this) {
      process.descendants().forEach(processes::add);
    }
    process.destroy();
    try {
      process.onExit().orTimeout(STOP_SECONDS, TimeUnit.SECONDS).join();
    } catch (CompletionException e) {
      throw new Refusal(
          ErrorCode.FAILED, "a process did not stop within " + STOP_SECONDS + " seconds", e);
    }
  }

  /** Processes of this stage that still run. */
  synchronized List<ProcessHandle> running() {
    return processes.stream().filter(ProcessHandle::isAlive).toList();
  }

  private synchronized void clear() {
    for (ProcessHandle process : List.copyOf(processes)) {
      process.descendants().forEach(processes::add);
    }
    List<ProcessHandle> alive = new ArrayList<>(running());
    // The newest first: a tap before its node.
    java.util.Collections.reverse(alive);
    alive.forEach(ProcessHandle::destroyForcibly);
    for (ProcessHandle process : alive) {
      try {
        process.onExit().orTimeout(STOP_SECONDS, TimeUnit.SECONDS).join();
      } catch (CompletionException e) {
        System.err.println("process " + process.pid() + " cannot be ended: " + e.getMessage());
      }
    }
    try {
      delete();
    } catch (IOException e) {
      System.err.println(directory + " cannot be removed: " + e.getMessage());
    }
  }

  private void delete() throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    Files.walkFileTree(
        directory,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, IOException failure)
              throws IOException {
            Files.deleteIfExists(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  @Override
  public void close() {
    clear();
    try {
      Runtime.getRuntime().removeShutdownHook(onInterrupt);
    } catch (IllegalStateException e) {
      // The JVM is going down: the hook runs already and clears what this call did not.
      onInterrupt.interrupt();
    }
  }
}
