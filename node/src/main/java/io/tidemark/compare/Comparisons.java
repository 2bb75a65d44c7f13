package io.tidemark.compare;

import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletionStage;

/** Tells what changed between two points of a volume, page by page. */
public interface Comparisons {
  int RANGES_DEFAULT = 1_000;

  /** Ranges of a page, at most. */
  int RANGES_MAX = 10_000;

  /** What differs is told in whole sectors of this many bytes when content is compared. */
  int SECTOR_BYTES = 512;

  /**
   * What to compare; the points may be given in either order.
   *
   * @param content whether to compare bytes, so that what was rewritten with the same content is no
   *     difference
   * @param offset where in the volume the page begins, in bytes
   * @param rangesMax 1 to {@link #RANGES_MAX}
   */
  record Request(VolumeName volume, At from, At to, boolean content, long offset, int rangesMax) {}

  /**
   * What differs in a part of the volume.
   *
   * @param ranges disjoint and in offset order (C1)
   * @param bytes their sum
   * @param next the offset of the next page; empty when this is the last one
   */
  record Page(
      VolumeName volume,
      RecoveryPoint from,
      RecoveryPoint to,
      long sizeBytes,
      boolean content,
      List<ByteRange> ranges,
      long bytes,
      OptionalLong next) {}

  /**
   * Compares.
   *
   * @return fails with {@code INVALID} for an offset outside the volume or too many ranges, {@code
   *     BUSY} when too many comparisons of content run, and as {@code VolumePoints.locate} does
   */
  CompletionStage<Page> compare(Request request);
}
