package io.tidemark.extent;

import java.util.Arrays;

/**
 * A run of at most {@link #EXTENTS_MAX} extents in its encoded form, about 12 bytes an extent;
 * looked up in place, never unpacked as a whole. Immutable.
 *
 * <pre>
 *   varint number of extents, 1..4096
 *   varint lowest seq of the block
 *   varint number of chunk sizes, then each as a varint, ascending
 *   u32    position of each 32nd extent after the first, counted from the first extent
 *   per extent (the "previous" values are 0, for the seq the lowest seq, at each 32nd extent):
 *     varint offset - end of the previous extent
 *     varint length &lt;&lt; 1 | (1 when the range reads back as zeroes)
 *     zigzag seq - seq of the previous extent
 *     unless it reads back as zeroes:
 *       zigzag segment number - the previous one
 *       zigzag data position - (in the same segment as the previous: where its data ends; else 0)
 *       varint index of the chunk size, only when there is more than one
 * </pre>
 */
public final class MapBlock {
  public static final int EXTENTS_MAX = 4096;

  /** Extents from one restart to the next: the most that a lookup steps over. */
  static final int RESTART_EXTENTS = 32;

  /** Encoded size of a block, at most: 51 bytes an extent and its tables. */
  public static final int BYTES_MAX = 256 << 10;

  private final byte[] bytes;
  private final int count;
  private final long lowestSeq;
  private final int[] chunkSizes;
  private final int entries;
  private final long[] restartOffsets;
  private final int[] restarts;

  /**
   * @param bytes the encoded block, not to be changed afterwards
   * @throws IllegalArgumentException when the bytes are no block
   * @throws IndexOutOfBoundsException when they are cut short
   */
  public MapBlock(byte[] bytes) {
    this.bytes = bytes;
    Varints.In in = new Varints.In(bytes, 0);
    count = in.bounded(EXTENTS_MAX, "extents");
    if (count == 0) {
      throw new IllegalArgumentException("a map block without extents");
    }
    lowestSeq = in.varint();
    chunkSizes = new int[in.bounded(EXTENTS_MAX, "chunk sizes")];
    for (int i = 0; i < chunkSizes.length; i++) {
      chunkSizes[i] = in.bounded(Integer.MAX_VALUE, "chunk bytes");
    }
    restarts = new int[(count + RESTART_EXTENTS - 1) / RESTART_EXTENTS];
    for (int i = 1; i < restarts.length; i++) {
      restarts[i] = in.u32();
    }
    entries = in.at();
    restartOffsets = new long[restarts.length];
    for (int i = 0; i < restarts.length; i++) {
      in.seek(entries + restarts[i]);
      restartOffsets[i] = in.varint();
    }
  }

  /** Encodes a map of 1 to {@link #EXTENTS_MAX} extents; the same map gives the same bytes. */
  public static byte[] encode(ExtentMap map) {
    int count = map.size();
    long lowestSeq = Long.MAX_VALUE;
    for (int i = 0; i < count; i++) {
      lowestSeq = Math.min(lowestSeq, map.seq(i));
    }
    int[] chunkSizes = chunkSizes(map);
    int[] restarts = new int[(count + RESTART_EXTENTS - 1) / RESTART_EXTENTS];
    Varints.Out body = new Varints.Out(count * 14);
    encodeExtents(map, lowestSeq, chunkSizes, restarts, body);
    Varints.Out out = new Varints.Out(body.length() + 64 + 4 * restarts.length);
    out.varint(count).varint(lowestSeq).varint(chunkSizes.length);
    for (int size : chunkSizes) {
      out.varint(size);
    }
    for (int i = 1; i < restarts.length; i++) {
      out.u32(restarts[i]);
    }
    byte[] extents = body.toBytes();
    return out.bytes(extents, 0, extents.length).toBytes();
  }

  private static int[] chunkSizes(ExtentMap map) {
    int[] sizes = new int[1];
    int count = 0;
    for (int i = 0; i < map.size(); i++) {
      if (!map.zero(i)) {
        int at = Arrays.binarySearch(sizes, 0, count, map.chunkBytes(i));
        if (at < 0) {
          if (count == sizes.length) {
            sizes = Arrays.copyOf(sizes, count * 2);
          }
          System.arraycopy(sizes, -at - 1, sizes, -at, count++ + at + 1);
          sizes[-at - 1] = map.chunkBytes(i);
        }
      }
    }
    return Arrays.copyOf(sizes, count);
  }

  private static void encodeExtents(
      ExtentMap map, long lowestSeq, int[] chunkSizes, int[] restarts, Varints.Out body) {
    long end = 0;
    long seq = lowestSeq;
    long segment = 0;
    long dataEnd = 0;
    for (int i = 0; i < map.size(); i++) {
      if (i % RESTART_EXTENTS == 0) {
        restarts[i / RESTART_EXTENTS] = body.length();
        end = 0;
        seq = lowestSeq;
        segment = 0;
        dataEnd = 0;
      }
      long length = map.end(i) - map.offset(i);
      body.varint(map.offset(i) - end);
      body.varint(length << 1 | (map.zero(i) ? 1 : 0));
      body.zigzag(map.seq(i) - seq);
      if (!map.zero(i)) {
        body.zigzag(map.segment(i) - segment);
        body.zigzag(map.position(i) - (map.segment(i) == segment ? dataEnd : 0));
        if (chunkSizes.length > 1) {
          body.varint(Arrays.binarySearch(chunkSizes, map.chunkBytes(i)));
        }
        segment = map.segment(i);
        dataEnd = map.position(i) + length;
      }
      end = map.end(i);
      seq = map.seq(i);
    }
  }

  public int count() {
    return count;
  }

  /** Memory that the block holds, in bytes. */
  public int weight() {
    return bytes.length + 12 * restarts.length + 96;
  }

  /** The extents in {@code [from, to)}, clipped to it. */
  public ExtentCursor cursor(long from, long to) {
    return new Cursor(from, to);
  }

  /** All extents. */
  public ExtentCursor cursor() {
    return new Cursor(0, Long.MAX_VALUE);
  }

  private final class Cursor extends ExtentCursor {
    private final Varints.In in = new Varints.In(bytes, entries);
    private final long from;
    private final long to;
    private int index;
    private long previousEnd;
    private long previousSeq;
    private long previousSegment;
    private long dataEnd;

    Cursor(long from, long to) {
      this.from = from;
      this.to = to;
      int found = Arrays.binarySearch(restartOffsets, from);
      int restart = Math.max(0, found >= 0 ? found : -found - 2);
      index = restart * RESTART_EXTENTS;
      in.seek(entries + restarts[restart]);
    }

    @Override
    public boolean next() {
      while (index < count) {
        decode();
        if (previousEnd > from) {
          if (offset >= to) {
            index = count;
            return false;
          }
          clip();
          return true;
        }
      }
      return false;
    }

    private void decode() {
      if (index++ % RESTART_EXTENTS == 0) {
        previousEnd = 0;
        previousSeq = lowestSeq;
        previousSegment = 0;
        dataEnd = 0;
      }
      offset = previousEnd + in.varint();
      long length = in.varint();
      end = offset + (length >>> 1);
      seq = previousSeq + in.zigzag();
      if ((length & 1) != 0) {
        segment = ZERO_SEGMENT;
        position = 0;
        chunkBytes = 0;
      } else {
        segment = previousSegment + in.zigzag();
        position = in.zigzag() + (segment == previousSegment ? dataEnd : 0);
        chunkBytes = chunkSizes[chunkSizes.length > 1 ? (int) in.varint() : 0];
        previousSegment = segment;
        dataEnd = position + (length >>> 1);
      }
      previousEnd = end;
      previousSeq = seq;
    }

    private void clip() {
      if (offset < from) {
        position += segment == ZERO_SEGMENT ? 0 : from - offset;
        offset = from;
      }
      end = Math.min(end, to);
    }
  }
}
