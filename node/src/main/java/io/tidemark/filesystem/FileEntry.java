package io.tidemark.filesystem;

import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A name in a directory and what it stands for.
 *
 * @param name raw bytes, one character each; empty for the root directory
 * @param id how the file system's reader finds it
 * @param inode the number that people know
 * @param size bytes
 * @param modified to the precision that the file system keeps; FAT's local time is taken as UTC
 * @param mode permission bits; empty where the file system has none
 * @param uid owner; empty where the file system has none
 * @param gid group; empty where the file system has none
 * @param target where a symbolic link points, raw bytes
 */
public record FileEntry(
    String name,
    String id,
    long inode,
    FileType type,
    long size,
    Instant modified,
    OptionalInt mode,
    Optional<Long> uid,
    Optional<Long> gid,
    Optional<String> target) {

  FileEntry named(String newName) {
    return new FileEntry(newName, id, inode, type, size, modified, mode, uid, gid, target);
  }
}
