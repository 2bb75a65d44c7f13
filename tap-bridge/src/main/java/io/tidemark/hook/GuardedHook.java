package io.tidemark.hook;

import io.tidemark.hook.HookResult.Outcome;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Freezes by a guard: a small shell process that thaws when it is told to, when this process is
 * gone, or when the limit has passed (H1). The guard is never killed, only what it runs (H3).
 */
final class GuardedHook implements Hook {
  static final String FSFREEZE = "fsfreeze";

  private static final Logger log = LoggerFactory.getLogger(GuardedHook.class);
  private static final String SCRIPT = script();
  private static final long GRACE_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long NANOS_PER_CENTI = 10_000_000;

  /** What the guard works on, found again each time. */
  @FunctionalInterface
  interface Targets {
    List<String> find() throws HookFailure;
  }

  private final String kind;
  private final Targets targets;
  private final long thawNanos;
  private final Map<String, String> environment;
  private Child guard;

  /**
   * @param kind as the guard's script names it
   * @param thawNanos limit of thawing
   */
  GuardedHook(String kind, Targets targets, long thawNanos, Map<String, String> environment) {
    this.kind = kind;
    this.targets = targets;
    this.thawNanos = thawNanos;
    this.environment = environment;
  }

  private static String script() {
    try (InputStream in = GuardedHook.class.getResourceAsStream("guard.sh")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public Attempt quiesce(long until, long frozenUntil) {
    Child child = null;
    try {
      List<String> found = targets.find();
      long now = System.nanoTime();
      List<String> command = new ArrayList<>(List.of("sh", "-c", SCRIPT, "tidemark-guard", kind));
      command.add(centis(until - now));
      command.add(centis(frozenUntil - now));
      command.add(centis(thawNanos));
      command.addAll(found);
      child = Child.start(command, environment);
      String word = child.line(until + GRACE_NANOS);
      if (word.equals("frozen")) {
        guard = child;
        return Attempt.done(0, child.errorsToLine());
      }
      throw failure(word);
    } catch (HookFailure e) {
      return Attempt.of(e, child == null ? "" : giveUp(child, e));
    }
  }

  /** The guard undoes what it began. A silent one waits for the kernel, and is not waited for. */
  private String giveUp(Child child, HookFailure why) {
    child.hangUp();
    boolean silent =
        why.outcome() == Outcome.TIMED_OUT && why.exitCode() == HookResult.NO_EXIT_CODE;
    try {
      child.exitCode(System.nanoTime() + (silent ? GRACE_NANOS : thawNanos + GRACE_NANOS));
    } catch (HookFailure e) {
      log.error("{}: freezing hangs; its guard thaws as soon as that ends", kind);
    }
    return child.errorsToLine();
  }

  private static HookFailure failure(String word) {
    String digits = word.startsWith("failed ") ? word.substring("failed ".length()) : "";
    if (!digits.matches("[0-9]{1,3}")) {
      return HookFailure.failed("the guard said " + word);
    }
    int code = Integer.parseInt(digits);
    boolean killed = code == 124 || code == 137; // as timeout(1) says it
    return new HookFailure(
        killed ? Outcome.TIMED_OUT : Outcome.FAILED,
        code,
        killed
            ? "freeze did not end in time and was killed"
            : "freeze ended with exit code " + code);
  }

  @Override
  public Attempt thaw(long until) {
    Child child = guard;
    guard = null;
    try {
      boolean expired = !sayThaw(child);
      String word = "";
      while (!word.startsWith("thawed ")) {
        word = child.line(until + GRACE_NANOS);
        expired |= word.equals("expired");
      }
      int code = Integer.parseInt(word.substring("thawed ".length()));
      if (expired) {
        throw new HookFailure(Outcome.EXPIRED, code, "it was thawed before, at its limit");
      }
      if (code != 0 && kind.equals(FSFREEZE)) {
        // The kernel refuses nothing but to thaw what is not frozen (H2).
        throw new HookFailure(Outcome.EXPIRED, code, "somebody else had thawed it before");
      }
      if (code != 0) {
        throw new HookFailure(Outcome.FAILED, code, "thaw ended with exit code " + code);
      }
      return Attempt.done(0, child.errorsToLine());
    } catch (HookFailure e) {
      boolean gone = e.exitCode() == 0 && !child.alive();
      HookFailure told =
          gone ? new HookFailure(Outcome.EXPIRED, 0, "it was thawed before, at its limit") : e;
      return Attempt.of(told, child.errorsToLine());
    } finally {
      child.hangUp();
    }
  }

  private static boolean sayThaw(Child child) {
    try {
      child.say("thaw");
      return true;
    } catch (HookFailure e) {
      return false; // the guard has gone on without the word
    }
  }

  private static String centis(long nanos) {
    return Long.toString(Math.max(1, nanos / NANOS_PER_CENTI));
  }
}
