package io.tidemark.bench.wan;

import io.tidemark.segment.SegmentMeta;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Writes a record of a volume's writes.
 *
 * <pre>
 *   u64 magic, u64 size of the volume in bytes
 *   u8 1, u32 length, metadata of a segment as {@link SegmentMeta#encode}, u32 length, its data
 *   u8 2, a mark: what follows is measured
 *   u8 0, the end
 * </pre>
 *
 * Not thread-safe.
 */
final class TraceWriter implements AutoCloseable {
  static final byte[] MAGIC = "TMTRACE1".getBytes(StandardCharsets.US_ASCII);
  static final int END = 0;
  static final int SEGMENT = 1;
  static final int MARK = 2;

  private static final int BUFFER_BYTES = 1 << 20;

  private final DataOutputStream out;

  TraceWriter(Path file, long sizeBytes) throws IOException {
    out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file), BUFFER_BYTES));
    out.write(MAGIC);
    out.writeLong(sizeBytes);
  }

  void segment(SegmentMeta meta, List<ByteBuffer> data) throws IOException {
    byte[] head = meta.encode();
    out.write(SEGMENT);
    out.writeInt(head.length);
    out.write(head);
    out.writeInt(Math.toIntExact(meta.dataBytes()));
    for (ByteBuffer piece : data) {
      byte[] bytes = new byte[piece.remaining()];
      piece.duplicate().get(bytes);
      out.write(bytes);
    }
  }

  void mark() throws IOException {
    out.write(MARK);
  }

  @Override
  public void close() throws IOException {
    out.write(END);
    out.close();
  }
}
