package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Runs a person's command against images, one after the other. Whatever ends this process but a
 * kill, its command is stopped and its image is closed.
 */
final class ImageCheck implements AutoCloseable {
  private static final int EXIT_SKIP = 125;
  private static final int EXIT_ABORT_MIN = 128;
  private static final Duration STOP_LIMIT = Duration.ofSeconds(5);
  private static final long OUTPUT_MILLIS_AFTER_END = 1_000;

  enum Verdict {
    GOOD,
    BAD,
    SKIP
  }

  /**
   * What a check said.
   *
   * @param at the image's point as the node tells it
   */
  record Outcome(JsonNode at, Verdict verdict, int exitCode, long millis) {}

  private final NodeClient client;
  private final String volume;
  private final boolean writable;
  private final List<String> command;
  private final PrintWriter err;
  private final Thread atExit = new Thread(this::stop, "bisect-cleanup");
  private final Object opening = new Object();
  private String image;
  private Process process;
  private boolean stopped;

  ImageCheck(
      NodeClient client, String volume, boolean writable, List<String> command, PrintWriter err) {
    this.client = client;
    this.volume = volume;
    this.writable = writable;
    this.command = command;
    this.err = err;
    Runtime.getRuntime().addShutdownHook(atExit);
  }

  /**
   * Opens an image of the seq, runs the command against it, closes the image.
   *
   * @throws Refusal as opening an image does; {@code FAILED} when the command cannot be started, or
   *     ended in a way that is no verdict
   */
  Outcome run(long seq) {
    JsonNode opened = open(seq);
    long begun = System.nanoTime();
    try {
      int exit = runCommand(opened, seq);
      long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
      return new Outcome(opened.path("at"), verdict(exit), exit, millis);
    } finally {
      closeImage();
    }
  }

  private Verdict verdict(int exit) {
    if (exit >= EXIT_ABORT_MIN) {
      throw new Refusal(
          ErrorCode.FAILED,
          "the check ended with exit code %d, which is no verdict (a signal, or a command that broke):"
                  .formatted(exit)
              + " it must end with 0 for good, 125 to skip, or up to 127 for bad");
    }
    return exit == 0 ? Verdict.GOOD : exit == EXIT_SKIP ? Verdict.SKIP : Verdict.BAD;
  }

  private JsonNode open(long seq) {
    synchronized (opening) {
      if (stopped) {
        throw interrupted(null);
      }
      ObjectNode request =
          NodeClient.object()
              .put("volume", volume)
              .put("at", "seq:" + seq)
              .put("writable", writable)
              .put("name", "check-" + volume + "-" + ProcessHandle.current().pid() + "-" + seq);
      JsonNode opened = client.post("/images", request);
      image = opened.path("name").asText();
      return opened;
    }
  }

  private int runCommand(JsonNode opened, long seq) {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    Map<String, String> environment = builder.environment();
    environment.put("TIDEMARK_IMAGE_URI", opened.path("uri").asText());
    environment.put("TIDEMARK_IMAGE", opened.path("name").asText());
    environment.put("TIDEMARK_VOLUME", volume);
    environment.put("TIDEMARK_SEQ", Long.toString(seq));
    environment.put("TIDEMARK_TIME", opened.at("/at/time").asText());
    Process started;
    try {
      synchronized (opening) {
        if (stopped) {
          throw interrupted(null);
        }
        process = builder.start();
        started = process;
      }
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "the check cannot be started: " + Refusal.printable(e.getMessage()), e);
    }
    Thread output = new Thread(() -> passOn(started), "check-output");
    output.setDaemon(true);
    output.start();
    try {
      int exit = started.waitFor();
      // A process that the check left behind may hold the pipe open.
      output.join(OUTPUT_MILLIS_AFTER_END);
      return exit;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw interrupted(e);
    }
  }

  private static Refusal interrupted(Exception cause) {
    return new Refusal(ErrorCode.FAILED, "interrupted", cause);
  }

  /** The answer's channel stays clean: what the check prints goes to standard error. */
  private void passOn(Process of) {
    try (BufferedReader reader =
        new BufferedReader(new InputStreamReader(of.getInputStream(), StandardCharsets.UTF_8))) {
      reader
          .lines()
          .forEach(
              line -> {
                err.println("  | " + line);
                err.flush();
              });
    } catch (IOException | UncheckedIOException e) {
      err.println("  | (output lost: " + e.getMessage() + ")");
    }
  }

  private void closeImage() {
    String open;
    synchronized (opening) {
      open = image;
      image = null;
      process = null;
    }
    if (open == null) {
      return;
    }
    try {
      client.delete("/images/" + NodeClient.escaped(open) + "?force=true");
    } catch (Refusal e) {
      if (e.code() != ErrorCode.NOT_FOUND) {
        err.println(
            "tidemark: the image %s stays open (%s); close it with: tidemark image close %s"
                .formatted(open, e.getMessage(), open));
        err.flush();
      }
    }
  }

  /** At the end of the process: an image that is being opened is waited for, then closed. */
  private void stop() {
    Process running;
    synchronized (opening) {
      stopped = true;
      running = process;
    }
    if (running != null) {
      List<ProcessHandle> family = running.descendants().toList();
      running.destroy();
      try {
        if (!running.waitFor(STOP_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
          running.destroyForcibly();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      family.forEach(ProcessHandle::destroy);
    }
    closeImage();
  }

  @Override
  public void close() {
    Runtime.getRuntime().removeShutdownHook(atExit);
  }
}
