package io.tidemark.cassandra;

import java.util.Locale;

/** When the embedded Cassandra acknowledges a write. */
public enum CommitLogSync {
  /** After the commit log is synced; survives a power cut. Each write asks for a sync at once. */
  BATCH,
  /** After the commit log is synced; survives a power cut. Syncs wait for company. */
  GROUP,
  /**
   * Before the commit log is synced, which happens every second. A power cut may lose what was
   * acknowledged in that second; the crash of a process loses nothing.
   */
  PERIODIC;

  String yaml() {
    return name().toLowerCase(Locale.ROOT);
  }
}
