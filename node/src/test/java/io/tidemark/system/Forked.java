package io.tidemark.system;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/** A Tidemark process of its own JVM, on this test's class path. */
final class Forked implements AutoCloseable {
  private static final String MAIN = "io.tidemark.cli.Main";

  /** Compiling well what runs for a minute costs more than it saves: half of all processor time. */
  private static final String COMPILER = "-XX:TieredStopAtLevel=1";

  private static final long STOP_SECONDS = 60;
  private static final Path CASSANDRA_LIB =
      Path.of("../persistence/cassandra-runtime/target/cassandra-lib").toAbsolutePath().normalize();

  private final Process process;
  private final Path log;

  private Forked(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  static Forked start(Path log, List<String> jvm, String... arguments) throws IOException {
    return start(List.of(), log, jvm, arguments);
  }

  /**
   * @param under a command that becomes the one put behind it, such as {@code ip netns exec}
   */
  static Forked start(List<String> under, Path log, List<String> jvm, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>(under);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add(COMPILER);
    command.add("-Dtidemark.cassandra.embedded-server.jvm-options.0=" + COMPILER);
    command.addAll(jvm);
    command.add("-Dtidemark.cassandra.lib=" + CASSANDRA_LIB);
    command.add("--add-opens=java.base/java.nio=ALL-UNNAMED");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(MAIN);
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    return new Forked(process, log);
  }

  long pid() {
    return process.pid();
  }

  boolean alive() {
    return process.isAlive();
  }

  /** SIGKILL: no shutdown hook runs. */
  void kill() {
    process.destroyForcibly();
    process.onExit().join();
  }

  int exitCode(long seconds) throws InterruptedException {
    if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
      throw new AssertionError("still running after " + seconds + " s: see " + log);
    }
    return process.exitValue();
  }

  /** SIGTERM, then SIGKILL past the limit. */
  @Override
  public void close() throws IOException {
    process.destroy();
    try {
      process.onExit().orTimeout(STOP_SECONDS, TimeUnit.SECONDS).join();
    } catch (CompletionException e) {
      kill();
      throw new IOException("did not stop within " + STOP_SECONDS + " s: " + output(), e);
    }
  }

  String output() throws IOException {
    return Files.readString(log);
  }
}
