package io.tidemark.imageserver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Real programs that are clients or judges of what is served and written. */
public final class Tools {
  private static final long SECONDS_MAX = 100;

  private Tools() {}

  /** Skips the test, saying so, where a program is not installed. */
  public static void requires(String... programs) {
    for (String program : programs) {
      boolean found = false;
      for (String directory : System.getenv("PATH").split(":")) {
        found |= Files.isExecutable(Path.of(directory, program));
      }
      assumeTrue(found, "needs " + program);
    }
  }

  /** Runs a program and returns what it printed; it must exit with the status. */
  public static String run(int status, String... command) throws IOException {
    Path out = Files.createTempFile("tool", ".out");
    try {
      Process process =
          new ProcessBuilder(List.of(command))
              .redirectErrorStream(true)
              .redirectOutput(out.toFile())
              .start();
      try {
        if (!process.waitFor(SECONDS_MAX, TimeUnit.SECONDS)) {
          throw new IOException(String.join(" ", command) + " does not end");
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      } finally {
        process.destroyForcibly();
      }
      String printed = Files.readString(out);
      assertEquals(status, process.exitValue(), String.join(" ", command) + ": " + printed);
      return printed;
    } finally {
      Files.delete(out);
    }
  }
}
