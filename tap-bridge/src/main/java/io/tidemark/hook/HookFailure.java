package io.tidemark.hook;

import io.tidemark.hook.HookResult.Outcome;

/** Why a hook did not do what it should. */
final class HookFailure extends Exception {
  private static final long serialVersionUID = 1L;
  private final Outcome outcome;
  private final int exitCode;

  HookFailure(Outcome outcome, int exitCode, String sentence) {
    super(sentence, null, true, false);
    this.outcome = outcome;
    this.exitCode = exitCode;
  }

  static HookFailure failed(String sentence) {
    return new HookFailure(Outcome.FAILED, HookResult.NO_EXIT_CODE, sentence);
  }

  static HookFailure timedOut(String sentence) {
    return new HookFailure(Outcome.TIMED_OUT, HookResult.NO_EXIT_CODE, sentence);
  }

  Outcome outcome() {
    return outcome;
  }

  int exitCode() {
    return exitCode;
  }
}
