package io.tidemark.index;

/**
 * A run of bytes of a volume and where its content is as of some write seq.
 *
 * @param offset first byte in the volume
 * @param length bytes
 * @param seq the write that put it there
 * @param segmentNumber where its data is stored; {@link #ZERO} when it reads back as zeroes
 * @param dataPosition where the content of {@code offset} begins in the segment's data
 */
public record MappedExtent(
    long offset, long length, long seq, long segmentNumber, long dataPosition) {
  /** The segment number of a range that was trimmed or written with zeroes. */
  public static final long ZERO = -1;

  public boolean zero() {
    return segmentNumber == ZERO;
  }

  public long end() {
    return offset + length;
  }
}
