package io.tidemark.position;

/**
 * A run of bytes of a volume.
 *
 * @param offset first byte, from 0
 * @param length bytes, 0 or more
 */
public record ByteRange(long offset, long length) {
  public ByteRange {
    if (offset < 0 || length < 0 || offset + length < 0) {
      throw new IllegalArgumentException("no such range: offset " + offset + " length " + length);
    }
  }

  /** The first byte after the range. */
  public long end() {
    return offset + length;
  }

  public boolean overlaps(ByteRange other) {
    return offset < other.end() && other.offset < end();
  }
}
