package io.tidemark.demo;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * An ext4 file system in a file, made, written, read and checked with e2fsprogs: no mount, no root.
 */
final class Ext4 {
  static final int BLOCK_BYTES = 4096;
  private static final long TOOL_SECONDS_MAX = 60;

  private final Path image;

  private Ext4(Path image) {
    this.image = image;
  }

  /** Makes an empty file system. */
  static Ext4 make(Path image, long sizeBytes) throws IOException, InterruptedException {
    try (var file = new java.io.RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(sizeBytes);
    }
    run(
        List.of(
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            Integer.toString(BLOCK_BYTES),
            "-E",
            "lazy_itable_init=0,lazy_journal_init=0",
            image.toString()));
    return new Ext4(image);
  }

  /** A file system that is there already. */
  static Ext4 of(Path image) {
    return new Ext4(image);
  }

  Path image() {
    return image;
  }

  /** Puts a file at the top of the file system in place of one of that name, if there is one. */
  void put(Path file, String name) throws IOException, InterruptedException {
    Path script = image.resolveSibling("debugfs-script");
    Files.writeString(script, "rm /" + name + "\nwrite " + file + " " + name + "\n");
    run(List.of("debugfs", "-w", "-f", script.toString(), image.toString()));
  }

  void remove(String name) throws IOException, InterruptedException {
    run(List.of("debugfs", "-w", "-R", "rm /" + name, image.toString()));
  }

  /** Copies a file out; the copy is missing when there is no such file. */
  void get(String name, Path to) throws IOException, InterruptedException {
    run(List.of("debugfs", "-R", "dump /" + name + " " + to, image.toString()));
  }

  /** Checks the whole file system without changing it; empty when it is clean. */
  String check() throws IOException, InterruptedException {
    Ran ran = execute(List.of("e2fsck", "-f", "-n", image.toString()));
    return ran.exit == 0 ? "" : ran.output;
  }

  private record Ran(int exit, String output) {}

  private static void run(List<String> command) throws IOException, InterruptedException {
    Ran ran = execute(command);
    if (ran.exit != 0) {
      throw new Refusal(
          ErrorCode.FAILED, String.join(" ", command) + " failed: " + ran.output.strip());
    }
  }

  private static Ran execute(List<String> command) throws IOException, InterruptedException {
    List<String> words = new ArrayList<>(command);
    words.set(0, tool(command.get(0)));
    ProcessBuilder builder = new ProcessBuilder(words).redirectErrorStream(true);
    // Only the messages' language; tools need their PATH and little else.
    builder.environment().putAll(Map.of("LC_ALL", "C"));
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(TOOL_SECONDS_MAX, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new Refusal(ErrorCode.FAILED, String.join(" ", command) + " does not end");
    }
    return new Ran(process.exitValue(), output);
  }

  /** Debian keeps these tools where the PATH of an ordinary user does not look. */
  private static String tool(String name) {
    for (String place : List.of("/sbin", "/usr/sbin", "/bin", "/usr/bin", "/usr/local/sbin")) {
      Path tool = Path.of(place, name);
      if (Files.isExecutable(tool)) {
        return tool.toString();
      }
    }
    throw new Refusal(
        ErrorCode.FAILED,
        "the demonstration needs "
            + name
            + " to make a file system: install it with apt-get install e2fsprogs");
  }
}
