package io.tidemark.nbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/** Programs of other people, run against the server when this machine has them. */
final class RealClient {
  private static final long SECONDS_MAX = 90;

  record Outcome(int exit, String output) {}

  private RealClient() {}

  /** Skips the test, naming the tool, unless it is installed. */
  static void requires(String... tools) {
    for (String tool : tools) {
      boolean found = false;
      for (String dir : System.getenv("PATH").split(File.pathSeparator)) {
        found |= Files.isExecutable(Path.of(dir, tool));
      }
      Assumptions.assumeTrue(found, tool + " is not installed");
    }
  }

  /** Runs a program that must succeed; returns what it printed. */
  static String run(String... command) throws IOException, InterruptedException {
    Outcome outcome = attempt(command);
    assertEquals(0, outcome.exit(), String.join(" ", command) + "\n" + outcome.output());
    return outcome.output();
  }

  static Outcome attempt(String... command) throws IOException, InterruptedException {
    Path log = Files.createTempFile("client", ".log");
    try {
      Process process =
          new ProcessBuilder(List.of(command))
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      boolean ended = process.waitFor(SECONDS_MAX, TimeUnit.SECONDS);
      if (!ended) {
        process.destroyForcibly();
      }
      String output = Files.readString(log);
      assertTrue(ended, String.join(" ", command) + " does not end\n" + output);
      return new Outcome(process.exitValue(), output);
    } finally {
      Files.delete(log);
    }
  }
}
