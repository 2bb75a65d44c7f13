package io.tidemark.verify;

import io.tidemark.image.VolumePoints.Located;
import io.tidemark.job.JobControl;
import io.tidemark.position.ByteRange;
import java.util.List;

/** Compares the newest journaled content with the live volume, through the attached tap. */
@FunctionalInterface
public interface BackingStoreCheck {
  /**
   * What came of it.
   *
   * @param compared whether the whole volume was compared
   * @param words how it went, or why it was not compared, or not to its end
   * @param different ranges whose content differs, in offset order; not all of very many
   */
  record Outcome(boolean compared, String words, List<ByteRange> different) {}

  /**
   * Blocks until there is an outcome, which there is in every case but a failure of the journal.
   *
   * @param head the volume's newest point, or a somewhat older one
   * @param control told of the progress, at most the volume's size; ends it when cancelled
   */
  Outcome compare(Located head, JobControl control);

  /** A check that never compares. */
  static BackingStoreCheck unavailable(String words) {
    return (head, control) -> new Outcome(false, words, List.of());
  }
}
