package io.tidemark.files;

import io.tidemark.filesystem.FileEntry;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.refusal.ErrorCode;
import java.util.List;
import java.util.Optional;

/**
 * The versions of one path, oldest first.
 *
 * @param points how many different recovery points were looked at
 * @param skipped what could not be looked at
 */
public record FileHistory(List<Version> versions, int points, List<Skipped> skipped) {
  /**
   * A span of points that show the same file.
   *
   * @param first oldest point looked at that shows it
   * @param last newest one in a row
   * @param points how many in this row
   * @param entry empty where there is no such path
   * @param sha256 of the content, in hexadecimal, where it was asked for
   */
  public record Version(
      RecoveryPoint first,
      RecoveryPoint last,
      int points,
      Optional<FileEntry> entry,
      Optional<String> sha256) {
    Version until(RecoveryPoint point) {
      return new Version(first, point, points + 1, entry, sha256);
    }
  }

  /**
   * A point that could not be looked at.
   *
   * @param at as it was asked for
   */
  public record Skipped(String at, ErrorCode code, String message) {}
}
