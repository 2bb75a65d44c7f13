package io.tidemark.hook;

import io.tidemark.hook.HookResult.Outcome;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** Quiesces a data base and keeps it so by a session that stays open. */
abstract class SessionHook implements Hook {
  private final Optional<String> runAs;
  private Session session;

  SessionHook(Optional<String> runAs) {
    this.runAs = runAs;
  }

  /** The client's command line. */
  abstract List<String> client() throws HookFailure;

  /** The statement that prints a mark. */
  abstract String mark(String mark);

  /** Where the password is. */
  abstract Optional<CredentialsFile> credentials();

  /**
   * Quiesces.
   *
   * @return what was found, for people
   */
  abstract String hold(Session session, long until, long frozenUntil) throws HookFailure;

  /**
   * Ends what {@link #hold} began, and so shows that it lasted until now.
   *
   * @return what was found, for people
   */
  abstract String release(Session session, long until) throws HookFailure;

  @Override
  public final Attempt quiesce(long until, long frozenUntil) {
    Session opened = null;
    try {
      opened = Session.start(client(), runAs, frozenUntil, this::mark, secrets());
      String found = hold(opened, until, frozenUntil);
      session = opened;
      return Attempt.done(found);
    } catch (HookFailure e) {
      return Attempt.of(e, opened == null ? "" : opened.abandon());
    }
  }

  @Override
  public final Attempt thaw(long until) {
    Session open = session;
    session = null;
    try {
      String found = release(open, until);
      String last = open.end(until);
      return Attempt.done(0, last.isEmpty() ? found : found + "\n" + last);
    } catch (HookFailure e) {
      // A session that ended by itself had let go before: nobody knows since when (H2).
      HookFailure told =
          e.outcome() == Outcome.FAILED
              ? new HookFailure(
                  Outcome.EXPIRED, e.exitCode(), "its session was lost: " + e.getMessage())
              : e;
      return Attempt.of(told, open.abandon());
    }
  }

  private List<String> secrets() throws HookFailure {
    Optional<CredentialsFile> file = credentials();
    try {
      return file.isEmpty() ? List.of() : file.get().secrets();
    } catch (IOException e) {
      throw HookFailure.failed(file.get().path() + " cannot be read: " + e.getMessage());
    }
  }

  /** Whole seconds until then, rounded up, at least one. */
  static long secondsUntil(long nanoTime) {
    return Math.max(1, (nanoTime - System.nanoTime() + 999_999_999L) / 1_000_000_000L);
  }

  static long millisUntil(long nanoTime) {
    return Math.max(1, (nanoTime - System.nanoTime()) / 1_000_000L);
  }
}
