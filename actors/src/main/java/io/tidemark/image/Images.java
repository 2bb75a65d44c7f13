package io.tidemark.image;

import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * The site's open images, the same from every node. Stages fail with {@code Refusal}; one that had
 * no answer in time fails with {@code NOT_ACKNOWLEDGED}.
 */
public interface Images {
  /**
   * Opens a recovery point as a disk, served by the node that was asked.
   *
   * @return the image, ready to be read; fails with {@code NOT_FOUND} for the volume, {@code
   *     BEYOND_HEAD}, {@code BEYOND_HORIZON} or {@code DARK_INTERVAL} for the point, {@code
   *     INVALID} or {@code ALREADY_EXISTS} for the name, {@code LIMIT} when too many are open
   */
  CompletionStage<ImageSummary> open(OpenImage request);

  /** In name order. */
  CompletionStage<List<ImageSummary>> list();

  /** Fails with {@code NOT_FOUND}. */
  CompletionStage<ImageSummary> get(String name);

  /**
   * Stops serving the image and drops its overlay; repeating is safe.
   *
   * @param force close although clients are connected; their requests fail with ESHUTDOWN
   * @return fails with {@code NOT_FOUND}; with {@code BUSY} when clients are connected and {@code
   *     force} is not given
   */
  CompletionStage<Void> close(String name, boolean force);
}
