package io.tidemark.tls;

import java.time.Duration;
import java.time.Instant;

/** From when until when a process's own certificate is good. */
public record CertificateLife(String subject, Instant from, Instant until) {
  /** It is time to issue another when it ends so soon. */
  public static final Duration ENDING = Duration.ofDays(14);

  /** What it is at some moment. */
  public enum State {
    VALID,
    ENDING,
    EXPIRED,
    NOT_YET_VALID
  }

  public State at(Instant now) {
    if (now.isBefore(from)) {
      return State.NOT_YET_VALID;
    }
    if (now.isAfter(until)) {
      return State.EXPIRED;
    }
    return now.isAfter(until.minus(ENDING)) ? State.ENDING : State.VALID;
  }

  /** What it is and what to do, in a sentence. */
  public String sentence(Instant now) {
    String own = "this node's own certificate '" + subject + "' ";
    String again = "issue it another (tidemark certs issue) and restart it";
    return switch (at(now)) {
      case VALID -> own + "is valid until " + until;
      case ENDING -> own + "expires at " + until + ": " + again;
      case EXPIRED -> own + "expired at " + until + ", nobody lets it in any more: " + again;
      case NOT_YET_VALID ->
          own
              + "is valid from "
              + from
              + " on, nobody lets it in before: check this machine's"
              + " clock, which says "
              + now;
    };
  }
}
