package io.tidemark.filesystem;

/**
 * A run of a file's bytes and where they are on the disk; what no extent covers reads as zeroes.
 *
 * @param fileOffset first byte in the file
 * @param diskOffset the same byte on the file system's disk
 * @param length bytes; may pass the file's end
 */
public record FileExtent(long fileOffset, long diskOffset, long length) {
  public long fileEnd() {
    return fileOffset + length;
  }
}
