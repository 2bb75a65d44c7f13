package io.tidemark.hook;

import io.tidemark.hook.HookResult.Outcome;

/** One application; used by one thread at a time, both methods block. */
interface Hook {
  /**
   * Quiesces. Unless that is {@code DONE} the application is thawed and {@link #thaw} is not
   * called.
   *
   * @param until by {@link System#nanoTime}: later it is given up
   * @param frozenUntil when the application thaws by itself, though nobody says so
   */
  Attempt quiesce(long until, long frozenUntil);

  /** Thaws what {@link #quiesce} did; {@code EXPIRED} when it was thawed before. */
  Attempt thaw(long until);

  /** How one half went. */
  record Attempt(Outcome outcome, int exitCode, String output) {
    static Attempt of(HookFailure failure, String output) {
      String sentence = failure.getMessage();
      return new Attempt(
          failure.outcome(),
          failure.exitCode(),
          output.isEmpty() ? sentence : sentence + "\n" + output);
    }

    static Attempt done(int exitCode, String output) {
      return new Attempt(Outcome.DONE, exitCode, output);
    }

    static Attempt done(String output) {
      return done(HookResult.NO_EXIT_CODE, output);
    }
  }
}
