package io.tidemark.export;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Writes a disk's content into a file of some format; closing it releases the file only. */
interface DiskFileWriter extends AutoCloseable {
  /** Writes are aligned to this many bytes and a multiple of it long, but at the disk's end. */
  int GRAIN_BYTES = 64 * 1024;

  /**
   * Puts content at an offset of the disk, each grain at most once; what is never put reads back as
   * zeroes. Calls may overlap; they block.
   *
   * @param data its content from position to limit, not kept
   */
  void put(long offset, ByteBuffer data) throws IOException;

  /** No put below the offset comes any more. */
  void passed(long offset) throws IOException;

  /** Completes the file and makes its content durable; after the last put. */
  void finish() throws IOException;

  @Override
  void close() throws IOException;

  /** Whether all bytes from the position on, that many, are zero. */
  static boolean allZero(ByteBuffer data, int position, int length) {
    int at = position;
    int end = position + length;
    for (; at + Long.BYTES <= end; at += Long.BYTES) {
      if (data.getLong(at) != 0) {
        return false;
      }
    }
    for (; at < end; at++) {
      if (data.get(at) != 0) {
        return false;
      }
    }
    return true;
  }
}
