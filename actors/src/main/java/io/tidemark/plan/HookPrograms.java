package io.tidemark.plan;

import io.tidemark.plan.PlanCommand.Answer;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/** Runs the hooks of plans: programs in one directory of this node, and nothing else (P6). */
final class HookPrograms {
  static final int OUTPUT_BYTES_MAX = 800;
  private static final Set<String> INHERITED = Set.of("PATH", "HOME", "LANG");
  private static final int KILL_SECONDS_MAX = 10;

  private final Path directory;
  private final Executor mayBlock;

  /**
   * @param directory where the programs are
   */
  HookPrograms(Path directory, Executor mayBlock) {
    this.directory = directory.toAbsolutePath().normalize();
    this.mayBlock = mayBlock;
  }

  /**
   * Runs it until it ends with 0, as often as it may be tried.
   *
   * @return how its last attempt went; fails with {@code NOT_FOUND} when there is no such program
   */
  CompletionStage<Answer> run(Hook hook, Map<String, String> environment) {
    return CompletableFuture.supplyAsync(() -> attempts(hook, environment), mayBlock);
  }

  private Answer attempts(Hook hook, Map<String, String> environment) {
    Path program = directory.resolve(hook.program()).normalize();
    if (!directory.equals(program.getParent()) || !Files.isExecutable(program)) {
      throw new Refusal(
          ErrorCode.NOT_FOUND,
          "there is no program '%s' in %s on the node that was to run it"
              .formatted(Refusal.printable(hook.program()), directory));
    }
    Answer last = Answer.of("");
    for (int attempt = 0; attempt <= hook.retries(); attempt++) {
      last = attempt(program, hook, environment);
      if (last.succeeded()) {
        return last;
      }
    }
    return last;
  }

  private Answer attempt(Path program, Hook hook, Map<String, String> environment) {
    List<String> command = new ArrayList<>(hook.arguments());
    command.add(0, program.toString());
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectInput(Path.of("/dev/null").toFile());
    builder.environment().keySet().retainAll(INHERITED);
    builder.environment().putAll(environment);
    try {
      Path output = Files.createTempFile("tidemark-hook", ".out");
      try {
        Process process = builder.redirectOutput(output.toFile()).start();
        try {
          boolean over = process.waitFor(hook.limitSeconds(), TimeUnit.SECONDS);
          String said = end(output);
          return over
              ? answer(process.exitValue() == 0, "exit code " + process.exitValue() + ": " + said)
              : answer(false, "not over within " + hook.limitSeconds() + " s: " + said);
        } finally {
          kill(process);
        }
      } finally {
        Files.delete(output);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("the hook " + program + " cannot be run", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return answer(false, "the node ended");
    }
  }

  private static Answer answer(boolean succeeded, String words) {
    return new Answer(Optional.empty(), List.of(), 0, succeeded, words);
  }

  private static void kill(Process process) {
    if (process.isAlive()) {
      List<ProcessHandle> family = process.descendants().toList();
      process.destroyForcibly();
      family.forEach(ProcessHandle::destroyForcibly);
      process.onExit().completeOnTimeout(process, KILL_SECONDS_MAX, TimeUnit.SECONDS).join();
    }
  }

  /** The end of what it said. */
  private static String end(Path output) throws IOException {
    long size = Files.size(output);
    try (InputStream in = Files.newInputStream(output)) {
      in.skipNBytes(Math.max(0, size - OUTPUT_BYTES_MAX));
      String text = new String(in.readNBytes(OUTPUT_BYTES_MAX), StandardCharsets.UTF_8);
      return text.replaceAll("[^\\P{Cc}\\n]", "").strip();
    }
  }
}
