package io.tidemark.hook;

import io.tidemark.hook.HookResult.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A conversation with a data base through its command-line client: a statement is followed by one
 * that prints a mark, and what comes before the mark is the answer. The client ends at the first
 * error. It ends, too, when this process does, and at the limit in any case (H1).
 */
final class Session {
  private static final String MARK = "tidemark-mark-";
  private static final long LAST_NANOS = Duration.ofSeconds(2).toNanos();

  /** How a client is made to print a mark. */
  @FunctionalInterface
  interface MarkStatement {
    String of(String mark);
  }

  private final Child client;
  private final MarkStatement marks;
  private final List<String> secrets;
  private int asked;

  private Session(Child client, MarkStatement marks, List<String> secrets) {
    this.client = client;
    this.marks = marks;
    this.secrets = secrets;
  }

  /**
   * @param runAs the user of the client, the tap's own when empty
   * @param frozenUntil when the client is killed
   */
  static Session start(
      List<String> client,
      Optional<String> runAs,
      long frozenUntil,
      MarkStatement marks,
      List<String> secrets)
      throws HookFailure {
    double seconds = Math.max(0.1, (frozenUntil - System.nanoTime()) / 1e9);
    List<String> command = new ArrayList<>(List.of("timeout", "-k", "1"));
    command.add(String.format(Locale.ROOT, "%.2f", seconds));
    runAs.ifPresent(user -> command.addAll(List.of("runuser", "-u", user, "--")));
    command.addAll(client);
    return new Session(Child.start(command, java.util.Map.of()), marks, secrets);
  }

  /**
   * Has a statement carried out.
   *
   * @return the lines that it printed
   * @throws HookFailure {@code TIMED_OUT}; {@code FAILED} when it failed, which ends the client
   */
  List<String> ask(String statement, long until) throws HookFailure {
    String mark = MARK + ++asked;
    client.say(statement);
    client.say(marks.of(mark));
    List<String> answer = new ArrayList<>();
    String line = client.line(until);
    while (!line.equals(mark)) {
      answer.add(line);
      line = client.line(until);
    }
    return answer;
  }

  /** The single line that a statement prints. */
  String value(String statement, long until) throws HookFailure {
    List<String> answer = ask(statement, until);
    if (answer.size() != 1) {
      throw HookFailure.failed("one line was expected, not " + answer.size());
    }
    return answer.get(0);
  }

  /**
   * Has the client end in order.
   *
   * @return what it had to say for people
   */
  String end(long until) throws HookFailure {
    client.hangUp();
    int code = client.exitCode(Math.max(until, System.nanoTime() + LAST_NANOS));
    if (code != 0) {
      throw new HookFailure(Outcome.FAILED, code, "the client ended with exit code " + code);
    }
    return errors();
  }

  /** Kills the client with all that belongs to it; the server then ends the session. */
  String abandon() {
    client.kill();
    return errors();
  }

  boolean alive() {
    return client.alive();
  }

  private String errors() {
    return client.errors(secrets);
  }
}
