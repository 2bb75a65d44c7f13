package io.tidemark.bench.wan;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** A record that {@link TraceWriter} made; read again for each way that is measured. */
record Trace(Path file, long sizeBytes, int marks) {
  /** Volumes are kept in memory, several times. */
  static final long SIZE_BYTES_MAX = 1L << 30;

  private static final int META_BYTES_MAX = 4 << 20;

  /** What to do with what was written. */
  interface Visitor {
    /**
     * @param measured whether it came after the last mark
     */
    void segment(SegmentMeta meta, byte[] data, boolean measured) throws IOException;
  }

  /**
   * Opens a record.
   *
   * @throws Refusal {@code CORRUPT} when it is none or was not finished
   */
  static Trace open(Path file) throws IOException {
    int marks = 0;
    try (DataInputStream in = in(file)) {
      long size = head(in, file);
      for (int kind = in.read(); kind != TraceWriter.END; kind = in.read()) {
        if (kind == TraceWriter.MARK) {
          marks++;
        } else if (kind == TraceWriter.SEGMENT) {
          in.skipNBytes(in.readInt());
          in.skipNBytes(in.readInt());
        } else {
          throw corrupt(file);
        }
      }
      return new Trace(file, size, marks);
    } catch (EOFException e) {
      throw corrupt(file);
    }
  }

  private static Refusal corrupt(Path file) {
    return new Refusal(
        ErrorCode.CORRUPT,
        file + " is no finished record of writes: delete it and record it again");
  }

  private static DataInputStream in(Path file) throws IOException {
    return new DataInputStream(new BufferedInputStream(Files.newInputStream(file), 1 << 20));
  }

  private static long head(DataInputStream in, Path file) throws IOException {
    byte[] magic = in.readNBytes(TraceWriter.MAGIC.length);
    long size = in.readLong();
    if (!Arrays.equals(magic, TraceWriter.MAGIC) || size < 1 || size > SIZE_BYTES_MAX) {
      throw corrupt(file);
    }
    return size;
  }

  /** Visits every segment in order. */
  void forEach(Visitor visitor) throws IOException {
    try (DataInputStream in = in(file)) {
      head(in, file);
      int left = marks;
      for (int kind = in.read(); kind != TraceWriter.END; kind = in.read()) {
        if (kind == TraceWriter.MARK) {
          left--;
          continue;
        }
        byte[] head = in.readNBytes(bounded(in.readInt(), META_BYTES_MAX));
        byte[] data = in.readNBytes(bounded(in.readInt(), SegmentMeta.DATA_BYTES_MAX));
        SegmentMeta meta = SegmentMeta.decode(ByteBuffer.wrap(head));
        if (data.length != meta.dataBytes()) {
          throw corrupt(file);
        }
        visitor.segment(meta, data, left == 0);
      }
    }
  }

  private int bounded(int length, int max) {
    if (length < 0 || length > max) {
      throw corrupt(file);
    }
    return length;
  }

  /** Applies a segment to the volume's content. */
  static void apply(SegmentMeta meta, byte[] data, byte[] disk) {
    for (int i = 0; i < meta.count(); i++) {
      int at = Math.toIntExact(meta.offset(i));
      int length = Math.toIntExact(meta.length(i));
      if (meta.zero(i)) {
        Arrays.fill(disk, at, at + length, (byte) 0);
      } else {
        System.arraycopy(data, (int) meta.dataPosition(i), disk, at, length);
      }
    }
  }
}
