package io.tidemark.files;

import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.JournalState;
import io.tidemark.filesystem.Partition;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.Optional;

/**
 * What is at a path.
 *
 * @param partitions all parts of the disk; one of number 0 when it has no partition table
 * @param found empty when the disk has several file systems and none was chosen
 */
public record FileListing(
    VolumeName volume, RecoveryPoint at, List<Partition> partitions, Optional<Found> found) {
  /**
   * The thing at the path.
   *
   * @param partition the file system's place
   * @param entries for a directory, names in the order of their bytes; empty otherwise
   * @param more whether there are names after the last
   */
  public record Found(
      Partition partition,
      JournalState journal,
      FileEntry entry,
      List<FileEntry> entries,
      boolean more) {}
}
