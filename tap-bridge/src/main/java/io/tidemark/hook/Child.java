package io.tidemark.hook;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.tidemark.hook.HookResult.Outcome;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A program in a session and process group of its own. Its standard input is a pipe from this
 * process, so it ends with it; standard output is read line by line, of standard error the
 * beginning and the end are kept.
 */
final class Child {
  /** Longer lines are cut. */
  static final int LINE_BYTES_MAX = 2048;

  /** Lines that nobody has taken yet; further ones are dropped. */
  static final int LINES_MAX = 256;

  static final String PATH =
      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin";

  private static final Logger log = LoggerFactory.getLogger(Child.class);
  private static final int SIGKILL = 9;
  private static final long LAST_WORDS_MILLIS = 500;

  /** Bound once. */
  private static final class Libc {
    static {
      Native.register(Libc.class, "c");
    }

    private Libc() {}

    static native int kill(int pid, int signal) throws LastErrorException;
  }

  /** A line of standard output, or its end. */
  private record Line(String text, boolean last) {}

  private final String name;
  private final Process process;
  private final BlockingQueue<Line> lines = new ArrayBlockingQueue<>(LINES_MAX + 1);
  private final BoundedOutput errors = new BoundedOutput();
  private final Thread errorPump;
  private boolean ended;
  private int linesTaken;

  private Child(String name, Process process) {
    this.name = name;
    this.process = process;
    pump("out", process.getInputStream(), this::splitLines);
    errorPump = pump("err", process.getErrorStream(), this::keepErrors);
  }

  /**
   * @param command found in {@link #PATH}
   * @param environment all of it, besides PATH and LC_ALL
   */
  static Child start(List<String> command, Map<String, String> environment) throws HookFailure {
    List<String> whole = new ArrayList<>(List.of("setsid"));
    whole.addAll(command);
    ProcessBuilder builder = new ProcessBuilder(whole);
    builder.environment().clear();
    builder.environment().put("PATH", PATH);
    builder.environment().put("LC_ALL", "C.UTF-8");
    builder.environment().putAll(environment);
    builder.directory(new java.io.File("/"));
    try {
      return new Child(command.get(0), builder.start());
    } catch (IOException e) {
      throw HookFailure.failed("cannot run " + command.get(0) + ": " + e.getMessage());
    }
  }

  /** Writes a line to its standard input. */
  void say(String line) throws HookFailure {
    try {
      process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
      process.getOutputStream().flush();
    } catch (IOException e) {
      throw ended("it takes no more input");
    }
  }

  /** Its standard input ends. Repeating it is safe. */
  void hangUp() {
    try {
      process.getOutputStream().close();
    } catch (IOException e) {
      log.debug("{} had closed its standard input: {}", name, e.getMessage());
    }
  }

  /**
   * The next line of standard output.
   *
   * @throws HookFailure {@code TIMED_OUT}; {@code FAILED} with the exit code when there is no more
   */
  String line(long until) throws HookFailure {
    try {
      Line line =
          ended ? null : lines.poll(Math.max(0, until - System.nanoTime()), TimeUnit.NANOSECONDS);
      if (!ended && line == null) {
        throw HookFailure.timedOut("it did not answer in time");
      }
      if (ended || line.last()) {
        ended = true;
        throw ended("it ended");
      }
      linesTaken++;
      return line.text();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw HookFailure.failed("the tap is stopping");
    }
  }

  private HookFailure ended(String what) {
    try {
      if (process.waitFor(LAST_WORDS_MILLIS, TimeUnit.MILLISECONDS)) {
        int code = process.exitValue();
        return new HookFailure(Outcome.FAILED, code, what + " with exit code " + code);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return HookFailure.failed(what);
  }

  boolean alive() {
    return process.isAlive();
  }

  /**
   * Waits for its end.
   *
   * @return the exit code
   */
  int exitCode(long until) throws HookFailure {
    try {
      if (process.waitFor(Math.max(0, until - System.nanoTime()), TimeUnit.NANOSECONDS)) {
        return process.exitValue();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    throw HookFailure.timedOut("it did not end in time");
  }

  /** Kills it and all that it started in its group, and waits for its end. */
  void kill() {
    if (process.isAlive()) {
      try {
        Libc.kill(Math.toIntExact(-process.pid()), SIGKILL);
      } catch (LastErrorException e) {
        log.debug("{} ended by itself: {}", name, e.getMessage()); // ESRCH
      }
      process.destroyForcibly();
    }
    hangUp();
  }

  int exitCodeIfAny() {
    return process.isAlive() ? HookResult.NO_EXIT_CODE : process.exitValue();
  }

  /** What it wrote to standard error; without its last words only if another process has them. */
  String errors(List<String> secrets) {
    if (!process.isAlive()) {
      try {
        errorPump.join(LAST_WORDS_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    return errors.text(secrets);
  }

  /**
   * What a program that marks its standard error before each line of standard output wrote there up
   * to the last line that was taken.
   */
  String errorsToLine() {
    if (process.isAlive()) {
      errors.awaitMarks(linesTaken, LAST_WORDS_MILLIS);
    }
    return errors(List.of());
  }

  private Thread pump(String stream, InputStream from, Pump pump) {
    Thread thread =
        new Thread(
            () -> {
              try (from) {
                pump.run(from);
              } catch (IOException e) {
                log.debug("{}: its {} cannot be read: {}", name, stream, e.getMessage());
              }
            },
            "tidemark-hook-" + stream);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private interface Pump {
    void run(InputStream from) throws IOException;
  }

  private void keepErrors(InputStream from) throws IOException {
    byte[] buffer = new byte[LINE_BYTES_MAX];
    try {
      for (int read = from.read(buffer); read >= 0; read = from.read(buffer)) {
        errors.add(buffer, read);
      }
    } finally {
      errors.end();
    }
  }

  private void splitLines(InputStream from) throws IOException {
    byte[] line = new byte[LINE_BYTES_MAX];
    int length = 0;
    try {
      for (int c = from.read(); c >= 0; c = from.read()) {
        if (c == '\n') {
          add(new Line(new String(line, 0, length, StandardCharsets.UTF_8), false));
          length = 0;
        } else if (length < LINE_BYTES_MAX) {
          line[length++] = (byte) c;
        }
      }
    } finally {
      lines.add(new Line("", true)); // there is always room for this one
    }
  }

  private void add(Line line) {
    if (lines.size() < LINES_MAX) {
      lines.add(line);
    }
  }
}
