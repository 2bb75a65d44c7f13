package io.tidemark.http;

import io.tidemark.journal.TapStatus;
import io.tidemark.point.DarkInterval;
import io.tidemark.site.VolumeSummary;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What would be lost if the protected server died now, at most.
 *
 * @param seconds age of the oldest write that may be missing: of the oldest that the tap waits to
 *     have journaled, or else of its last word, after which it may have taken others; empty when no
 *     tap was ever attached
 * @param bytes captured and not journaled when the tap last told; empty when it cannot be asked
 * @param writes captured and not journaled when the tap last told; empty when it cannot be asked
 * @param asOfMicros when the tap last told; empty when it never did
 */
record Rpo(
    OptionalDouble seconds, OptionalLong bytes, OptionalLong writes, OptionalLong asOfMicros) {
  /**
   * @param nowMicros the node's clock, microseconds since 1970
   */
  static Rpo of(VolumeSummary volume, long nowMicros) {
    OptionalLong asOf =
        volume.tapStatusMicros() > 0
            ? OptionalLong.of(volume.tapStatusMicros())
            : OptionalLong.empty();
    Optional<TapStatus> live = volume.tapStatus().filter(status -> volume.tapConnected());
    long since = Long.MAX_VALUE;
    for (DarkInterval interval : volume.dark()) {
      // Until the resynchronisation completes, the newest point is the one before the interval.
      if (interval.open()) {
        since = Math.min(since, interval.fromTimeMicros());
      }
    }
    if (asOf.isPresent()) {
      // Whatever is journaled now is not missing, and what came before it is journaled, too.
      long head = volume.head().time().micros();
      long oldest = live.map(TapStatus::oldestPendingMicros).orElse(0L);
      since = Math.min(since, oldest > head ? oldest : Math.max(asOf.getAsLong(), head));
    }
    return new Rpo(
        since == Long.MAX_VALUE
            ? OptionalDouble.empty()
            : OptionalDouble.of(Views.seconds(Math.max(0, nowMicros - since))),
        live.map(status -> OptionalLong.of(status.pendingBytes())).orElse(OptionalLong.empty()),
        live.map(status -> OptionalLong.of(status.pendingWrites())).orElse(OptionalLong.empty()),
        asOf);
  }
}
