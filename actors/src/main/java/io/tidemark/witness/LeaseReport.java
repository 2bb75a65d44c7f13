package io.tidemark.witness;

/**
 * How a plan's lease is, as one of its sites sees it.
 *
 * @param site whose view it is
 * @param holder the site that may write; empty when nobody may or it is not known
 * @param untilMicros until when, unless it is renewed; 0 for good or not known
 * @param armed whether a takeover is possible: all taps of the source obey the lease
 * @param witness the witness' last word, or why there is none
 * @param target the same of the target
 */
public record LeaseReport(
    String site, String holder, long untilMicros, boolean armed, String witness, String target) {

  /** Nothing is known yet. */
  public static LeaseReport none(String site) {
    return new LeaseReport(site, "", 0, false, "not asked yet", "not asked yet");
  }

  static String text(ArbiterWord word) {
    return word.claim().isPresent()
        ? "gave its vote to the target"
        : "%s the source %.1f s ago%s"
            .formatted(
                word.heard() ? "heard" : "started, without having heard",
                word.silentMillis() / 1e3,
                word.promisedMillis() > 0
                    ? ", which has the lease for another %.1f s"
                        .formatted(word.promisedMillis() / 1e3)
                    : "; the lease is over");
  }
}
