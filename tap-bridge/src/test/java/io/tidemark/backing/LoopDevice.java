package io.tidemark.backing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A real block device over a sparse file; detached when it is closed. */
public final class LoopDevice implements AutoCloseable {
  private static final Path CONTROL = Path.of("/dev/loop-control");
  private final Path file;
  private final Path device;

  private LoopDevice(Path file, Path device) {
    this.file = file;
    this.device = device;
  }

  /** Attaches one, or skips the test where that cannot be done. */
  public static LoopDevice create(Path file, long bytes) throws IOException {
    assumeTrue(
        "root".equals(System.getProperty("user.name")) && Files.exists(CONTROL),
        "requires root and " + CONTROL);
    try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
      if (made.length() != bytes) {
        made.setLength(bytes);
      }
    }
    return new LoopDevice(file, Path.of(run("losetup", "-f", "--show", file.toString())));
  }

  public Path device() {
    return device;
  }

  /** The file below. */
  public Path file() {
    return file;
  }

  /** Makes the device as large as its file is now: with an empty file nothing is left of it. */
  public void resize(long bytes) throws IOException {
    try (RandomAccessFile changed = new RandomAccessFile(file.toFile(), "rw")) {
      changed.setLength(bytes);
    }
    run("losetup", "-c", device.toString());
  }

  /** Space that the file below takes, after its dirty pages were written. */
  public long allocatedBytes() throws IOException {
    return 512 * Long.parseLong(run("stat", "-c", "%b", file.toString()));
  }

  /** Whether a file is still attached. */
  public boolean attached() throws IOException {
    return !run("losetup", "-j", file.toString()).isEmpty();
  }

  /** Lets go of the file as soon as nobody has the device open. */
  @Override
  public void close() throws IOException {
    if (attached()) {
      run("losetup", "-d", device.toString());
    }
  }

  /** Runs a tool; returns what it printed. */
  public static String run(String... command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes()).strip();
    try {
      if (!process.waitFor(30, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new IOException(List.of(command) + ": " + output);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(List.of(command) + " was interrupted", e);
    }
    return output;
  }
}
