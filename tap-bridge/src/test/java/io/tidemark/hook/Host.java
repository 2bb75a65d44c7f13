package io.tidemark.hook;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** What the tests of hooks need of this machine. */
final class Host {
  static final Duration LIMIT = Duration.ofSeconds(20);

  private static final AtomicLong TICKETS = new AtomicLong();

  private Host() {}

  static long ticket() {
    return TICKETS.incrementAndGet();
  }

  /** Runs a command to its end; gives what it printed, fails unless it ended with 0. */
  static String run(String... command) throws IOException {
    Path output = Files.createTempFile("tidemark-host", ".out");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
      process.getOutputStream().close();
      if (!process.waitFor(60, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError("no end of " + List.of(command));
      }
      String text = Files.readString(output, StandardCharsets.ISO_8859_1).strip();
      assertEquals(0, process.exitValue(), String.join(" ", command) + "\n" + text);
      return text;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      Files.delete(output);
    }
  }

  /** Starts a program whose output goes to a file. */
  static Process start(Path log, String... command) throws IOException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    process.getOutputStream().close();
    return process;
  }

  /** Skips the test, visibly, unless every tool is there. */
  static void requires(String... tools) {
    List<String> missing = new ArrayList<>();
    for (String tool : tools) {
      boolean found = tool.startsWith("/") && Files.isExecutable(Path.of(tool));
      for (String directory : (System.getenv("PATH") + ":/sbin:/usr/sbin").split(":")) {
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

  static void requiresRoot() {
    boolean root = System.getProperty("user.name").equals("root");
    if (!root) {
      System.out.println("SKIPPED: needs root");
    }
    assumeTrue(root, "needs root");
  }

  /** Polls until the condition holds; what it throws counts as not yet. */
  static void await(String what, Duration limit, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + limit.toNanos();
    CountDownLatch never = new CountDownLatch(1);
    Exception last = null;
    while (System.nanoTime() < deadline) {
      try {
        if (condition.call()) {
          return;
        }
      } catch (InterruptedException e) {
        throw e;
      } catch (Exception e) {
        last = e;
      }
      if (never.await(20, TimeUnit.MILLISECONDS)) {
        throw new IllegalStateException("nobody counts down");
      }
    }
    throw new AssertionError("not within " + limit + ": " + what, last);
  }

  static <T> T get(CompletionStage<T> stage) throws Exception {
    return stage.toCompletableFuture().get(60, TimeUnit.SECONDS);
  }

  static List<HookResult> quiesce(Applications applications, long ticket, String... names)
      throws Exception {
    Duration half = Duration.ofSeconds(30);
    return get(applications.quiesce(ticket, List.of(names), half, half));
  }

  /** An empty file system of its own, mounted by a loop device. */
  static final class Mounted implements AutoCloseable {
    final Path image;
    final Path mountPoint;
    private final String loop;
    private boolean mounted;

    /** Makes the file system. */
    static Mounted make(Path directory, String type, int mebibytes) throws Exception {
      Path image = directory.resolve(type + ".img");
      run("truncate", "-s", mebibytes + "M", image.toString());
      run("mkfs." + type, type.equals("ext4") ? "-qF" : "-qf", image.toString());
      return new Mounted(directory, type, image);
    }

    /** Mounts what is in the image. */
    Mounted(Path directory, String name, Path image) throws Exception {
      this.image = image;
      mountPoint = Files.createDirectory(directory.resolve(name));
      loop = run("losetup", "-f", "--show", image.toString());
      try {
        run("mount", loop, mountPoint.toString());
        mounted = true;
      } catch (AssertionError e) {
        run("losetup", "-d", loop);
        throw e;
      }
    }

    /** The bytes of the disk as they are now. */
    Path copy(String name) throws Exception {
      Path copy = image.resolveSibling(name);
      run("cp", "--sparse=always", image.toString(), copy.toString());
      return copy;
    }

    String device() {
      return loop;
    }

    void unmount() throws IOException {
      run("umount", mountPoint.toString());
      mounted = false;
    }

    /** Whether writing blocks: an attempt to freeze says so, and changes nothing then. */
    boolean frozen() throws Exception {
      Process attempt =
          new ProcessBuilder("fsfreeze", "-f", mountPoint.toString())
              .redirectErrorStream(true)
              .start();
      attempt.getOutputStream().close();
      if (attempt.waitFor() == 0) {
        run("fsfreeze", "-u", mountPoint.toString());
        return false;
      }
      return true;
    }

    @Override
    public void close() throws IOException {
      if (mounted) {
        unmount();
      }
      run("losetup", "-d", loop);
    }
  }
}
