package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import java.util.BitSet;
import java.util.Optional;

/**
 * Which parts of a volume may differ between backing store and journal; one bit a granule. Not
 * thread-safe.
 */
final class DirtyMap {
  static final int GRANULE_BYTES_MIN = 64 << 10;
  private static final long GRANULES_MAX = 1L << 26;

  private final long sizeBytes;
  private final long granuleBytes;
  private final BitSet granules = new BitSet();

  DirtyMap(long sizeBytes) {
    this.sizeBytes = sizeBytes;
    long granule = GRANULE_BYTES_MIN;
    while (sizeBytes / granule > GRANULES_MAX) {
      granule *= 2;
    }
    this.granuleBytes = granule;
  }

  void add(ByteRange range) {
    if (range.length() > 0) {
      granules.set(
          (int) (range.offset() / granuleBytes), (int) ((range.end() - 1) / granuleBytes) + 1);
    }
  }

  void addAll(DirtyMap other) {
    granules.or(other.granules);
  }

  /** Takes out the granules that lie in the range; the range was got from {@link #first}. */
  void remove(ByteRange range) {
    granules.clear(
        (int) (range.offset() / granuleBytes), (int) ((range.end() - 1) / granuleBytes) + 1);
  }

  void clear() {
    granules.clear();
  }

  boolean isEmpty() {
    return granules.isEmpty();
  }

  /** Upper bound of the bytes marked. */
  long bytes() {
    return granules.cardinality() * granuleBytes;
  }

  /** The first run of marked granules at or after {@code from}, at most {@code bytesMax} long. */
  Optional<ByteRange> first(long from, long bytesMax) {
    int begin = granules.nextSetBit((int) ((from + granuleBytes - 1) / granuleBytes));
    if (begin < 0) {
      return Optional.empty();
    }
    int most = (int) Math.max(1, bytesMax / granuleBytes);
    int end = Math.min(granules.nextClearBit(begin), begin + most);
    long offset = begin * granuleBytes;
    return Optional.of(new ByteRange(offset, Math.min(end * granuleBytes, sizeBytes) - offset));
  }

  /** Marks, in {@code regions}, the regions of {@code regionBytes} that hold a marked granule. */
  void addRegions(BitSet regions, long regionBytes) {
    for (int i = granules.nextSetBit(0); i >= 0; ) {
      int region = (int) (i * granuleBytes / regionBytes);
      regions.set(region);
      i = granules.nextSetBit((int) ((region + 1) * regionBytes / granuleBytes));
    }
  }
}
