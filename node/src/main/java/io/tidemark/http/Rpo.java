package io.tidemark.http;

import io.tidemark.journal.TapStatus;
import io.tidemark.point.DarkInterval;
import io.tidemark.site.VolumeSummary;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What would be lost if the protected server died now.
 *
 * @param seconds age of the oldest write that may be missing; empty when no tap was ever attached
 * @param bytes captured and not journaled; empty when the tap cannot be asked
 * @param writes captured and not journaled; empty when the tap cannot be asked
 */
record Rpo(OptionalDouble seconds, OptionalLong bytes, OptionalLong writes) {
  /**
   * @param nowMicros the node's clock, microseconds since 1970
   */
  static Rpo of(VolumeSummary volume, long nowMicros) {
    long since = Long.MAX_VALUE;
    for (DarkInterval interval : volume.dark()) {
      // Until the resynchronisation completes, the newest point is the one before the interval.
      if (interval.open()) {
        since = Math.min(since, interval.fromTimeMicros());
      }
    }
    if (volume.tapConnected() && volume.tapStatus().isPresent()) {
      TapStatus status = volume.tapStatus().get();
      if (status.oldestPendingMicros() > 0) {
        since = Math.min(since, status.oldestPendingMicros());
      }
      return new Rpo(
          OptionalDouble.of(age(since, nowMicros)),
          OptionalLong.of(status.pendingBytes()),
          OptionalLong.of(status.pendingWrites()));
    }
    // A tap that cannot be asked may have been written to ever since it was last heard of.
    if (volume.tapStatusMicros() > 0) {
      since = Math.min(since, volume.tapStatusMicros());
    }
    return new Rpo(
        since == Long.MAX_VALUE ? OptionalDouble.empty() : OptionalDouble.of(age(since, nowMicros)),
        OptionalLong.empty(),
        OptionalLong.empty());
  }

  private static double age(long since, long nowMicros) {
    return since == Long.MAX_VALUE ? 0 : Views.seconds(Math.max(0, nowMicros - since));
  }
}
