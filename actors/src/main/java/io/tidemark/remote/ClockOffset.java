package io.tidemark.remote;

/**
 * How far another node's clock is ahead of this one's.
 *
 * @param micros positive when the other is ahead
 * @param uncertaintyMicros the true offset is within so much of it: half the round trip
 */
public record ClockOffset(long micros, long uncertaintyMicros) {

  /**
   * From one question and its answer.
   *
   * @param sentMicros this clock when the question was sent
   * @param remoteMicros the other clock when it was answered
   * @param receivedMicros this clock when the answer came
   */
  static ClockOffset of(long sentMicros, long remoteMicros, long receivedMicros) {
    long roundTrip = Math.max(0, receivedMicros - sentMicros);
    return new ClockOffset(remoteMicros - sentMicros - roundTrip / 2, (roundTrip + 1) / 2);
  }

  /** Whether the clocks are certainly further apart than that. */
  public boolean exceeds(long limitMicros) {
    return Math.abs(micros) - uncertaintyMicros > limitMicros;
  }

  /** Such as {@code 300.0 s ahead of}. */
  String text() {
    return "%.1f s %s".formatted(Math.abs(micros) / 1e6, micros >= 0 ? "ahead of" : "behind");
  }
}
