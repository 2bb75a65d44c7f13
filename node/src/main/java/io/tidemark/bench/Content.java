package io.tidemark.bench;

import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32C;

/**
 * Segments of writes of equal length. The data is taken in turn from a few blocks that are made
 * once with their checksums, so that making a segment costs its metadata only. Not thread-safe.
 */
final class Content {
  /** What the bytes are like. */
  enum Kind {
    /** Does not compress. */
    RANDOM,
    /** Every other 2 KiB are zeroes. */
    HALF,
    /** One byte value a write. */
    PLAIN
  }

  /** A segment and its data, which is never changed. */
  record Segment(SegmentMeta meta, ByteBuffer data) {}

  private static final int BLOCKS = 4;
  private static final int HALF_BYTES = 2048;

  private final int writeBytes;
  private final int segmentBytes;
  private final int chunkBytes;
  private final ByteBuffer[] blocks = new ByteBuffer[BLOCKS];
  private final int[][] crcs = new int[BLOCKS][];
  private long made;

  /**
   * @param segmentBytes a multiple of {@code writeBytes}
   */
  Content(Kind kind, int writeBytes, int segmentBytes, int chunkBytes, long seed) {
    if (writeBytes < 1 || segmentBytes < writeBytes || segmentBytes % writeBytes != 0) {
      throw new IllegalArgumentException(
          segmentBytes + " bytes are not a whole number of writes of " + writeBytes);
    }
    this.writeBytes = writeBytes;
    this.segmentBytes = segmentBytes;
    this.chunkBytes = chunkBytes;
    Random random = new Random(seed);
    for (int i = 0; i < BLOCKS; i++) {
      byte[] bytes = bytes(kind, random);
      blocks[i] = ByteBuffer.wrap(bytes).asReadOnlyBuffer();
      crcs[i] = crcs(bytes);
    }
  }

  private byte[] bytes(Kind kind, Random random) {
    byte[] bytes = new byte[segmentBytes];
    if (kind != Kind.PLAIN) {
      random.nextBytes(bytes);
    }
    for (int at = 0; kind == Kind.HALF && at < segmentBytes; at += 2 * HALF_BYTES) {
      Arrays.fill(bytes, at, Math.min(at + HALF_BYTES, segmentBytes), (byte) 0);
    }
    for (int at = 0; kind == Kind.PLAIN && at < segmentBytes; at += writeBytes) {
      Arrays.fill(bytes, at, at + writeBytes, (byte) (1 + random.nextInt(255)));
    }
    return bytes;
  }

  private int[] crcs(byte[] bytes) {
    int[] result = new int[(bytes.length + chunkBytes - 1) / chunkBytes];
    CRC32C crc = new CRC32C();
    for (int i = 0; i < result.length; i++) {
      int from = i * chunkBytes;
      crc.reset();
      crc.update(bytes, from, Math.min(chunkBytes, bytes.length - from));
      result[i] = (int) crc.getValue();
    }
    return result;
  }

  /** Where the next write goes. */
  interface Offsets {
    long next();
  }

  /** The next segment; all its writes have the one timestamp. */
  Segment next(long firstSeq, long timeMicros, Offsets offsets) {
    int block = (int) (made++ % BLOCKS);
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(firstSeq), chunkBytes);
    for (int at = 0; at < segmentBytes; at += writeBytes) {
      builder.add(timeMicros, offsets.next(), writeBytes, false);
    }
    return new Segment(builder.build(crcs[block]), blocks[block].duplicate());
  }

  /** A chunk of the data by itself. */
  ByteBuffer chunk(long number) {
    int from = (int) (number % (segmentBytes / chunkBytes)) * chunkBytes;
    return blocks[(int) (number % BLOCKS)].slice(from, chunkBytes);
  }

  int writesPerSegment() {
    return segmentBytes / writeBytes;
  }

  int segmentBytes() {
    return segmentBytes;
  }
}
