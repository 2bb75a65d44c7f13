package io.tidemark.verify;

import io.tidemark.image.VolumePoints.Located;
import io.tidemark.position.ByteRange;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Compares the newest journaled content with the live volume, through the attached tap. */
@FunctionalInterface
public interface BackingStoreCheck {
  /**
   * What came of it.
   *
   * @param compared whether the whole volume was compared
   * @param words how it went, or why it was not compared: no tap attached, or the volume not idle
   * @param different ranges whose content differs, in offset order; not all of very many
   */
  record Outcome(boolean compared, String words, List<ByteRange> different) {}

  /** Completes with an outcome in every case but a failure of the journal. */
  CompletionStage<Outcome> compare(Located head);

  /** A check that never compares. */
  static BackingStoreCheck unavailable(String words) {
    return head -> CompletableFuture.completedStage(new Outcome(false, words, List.of()));
  }
}
