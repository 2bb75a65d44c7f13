package io.tidemark.remote;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** The other sites of the cluster, and how to ask them. Thread-safe. */
public interface RemoteSites {
  /** Of a command or an answer, as bytes: both travel as cluster messages. */
  int MESSAGE_BYTES_MAX = 192 << 10;

  /** This node's own site. */
  String here();

  /** The other sites in name order, those that are gone too; from memory, at once. */
  List<RemoteSite> sites();

  /**
   * Has one node of a site carry a command out; the own site may be asked too. Sent at most once
   * (R1): repeating is for who knows that it is safe.
   *
   * @param within how long the answer may take
   * @return fails with {@code Refusal}: the site's own, {@code NOT_FOUND} for a site that nobody
   *     knows, {@code NOT_ACKNOWLEDGED} when the site is gone (said at once where that is known) or
   *     does not answer in time, {@code LIMIT} for a command that is too large, {@code INVALID}
   *     when that site's version does not know the command
   */
  <A extends SiteAnswer> CompletionStage<A> ask(
      String site, SiteCommand<A> command, Duration within);

  /** {@link #ask(String, SiteCommand, Duration)} within {@code tidemark.remote.ask-timeout}. */
  <A extends SiteAnswer> CompletionStage<A> ask(String site, SiteCommand<A> command);

  /**
   * Carries out commands of that class at this node, whichever site asks. The handler may block
   * nobody: it is called on an actor's thread. Its stage's {@code Refusal} goes back with its code;
   * any other failure goes back as {@code FAILED}.
   */
  <A extends SiteAnswer, C extends SiteCommand<A>> void serve(
      Class<C> command, Function<C, CompletionStage<A>> handler);

  /**
   * Tells other sites where something of this node listens.
   *
   * @param purpose such as {@code wan-link}
   * @param address {@code HOST:PORT}
   */
  void announce(String purpose, String address);

  /**
   * Strikes a site that is gone for ever from this and all sites that can be reached: its nodes are
   * no members any more, nobody looks for it. Should it return, its nodes are to be restarted.
   *
   * @return fails with {@code NOT_FOUND} for a site that nobody knows, {@code INVALID} for the own
   *     one, {@code BUSY} for one that answers
   */
  CompletionStage<Void> forget(String site);

  /**
   * Completes, with the reason, when this site has to join the others anew: this node's actor
   * system is to be stopped and started again.
   */
  CompletionStage<String> rejoin();
}
