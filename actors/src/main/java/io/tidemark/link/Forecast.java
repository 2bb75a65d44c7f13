package io.tidemark.link;

import java.util.Optional;

/** How fast a lane gets nearer to its source, from its figures over the last ten seconds or so. */
final class Forecast {
  private static final double SMOOTHING = 0.2;

  /** A rate that is less is nothing: bytes a second. */
  private static final double RATE_MIN = 1;

  private long lastMicros;
  private long lastLag;
  private double closing;

  /** Takes the figure of a moment. */
  void tick(long nowMicros, long lagBytes) {
    if (lastMicros > 0 && nowMicros > lastMicros) {
      double rate = (lastLag - lagBytes) * 1e6 / (nowMicros - lastMicros);
      closing += SMOOTHING * (rate - closing);
    }
    lastMicros = nowMicros;
    lastLag = lagBytes;
  }

  /** 0 when there is nothing to catch up, empty when it gets no nearer. */
  Optional<Double> catchUpSeconds(long lagBytes) {
    if (lagBytes == 0) {
      return Optional.of(0.0);
    }
    return closing < RATE_MIN ? Optional.empty() : Optional.of(lagBytes / closing);
  }
}
