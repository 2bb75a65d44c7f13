package io.tidemark.position;

import java.time.Instant;

/** The wall clock behind a port, so that a test can own time. */
@FunctionalInterface
public interface MicroClock {
  /** Microseconds since 1970-01-01T00:00:00Z; may repeat or step back. */
  long micros();

  /** The machine's clock. */
  static MicroClock system() {
    return () -> {
      Instant now = Instant.now();
      return now.getEpochSecond() * 1_000_000L + now.getNano() / 1_000;
    };
  }
}
