package io.tidemark.segment;

import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Who, where and when of a segment's writes, without their data: immutable, compact, the same bytes
 * on the tap link and in the volume's events.
 *
 * <p>Encoding, version 1 (varint: 7 bits a byte, low first; zigzag for signed):
 *
 * <pre>
 *   u8     version = 1
 *   u8     kind (0 live, 1 sync)
 *   varint first seq
 *   varint first time, microseconds since 1970
 *   varint number of writes, 1..65536
 *   varint chunk bytes
 *   varint number of chunks = ceil(data bytes / chunk bytes)
 *   u32    CRC-32C of each chunk of the data, big-endian
 *   per write:
 *     varint time - previous time (first: 0)
 *     zigzag offset - end of the previous write (first: 0)
 *     varint length &lt;&lt; 1 | (1 when the range reads back as zeroes and carries no data)
 * </pre>
 */
public final class SegmentMeta {
  /** Writes in one segment, at most. */
  public static final int WRITES_MAX = 65_536;

  /** Data of one segment, at most: the segment limit plus one write of the largest size. */
  public static final int DATA_BYTES_MAX = 64 << 20;

  private static final int VERSION = 1;
  private static final int ENCODED_WRITE_BYTES_MAX = 30;

  private final SegmentKind kind;
  private final long firstSeq;
  private final int chunkBytes;
  private final int[] chunkCrcs;
  private final long[] times;
  private final long[] offsets;
  private final long[] lengths;
  private final boolean[] zeroes;
  private final long[] dataPositions;

  /** Of the data that is stored: more than that of the writes when the last of them were left. */
  private final long storedBytes;

  private SegmentMeta(
      SegmentKind kind,
      long firstSeq,
      int chunkBytes,
      int[] chunkCrcs,
      long[] times,
      long[] offsets,
      long[] lengths,
      boolean[] zeroes,
      long storedBytesMin) {
    this.kind = kind;
    this.firstSeq = firstSeq;
    this.chunkBytes = chunkBytes;
    this.chunkCrcs = chunkCrcs;
    this.times = times;
    this.offsets = offsets;
    this.lengths = lengths;
    this.zeroes = zeroes;
    this.dataPositions = new long[times.length + 1];
    for (int i = 0; i < times.length; i++) {
      dataPositions[i + 1] = dataPositions[i] + (zeroes[i] ? 0 : lengths[i]);
    }
    this.storedBytes = Math.max(storedBytesMin, dataBytes());
    check();
  }

  /**
   * The segment without its writes after {@code last}, for reading: chunks and their checksums
   * remain those of what is stored, so it has no encoding of its own.
   *
   * @param last not before the first write
   */
  public SegmentMeta upTo(WriteSeq last) {
    int count = (int) Math.min(times.length, last.value() - firstSeq + 1);
    return count == times.length
        ? this
        : new SegmentMeta(
            kind,
            firstSeq,
            chunkBytes,
            chunkCrcs,
            Arrays.copyOf(times, count),
            Arrays.copyOf(offsets, count),
            Arrays.copyOf(lengths, count),
            Arrays.copyOf(zeroes, count),
            storedBytes);
  }

  private void check() {
    int chunks = (int) ((storedBytes + chunkBytes - 1) / chunkBytes);
    if (firstSeq < 1
        || times.length < 1
        || times.length > WRITES_MAX
        || dataBytes() > DATA_BYTES_MAX
        || chunkCrcs.length != chunks) {
      throw new IllegalArgumentException(
          "no such segment: first seq %d, %d writes, %d data bytes, %d checksums for %d chunks"
              .formatted(firstSeq, times.length, dataBytes(), chunkCrcs.length, chunks));
    }
    for (int i = 0; i < times.length; i++) {
      if (offsets[i] < 0 || lengths[i] < 0 || offsets[i] + lengths[i] < 0) {
        throw new IllegalArgumentException(
            "write %d covers no range: offset %d length %d"
                .formatted(firstSeq + i, offsets[i], lengths[i]));
      }
      if (i > 0 && times[i] < times[i - 1]) {
        throw new IllegalArgumentException("write %d goes back in time".formatted(firstSeq + i));
      }
    }
  }

  public SegmentKind kind() {
    return kind;
  }

  public WriteSeq firstSeq() {
    return new WriteSeq(firstSeq);
  }

  public WriteSeq lastSeq() {
    return new WriteSeq(firstSeq + times.length - 1);
  }

  public MicroTime firstTime() {
    return new MicroTime(times[0]);
  }

  public MicroTime lastTime() {
    return new MicroTime(times[times.length - 1]);
  }

  /** Number of writes. */
  public int count() {
    return times.length;
  }

  public long seq(int i) {
    return firstSeq + i;
  }

  /** Hybrid logical timestamp of write {@code i}, in microseconds. */
  public long timeMicros(int i) {
    return times[i];
  }

  public long offset(int i) {
    return offsets[i];
  }

  public long length(int i) {
    return lengths[i];
  }

  /** Whether write {@code i} reads back as zeroes and has no data. */
  public boolean zero(int i) {
    return zeroes[i];
  }

  /** Where the data of write {@code i} begins in the segment's data. */
  public long dataPosition(int i) {
    return dataPositions[i];
  }

  /** Data of the whole segment, in bytes; 0 when every write is a zero range. */
  public long dataBytes() {
    return dataPositions[times.length];
  }

  public int chunkBytes() {
    return chunkBytes;
  }

  public int chunkCount() {
    return chunkCrcs.length;
  }

  /** The tap's CRC-32C of chunk {@code i}. */
  public int chunkCrc(int i) {
    return chunkCrcs[i];
  }

  /** Data bytes of chunk {@code i}: {@code chunkBytes}, or less for the last. */
  public int chunkLength(int i) {
    return (int) Math.min(chunkBytes, storedBytes - (long) i * chunkBytes);
  }

  /**
   * The index of the last write whose timestamp is not later than {@code micros}, or -1 when all
   * are later.
   */
  public int indexAtTime(long micros) {
    int low = 0;
    int high = times.length - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      if (times[middle] <= micros) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return high;
  }

  public byte[] encode() {
    ByteBuffer out =
        ByteBuffer.allocate(64 + 4 * chunkCrcs.length + ENCODED_WRITE_BYTES_MAX * times.length);
    out.put((byte) VERSION).put((byte) kind.code());
    putVarint(out, firstSeq);
    putVarint(out, times[0]);
    putVarint(out, times.length);
    putVarint(out, chunkBytes);
    putVarint(out, chunkCrcs.length);
    for (int crc : chunkCrcs) {
      out.putInt(crc);
    }
    long time = times[0];
    long end = 0;
    for (int i = 0; i < times.length; i++) {
      putVarint(out, times[i] - time);
      long jump = offsets[i] - end;
      putVarint(out, (jump << 1) ^ (jump >> 63));
      putVarint(out, lengths[i] << 1 | (zeroes[i] ? 1 : 0));
      time = times[i];
      end = offsets[i] + lengths[i];
    }
    return Arrays.copyOf(out.array(), out.position());
  }

  /**
   * Reads one segment's metadata and leaves the buffer after it.
   *
   * @throws IllegalArgumentException when the bytes are none, are cut short, or exceed a limit
   */
  public static SegmentMeta decode(ByteBuffer in) {
    try {
      int version = in.get();
      if (version != VERSION) {
        throw new IllegalArgumentException("segment metadata of unknown version " + version);
      }
      SegmentKind kind = SegmentKind.of(in.get());
      long firstSeq = varint(in);
      long time = varint(in);
      int count = bounded(varint(in), WRITES_MAX, "writes");
      int chunkBytes = bounded(varint(in), DATA_BYTES_MAX, "chunk bytes");
      if (chunkBytes == 0) {
        throw new IllegalArgumentException("chunks of no bytes");
      }
      int[] crcs = new int[bounded(varint(in), in.remaining() / 4, "chunks")];
      for (int i = 0; i < crcs.length; i++) {
        crcs[i] = in.getInt();
      }
      if (count > in.remaining() / 3) {
        throw new IllegalArgumentException("cut short");
      }
      long[] times = new long[count];
      long[] offsets = new long[count];
      long[] lengths = new long[count];
      boolean[] zeroes = new boolean[count];
      long end = 0;
      for (int i = 0; i < count; i++) {
        time += varint(in);
        times[i] = time;
        long jump = varint(in);
        offsets[i] = end + ((jump >>> 1) ^ -(jump & 1));
        long length = varint(in);
        lengths[i] = length >>> 1;
        zeroes[i] = (length & 1) != 0;
        end = offsets[i] + lengths[i];
      }
      return new SegmentMeta(kind, firstSeq, chunkBytes, crcs, times, offsets, lengths, zeroes, 0);
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException("segment metadata is cut short", e);
    }
  }

  private static int bounded(long value, int max, String what) {
    if (value < 0 || value > max) {
      throw new IllegalArgumentException(value + " " + what + " exceed the limit of " + max);
    }
    return (int) value;
  }

  private static void putVarint(ByteBuffer out, long value) {
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      out.put((byte) (rest | 0x80));
      rest >>>= 7;
    }
    out.put((byte) rest);
  }

  private static long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      byte b = in.get();
      value |= (b & 0x7fL) << shift;
      if (b >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("a varint of more than ten bytes");
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof SegmentMeta that && Arrays.equals(encode(), that.encode());
  }

  @Override
  public int hashCode() {
    return Long.hashCode(firstSeq) * 31 + times.length;
  }

  @Override
  public String toString() {
    return "%s segment %d..%d, %d bytes"
        .formatted(kind, firstSeq, firstSeq + times.length - 1, dataBytes());
  }

  /** Collects the writes of one segment; not thread-safe. */
  public static final class Builder {
    private final SegmentKind kind;
    private final long firstSeq;
    private final int chunkBytes;
    private long[] times = new long[64];
    private long[] offsets = new long[64];
    private long[] lengths = new long[64];
    private boolean[] zeroes = new boolean[64];
    private int count;
    private long dataBytes;

    public Builder(SegmentKind kind, WriteSeq firstSeq, int chunkBytes) {
      this.kind = kind;
      this.firstSeq = firstSeq.value();
      this.chunkBytes = chunkBytes;
    }

    /** Adds the next write in seq order; its data, if any, follows that of the previous one. */
    public Builder add(long timeMicros, long offset, long length, boolean zero) {
      if (count == times.length) {
        int capacity = count * 2;
        times = Arrays.copyOf(times, capacity);
        offsets = Arrays.copyOf(offsets, capacity);
        lengths = Arrays.copyOf(lengths, capacity);
        zeroes = Arrays.copyOf(zeroes, capacity);
      }
      times[count] = timeMicros;
      offsets[count] = offset;
      lengths[count] = length;
      zeroes[count] = zero;
      count++;
      dataBytes += zero ? 0 : length;
      return this;
    }

    public int count() {
      return count;
    }

    public long dataBytes() {
      return dataBytes;
    }

    /**
     * @param chunkCrcs CRC-32C of each {@code chunkBytes} piece of the data, in order
     */
    public SegmentMeta build(int[] chunkCrcs) {
      return new SegmentMeta(
          kind,
          firstSeq,
          chunkBytes,
          chunkCrcs.clone(),
          Arrays.copyOf(times, count),
          Arrays.copyOf(offsets, count),
          Arrays.copyOf(lengths, count),
          Arrays.copyOf(zeroes, count),
          0);
    }
  }
}
