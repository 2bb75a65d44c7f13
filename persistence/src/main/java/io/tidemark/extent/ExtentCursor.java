package io.tidemark.extent;

/**
 * Walks over the extents of a map in offset order. The accessors describe the extent that the last
 * successful {@link #next} stepped onto. Not thread-safe.
 */
public abstract class ExtentCursor {
  /** The segment of a range that reads back as zeroes. */
  public static final long ZERO_SEGMENT = -1;

  protected long offset;
  protected long end;
  protected long seq;
  protected long segment;
  protected long position;
  protected int chunkBytes;

  /** Steps onto the next extent; false when there is none. */
  public abstract boolean next();

  /** First byte in the volume. */
  public final long offset() {
    return offset;
  }

  /** First byte after the extent. */
  public final long end() {
    return end;
  }

  /** The write that put the content there. */
  public final long seq() {
    return seq;
  }

  /** Number of the segment that holds the data, or {@link #ZERO_SEGMENT}. */
  public final long segment() {
    return segment;
  }

  /** Where the content of {@link #offset} begins in the segment's data; 0 for a zero range. */
  public final long position() {
    return position;
  }

  /** Size of the segment's chunks in bytes; 0 for a zero range. */
  public final int chunkBytes() {
    return chunkBytes;
  }

  /** Takes over {@code [from, to)} of the extent under {@code other}. */
  protected final void take(ExtentCursor other, long from, long to) {
    offset = from;
    end = to;
    seq = other.seq;
    segment = other.segment;
    position = other.segment == ZERO_SEGMENT ? 0 : other.position + (from - other.offset);
    chunkBytes = other.chunkBytes;
  }
}
