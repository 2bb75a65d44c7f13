package io.tidemark.extent;

import java.util.Arrays;

/** Sorted, disjoint extents (M1) in primitive columns, 44 bytes an extent; immutable. */
public final class ExtentMap {
  public static final ExtentMap EMPTY = new Builder(0).build();

  /** Memory of one extent, in bytes. */
  public static final int EXTENT_BYTES = 44;

  private final int size;
  private final long[] offsets;
  private final long[] ends;
  private final long[] seqs;
  private final long[] segments;
  private final long[] positions;
  private final int[] chunkBytes;

  private ExtentMap(Builder b, boolean trim) {
    size = b.size;
    offsets = trim ? Arrays.copyOf(b.offsets, size) : b.offsets;
    ends = trim ? Arrays.copyOf(b.ends, size) : b.ends;
    seqs = trim ? Arrays.copyOf(b.seqs, size) : b.seqs;
    segments = trim ? Arrays.copyOf(b.segments, size) : b.segments;
    positions = trim ? Arrays.copyOf(b.positions, size) : b.positions;
    chunkBytes = trim ? Arrays.copyOf(b.chunkBytes, size) : b.chunkBytes;
  }

  /** Everything that the cursor has left. */
  public static ExtentMap of(ExtentCursor cursor) {
    Builder map = new Builder(16);
    while (cursor.next()) {
      map.add(cursor);
    }
    return map.build();
  }

  public int size() {
    return size;
  }

  public long offset(int i) {
    return offsets[i];
  }

  public long end(int i) {
    return ends[i];
  }

  public long seq(int i) {
    return seqs[i];
  }

  public long segment(int i) {
    return segments[i];
  }

  public long position(int i) {
    return positions[i];
  }

  public int chunkBytes(int i) {
    return chunkBytes[i];
  }

  public boolean zero(int i) {
    return segments[i] == ExtentCursor.ZERO_SEGMENT;
  }

  /** Index of the first extent that ends after {@code offset}; {@link #size} when none does. */
  public int firstEndingAfter(long offset) {
    int low = 0;
    int high = size;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (ends[middle] > offset) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
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
    private final long from;
    private final long to;
    private int next;

    Cursor(long from, long to) {
      this.from = from;
      this.to = to;
      this.next = firstEndingAfter(from);
    }

    @Override
    public boolean next() {
      int i = next;
      if (i >= size || offsets[i] >= to) {
        return false;
      }
      next = i + 1;
      offset = Math.max(offsets[i], from);
      end = Math.min(ends[i], to);
      seq = seqs[i];
      segment = segments[i];
      position = segment == ZERO_SEGMENT ? 0 : positions[i] + (offset - offsets[i]);
      chunkBytes = ExtentMap.this.chunkBytes[i];
      return true;
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ExtentMap that
        && size == that.size
        && Arrays.equals(offsets, 0, size, that.offsets, 0, size)
        && Arrays.equals(ends, 0, size, that.ends, 0, size)
        && Arrays.equals(seqs, 0, size, that.seqs, 0, size)
        && Arrays.equals(segments, 0, size, that.segments, 0, size)
        && Arrays.equals(positions, 0, size, that.positions, 0, size)
        && Arrays.equals(chunkBytes, 0, size, that.chunkBytes, 0, size);
  }

  @Override
  public int hashCode() {
    return size == 0 ? 0 : Long.hashCode(offsets[0] * 31 + seqs[size - 1]) * 31 + size;
  }

  /** Collects extents in offset order; joins neighbours of the same write (M3). */
  public static final class Builder {
    private int size;
    private long[] offsets;
    private long[] ends;
    private long[] seqs;
    private long[] segments;
    private long[] positions;
    private int[] chunkBytes;

    public Builder(int capacity) {
      offsets = new long[capacity];
      ends = new long[capacity];
      seqs = new long[capacity];
      segments = new long[capacity];
      positions = new long[capacity];
      chunkBytes = new int[capacity];
    }

    public int size() {
      return size;
    }

    /** End of the last extent, 0 when there is none. */
    public long lastEnd() {
      return size == 0 ? 0 : ends[size - 1];
    }

    /** Whether the extent under the cursor would be joined with the last one. */
    public boolean continues(ExtentCursor c) {
      int i = size - 1;
      return i >= 0
          && ends[i] == c.offset
          && seqs[i] == c.seq
          && segments[i] == c.segment
          && (c.segment == ExtentCursor.ZERO_SEGMENT
              || positions[i] + (ends[i] - offsets[i]) == c.position);
    }

    public Builder add(ExtentCursor c) {
      if (continues(c)) {
        ends[size - 1] = c.end;
        return this;
      }
      return append(c.offset, c.end, c.seq, c.segment, c.position, c.chunkBytes);
    }

    /** Adds an extent that must begin at or after the end of the last one. */
    Builder append(
        long offset, long end, long seq, long segment, long position, int segmentChunkBytes) {
      if (size == offsets.length) {
        grow();
      }
      int i = size++;
      offsets[i] = offset;
      ends[i] = end;
      seqs[i] = seq;
      segments[i] = segment;
      positions[i] = position;
      chunkBytes[i] = segmentChunkBytes;
      return this;
    }

    private void grow() {
      int capacity = Math.max(16, size * 2);
      offsets = Arrays.copyOf(offsets, capacity);
      ends = Arrays.copyOf(ends, capacity);
      seqs = Arrays.copyOf(seqs, capacity);
      segments = Arrays.copyOf(segments, capacity);
      positions = Arrays.copyOf(positions, capacity);
      chunkBytes = Arrays.copyOf(chunkBytes, capacity);
    }

    /** The map; the builder may be used again after {@link #clear}. */
    public ExtentMap build() {
      return new ExtentMap(this, true);
    }

    /** The map over the builder's own arrays; the builder must not be used again. */
    ExtentMap finish() {
      return new ExtentMap(this, false);
    }

    public void clear() {
      size = 0;
    }
  }
}
