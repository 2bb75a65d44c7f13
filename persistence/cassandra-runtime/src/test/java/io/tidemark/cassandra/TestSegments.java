package io.tidemark.cassandra;

import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;

/**
 * Segments whose content follows from their seed alone, so that they can be checked at any time.
 */
final class TestSegments {
  static final int CHUNK_BYTES = 64 << 10;

  /** One segment with its data. */
  record Segment(SegmentRef ref, SegmentMeta meta, byte[] bytes) {
    List<ByteBuffer> data() {
      return List.of(ByteBuffer.wrap(bytes));
    }

    ByteBuffer chunk(int i) {
      return ByteBuffer.wrap(bytes, i * meta.chunkBytes(), meta.chunkLength(i)).slice();
    }

    /** The data in pieces of random sizes, heap and direct. */
    List<ByteBuffer> pieces(Random random) {
      List<ByteBuffer> pieces = new ArrayList<>();
      int position = 0;
      while (position < bytes.length) {
        int size = Math.min(bytes.length - position, random.nextInt(100_000));
        ByteBuffer piece =
            random.nextBoolean() ? ByteBuffer.allocateDirect(size) : ByteBuffer.allocate(size);
        pieces.add(piece.put(bytes, position, size).flip());
        position += size;
      }
      return pieces;
    }
  }

  private TestSegments() {}

  static Segment segment(VolumeId volume, int session, int ordinal, int length, long seed) {
    byte[] bytes = new byte[length];
    Random random = new Random(seed * 31 + ordinal);
    random.nextBytes(bytes);
    // Every other 4 KiB block is compressible, as on a volume.
    for (int i = 0; i < length; i += 8192) {
      java.util.Arrays.fill(bytes, i, Math.min(length, i + 4096), (byte) ordinal);
    }
    return new Segment(
        new SegmentRef(volume, SegmentRef.number(session, ordinal)), meta(bytes, ordinal), bytes);
  }

  private static SegmentMeta meta(byte[] bytes, int ordinal) {
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(1 + ordinal), CHUNK_BYTES);
    builder.add(1_000_000L + ordinal, 4096L * ordinal, bytes.length, false);
    int[] crcs = new int[(bytes.length + CHUNK_BYTES - 1) / CHUNK_BYTES];
    for (int i = 0; i < crcs.length; i++) {
      CRC32C crc = new CRC32C();
      crc.update(bytes, i * CHUNK_BYTES, Math.min(CHUNK_BYTES, bytes.length - i * CHUNK_BYTES));
      crcs[i] = (int) crc.getValue();
    }
    return builder.build(crcs);
  }
}
