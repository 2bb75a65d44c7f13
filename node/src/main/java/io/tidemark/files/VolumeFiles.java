package io.tidemark.files;

import io.tidemark.filesystem.FilePath;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletionStage;

/**
 * Files of the site's volumes at any point. Stages fail with {@code Refusal}: as opening an image
 * does; {@code NOT_FOUND} for a path or partition; {@code UNREADABLE} when nothing reads the file
 * system; {@code INVALID} when the disk has several file systems and none was chosen; {@code BUSY}
 * for a writable image with clients; {@code LIMIT} when too much is asked at once.
 */
public interface VolumeFiles {
  /** The most entries of one answer. */
  int PAGE_MAX = 10_000;

  /** The most recovery points of one history. */
  int HISTORY_POINTS_MAX = 200;

  /**
   * Tells what is at a path and, of a directory, what is in it.
   *
   * @param after of a directory, the last name of the page before, raw
   * @param limit the most entries, 1 to {@link #PAGE_MAX}
   */
  CompletionStage<FileListing> list(FileQuestion question, Optional<String> after, int limit);

  /** Opens a file; symbolic links are followed. {@code INVALID} for what has no content. */
  CompletionStage<FileContent> content(FileQuestion question);

  /**
   * Finds the versions of a path at the given points, each looked at once.
   *
   * @param ats at most {@link #HISTORY_POINTS_MAX}
   * @param hash whether versions are told apart by their content, which reads every version whole
   */
  CompletionStage<FileHistory> history(
      VolumeName volume, OptionalInt partition, FilePath path, List<At> ats, boolean hash);
}
