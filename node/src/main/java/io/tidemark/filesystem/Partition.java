package io.tidemark.filesystem;

/**
 * A part of a disk that may hold a file system.
 *
 * @param number as the partition table counts, from 1; 0 for a disk without a table
 * @param offset first byte on the disk
 * @param length bytes
 * @param type what is on it as blkid names it, such as {@code ext4}; empty for nothing known
 * @param label the file system's name; empty for none
 * @param uuid the file system's; empty for none
 */
public record Partition(
    int number, long offset, long length, String type, String label, String uuid) {
  /** Whether the files on it can be read here. */
  public boolean readable() {
    return FileSystem.reads(type);
  }
}
