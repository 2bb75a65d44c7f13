package io.tidemark.export;

import io.tidemark.job.JobSummary;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import java.util.concurrent.CompletionStage;

/** Writes recovery points to disk image files on the machine of this node. */
public interface Exports {
  /**
   * What to write.
   *
   * @param format {@code raw}, {@code qcow2}, {@code vmdk} (monolithicSparse) or {@code vhdx}
   *     (dynamic)
   * @param path an absolute path on the node's machine, in a directory that exists
   */
  record ExportRequest(VolumeName volume, At at, String format, String path) {}

  /**
   * Starts an export; the file appears under its name once it is complete and synced.
   *
   * @return the running job; fails with {@code INVALID} for the path or a format that is not
   *     supported, {@code ALREADY_EXISTS} for a file that exists, {@code BUSY} when too many
   *     exports run, and as {@code Images.open} does for volume and point
   */
  CompletionStage<JobSummary> export(ExportRequest request);
}
