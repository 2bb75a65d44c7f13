package io.tidemark.system;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Runs the tools of the machine. */
final class Shell {
  private static final long LIMIT_SECONDS = 120;

  private Shell() {}

  /** What a command printed and how it ended. */
  record Result(int exitCode, String output) {
    Result orFail() {
      if (exitCode != 0) {
        throw new AssertionError("exit " + exitCode + ": " + output);
      }
      return this;
    }
  }

  /** Runs to the end, standard error with standard output. */
  static Result run(String... command) throws IOException, InterruptedException {
    return run(List.of(command));
  }

  static Result run(List<String> command) throws IOException, InterruptedException {
    Path output = Files.createTempFile("tidemark-shell", ".out");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
      process.getOutputStream().close();
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
        throw new AssertionError("no end within " + LIMIT_SECONDS + " s: " + command);
      }
      String text = new String(Files.readAllBytes(output), StandardCharsets.ISO_8859_1);
      return new Result(process.exitValue(), String.join(" ", command) + "\n" + text);
    } finally {
      Files.delete(output);
    }
  }

  /** Runs and gives what was printed, trimmed; fails unless the exit code is 0. */
  static String read(String... command) throws IOException, InterruptedException {
    String output = run(command).orFail().output();
    return output.substring(output.indexOf('\n') + 1).trim();
  }

  /** Runs as another user. */
  static String as(String user, String... command) throws IOException, InterruptedException {
    List<String> whole = new ArrayList<>(List.of("runuser", "-u", user, "--"));
    whole.addAll(List.of(command));
    return read(whole.toArray(String[]::new));
  }

  /** Skips the test, visibly, unless every tool is installed. */
  static void requires(String... tools) {
    List<String> missing = new ArrayList<>();
    for (String tool : tools) {
      boolean found = false;
      for (String directory : System.getenv("PATH").split(":")) {
        found |= Files.isExecutable(Path.of(directory, tool));
      }
      for (String directory : List.of("/sbin", "/usr/sbin")) {
        found |= Files.isExecutable(Path.of(directory, tool));
      }
      if (!found) {
        missing.add(tool);
      }
    }
    if (!missing.isEmpty()) {
      System.out.println("SKIPPED: not installed: " + missing);
    }
    assumeTrue(missing.isEmpty(), "not installed: " + missing);
  }

  /** Skips the test, visibly, unless it runs as root with the device. */
  static void requiresRoot(Path device) {
    boolean usable = "root".equals(System.getProperty("user.name")) && Files.exists(device);
    if (!usable) {
      System.out.println("SKIPPED: needs root and " + device);
    }
    assumeTrue(usable, "needs root and " + device);
  }
}
