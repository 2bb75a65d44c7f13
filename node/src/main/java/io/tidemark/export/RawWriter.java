package io.tidemark.export;

import io.tidemark.localfile.LocalFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** The disk as it is, byte for byte; zeroes become holes of the file. */
final class RawWriter implements DiskFileWriter {
  private static final int HOLE_BYTES = 4096;
  private final FileChannel file;
  private final long sizeBytes;
  private boolean lastByteWritten;

  /**
   * @param file empty
   */
  RawWriter(FileChannel file, long sizeBytes) {
    this.file = file;
    this.sizeBytes = sizeBytes;
  }

  @Override
  public void put(long offset, ByteBuffer data) throws IOException {
    int end = data.limit();
    int at = data.position();
    int from = at;
    while (at < end) {
      int length = Math.min(HOLE_BYTES, end - at);
      if (DiskFileWriter.allZero(data, at, length)) {
        write(offset, data, from, at);
        from = at + length;
      }
      at += length;
    }
    write(offset, data, from, end);
  }

  private void write(long offset, ByteBuffer data, int from, int to) throws IOException {
    if (from < to) {
      long position = offset + from - data.position();
      LocalFiles.writeFully(file, data.slice(from, to - from), position);
      if (position + to - from == sizeBytes) {
        markLastByteWritten();
      }
    }
  }

  private synchronized void markLastByteWritten() {
    lastByteWritten = true;
  }

  @Override
  public void passed(long offset) {
    // A raw file has nothing that follows the data.
  }

  @Override
  public synchronized void finish() throws IOException {
    if (!lastByteWritten) {
      // Gives the file its length; all of it that was not put is a hole but this byte.
      LocalFiles.writeFully(file, ByteBuffer.allocate(1), sizeBytes - 1);
    }
    file.force(true);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
