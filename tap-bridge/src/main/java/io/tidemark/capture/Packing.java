package io.tidemark.capture;

import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/** Makes a segment of captured writes, without copying their data. */
final class Packing {
  /** Data bytes that one checksum of a segment covers, and that the journal stores as one piece. */
  static final int CHUNK_BYTES = CaptureLimits.CHUNK_BYTES;

  private Packing() {}

  /**
   * @param base seq of the write with ordinal 0
   * @param times timestamp of each write, not going back
   */
  static Outgoing.Segment segment(List<Captured> writes, long base, long[] times) {
    Captured first = writes.get(0);
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(first.kind, new WriteSeq(base + first.ordinal), CHUNK_BYTES);
    for (int i = 0; i < times.length; i++) {
      Captured write = writes.get(i);
      builder.add(times[i], write.range.offset(), write.range.length(), write.zero());
    }
    List<ByteBuffer> data = data(writes);
    SegmentMeta meta = builder.build(chunkCrcs(data, builder.dataBytes()));
    return new Outgoing.Segment(meta, meta.encode(), data);
  }

  static List<ByteBuffer> data(List<Captured> writes) {
    List<ByteBuffer> data = new ArrayList<>(writes.size());
    for (Captured write : writes) {
      if (!write.zero()) {
        data.addAll(write.payload().pieces());
      }
    }
    return data;
  }

  private static int[] chunkCrcs(List<ByteBuffer> data, long dataBytes) {
    int[] crcs = new int[(int) ((dataBytes + CHUNK_BYTES - 1) / CHUNK_BYTES)];
    CRC32C crc = new CRC32C();
    int chunk = 0;
    int room = CHUNK_BYTES;
    for (ByteBuffer piece : data) {
      ByteBuffer rest = piece.duplicate();
      int end = rest.limit();
      while (rest.position() < end) {
        int take = Math.min(room, end - rest.position());
        rest.limit(rest.position() + take);
        crc.update(rest);
        room -= take;
        if (room == 0) {
          crcs[chunk++] = (int) crc.getValue();
          crc.reset();
          room = CHUNK_BYTES;
        }
        rest.limit(end);
      }
    }
    if (room < CHUNK_BYTES) {
      crcs[chunk] = (int) crc.getValue();
    }
    return crcs;
  }
}
