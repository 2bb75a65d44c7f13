package io.tidemark.journal;

import java.util.concurrent.CompletionStage;

/** Where a tap link asks for a session. */
public interface Journal {
  /**
   * Attaches a tap to its volume.
   *
   * @return fails with {@code NOT_FOUND} for an unknown volume, {@code BUSY} while another tap
   *     holds a living session, {@code INVALID} when the backing store is smaller than the volume
   */
  CompletionStage<JournalSession> attach(TapIdentity tap);
}
