package io.tidemark.witness;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import java.util.UUID;

/** What a plan's sites ask of an arbiter; everything may be repeated. Refusals as its commands. */
public sealed interface WitnessCommand extends SiteCommand<WitnessCommand.Answer> {
  String plan();

  /** The answer to any of them. */
  @JsonTypeName("witness-answer")
  record Answer(ArbiterWord word) implements SiteAnswer {}

  /**
   * The source asks for the vote for another lease.
   *
   * @param armed whether all its taps obey the lease
   * @param behindSeconds how far the target is behind
   */
  @JsonTypeName("witness-ask-vote")
  record AskVote(
      String plan, UUID config, boolean armed, String source, String target, double behindSeconds)
      implements WitnessCommand {}

  /**
   * The target asks for the vote for good.
   *
   * @param afterMillis how long the source has to have been silent
   */
  @JsonTypeName("witness-claim")
  record Claim(String plan, UUID config, UUID claim, long afterMillis) implements WitnessCommand {}

  /** The target gives that claim back. */
  @JsonTypeName("witness-yield")
  record Yield(String plan, UUID claim) implements WitnessCommand {}

  /** Automatic failover of that configuration is over for ever. */
  @JsonTypeName("witness-retire")
  record Retire(String plan, UUID config) implements WitnessCommand {}

  /** How it is. */
  @JsonTypeName("witness-show")
  record Show(String plan) implements WitnessCommand {}
}
