package io.tidemark.drillrun;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Programs of the node's machine that checks use. Blocks. */
final class Tool {
  /** Of a longer output of a program the beginning and the end are kept. */
  static final int OUTPUT_BYTES_MAX = 4 << 10;

  private static final int BEGINNING_BYTES = 1 << 10;

  private static final List<Path> SYSTEM_DIRECTORIES =
      List.of(Path.of("/usr/sbin"), Path.of("/sbin"), Path.of("/usr/bin"), Path.of("/bin"));
  private static final int KILL_SECONDS_MAX = 10;

  private Tool() {}

  /**
   * How a program ended.
   *
   * @param output what it printed, errors included; of much the beginning and the end
   */
  record Ended(int exitCode, String output) {}

  /** The path of a program; throws {@link CheckError} when it is not installed. */
  static String find(String program, String from) throws CheckError {
    List<Path> directories = new ArrayList<>(SYSTEM_DIRECTORIES);
    for (String directory : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) {
      directories.add(Path.of(directory));
    }
    for (Path directory : directories) {
      Path found = directory.resolve(program);
      if (Files.isExecutable(found)) {
        return found.toString();
      }
    }
    throw new CheckError("the node lacks " + program + ": install " + from);
  }

  /**
   * Runs a program to its end; one that takes longer than {@code deadlineNanos} allows is killed
   * with all that it has started.
   *
   * @throws TimeoutException when it was killed
   */
  static Ended run(List<String> command, Map<String, String> environment, long deadlineNanos)
      throws IOException, InterruptedException, TimeoutException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    builder.environment().putAll(environment);
    Path output = Files.createTempFile("tidemark-check", ".out");
    try {
      Process process = builder.redirectOutput(output.toFile()).start();
      try {
        long left = Math.max(0, deadlineNanos - System.nanoTime());
        if (!process.waitFor(left, TimeUnit.NANOSECONDS)) {
          throw new TimeoutException(command.get(0) + " took too long");
        }
        return new Ended(process.exitValue(), ends(output));
      } finally {
        end(process);
      }
    } finally {
      Files.delete(output);
    }
  }

  /** Kills a process and what it has started. */
  static void end(Process process) {
    if (process.isAlive()) {
      List<ProcessHandle> family = process.descendants().toList();
      process.destroyForcibly();
      family.forEach(ProcessHandle::destroyForcibly);
      // Ended processes are told of later too; what waits here is only tidiness.
      process.onExit().completeOnTimeout(process, KILL_SECONDS_MAX, TimeUnit.SECONDS).join();
    }
  }

  private static String ends(Path output) throws IOException {
    long size = Files.size(output);
    try (InputStream in = Files.newInputStream(output)) {
      String text = text(in, size <= OUTPUT_BYTES_MAX ? OUTPUT_BYTES_MAX : BEGINNING_BYTES);
      if (size > OUTPUT_BYTES_MAX) {
        in.skipNBytes(size - OUTPUT_BYTES_MAX);
        text += "\n...\n" + text(in, OUTPUT_BYTES_MAX - BEGINNING_BYTES);
      }
      return text;
    }
  }

  private static String text(InputStream in, int bytes) throws IOException {
    String text = new String(in.readNBytes(bytes), StandardCharsets.UTF_8);
    return text.replaceAll("[^\\P{Cc}\\n]", "").strip();
  }
}
