package io.tidemark.journal;

/**
 * What a tap tells of itself every second.
 *
 * @param mode how it captures now
 * @param pendingBytes captured and not yet journaled
 * @param pendingWrites captured and not yet journaled
 * @param oldestPendingMicros timestamp of the oldest of them, 0 when there is none
 * @param syncDoneBytes compared or copied by the running synchronisation, or filled
 * @param syncTotalBytes what it has to compare or to fill in all, 0 when none runs
 */
public record TapStatus(
    Mode mode,
    long pendingBytes,
    long pendingWrites,
    long oldestPendingMicros,
    long syncDoneBytes,
    long syncTotalBytes) {

  /** How a tap captures. */
  public enum Mode {
    CONTINUOUS,
    SPILLING,
    COLLAPSED,
    RESYNCING,
    /** As CONTINUOUS; the backing store is being filled with what the journal holds. */
    FILLING
  }
}
