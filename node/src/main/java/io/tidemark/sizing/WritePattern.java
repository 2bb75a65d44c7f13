package io.tidemark.sizing;

import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * A volume's writes in the order of its history, as far as they matter for the size of a journal:
 * what was stored when, and how much of the volume was ever written by then. Not thread-safe.
 */
public final class WritePattern {
  /** Blocks of the volume that are told apart; a larger volume has larger blocks. */
  static final int BLOCKS_MAX = 1 << 26;

  /** Spans of time that are told apart; when there are more, two become one. */
  static final int SPANS_MAX = 4096;

  private static final long BLOCK_BYTES_MIN = 4096;
  private static final long SPAN_MICROS_MIN = 1_000;

  private final long sizeBytes;
  private final long blockBytes;
  private final BitSet written = new BitSet();
  private long beganMicros = -1;
  private long endedMicros;
  private long spanMicros = SPAN_MICROS_MIN;
  private long writes;
  private long rawBytes;
  private long storedBytes;
  private long writtenBlocks;
  private long baseBytes;

  /** By span: what was stored in it, and the blocks ever written by its end. */
  private final List<long[]> spans = new ArrayList<>();

  /**
   * @param sizeBytes of the volume
   */
  public WritePattern(long sizeBytes) {
    long block = BLOCK_BYTES_MIN;
    while ((sizeBytes + block - 1) / block > BLOCKS_MAX) {
      block *= 2;
    }
    this.sizeBytes = sizeBytes;
    this.blockBytes = block;
  }

  /** What the journal stores of the history before the first segment that is added. */
  public void startWith(long bytes) {
    baseBytes = bytes;
  }

  /** Adds the next segment. */
  public void add(SegmentMeta meta, long stored) {
    if (beganMicros < 0) {
      beganMicros = meta.firstTime().micros();
    }
    endedMicros = Math.max(endedMicros, meta.lastTime().micros());
    for (int i = 0; i < meta.count(); i++) {
      int first = (int) (meta.offset(i) / blockBytes);
      int end = (int) ((meta.offset(i) + meta.length(i) + blockBytes - 1) / blockBytes);
      int fresh = end - first - written.get(first, end).cardinality();
      if (meta.zero(i)) {
        continue;
      }
      written.set(first, end);
      writtenBlocks += fresh;
    }
    writes += meta.count();
    rawBytes += meta.dataBytes();
    storedBytes += stored;
    int span = (int) Math.min(Integer.MAX_VALUE, (endedMicros - beganMicros) / spanMicros);
    while (span >= SPANS_MAX) {
      halve();
      span = (int) Math.min(Integer.MAX_VALUE, (endedMicros - beganMicros) / spanMicros);
    }
    while (spans.size() <= span) {
      spans.add(new long[] {0, 0});
    }
    spans.get(span)[0] += stored;
    for (int i = spans.size() - 1; i >= 0 && spans.get(i)[1] < writtenBlocks; i--) {
      if (i < span && spans.get(i)[1] > 0) {
        break;
      }
      spans.get(i)[1] = writtenBlocks;
    }
  }

  private void halve() {
    List<long[]> half = new ArrayList<>();
    for (int i = 0; i < spans.size(); i += 2) {
      long[] one = spans.get(i);
      long[] two = i + 1 < spans.size() ? spans.get(i + 1) : new long[] {0, one[1]};
      half.add(new long[] {one[0] + two[0], Math.max(one[1], two[1])});
    }
    spans.clear();
    spans.addAll(half);
    spanMicros *= 2;
  }

  public long writes() {
    return writes;
  }

  public long rawBytes() {
    return rawBytes;
  }

  public long storedBytes() {
    return storedBytes;
  }

  public long recordedMicros() {
    return beganMicros < 0 ? 0 : endedMicros - beganMicros;
  }

  /** Bytes of the volume that were ever written, to a block. */
  public long writtenBytes() {
    return writtenBlocks * blockBytes;
  }

  /**
   * What the journal of a window stores.
   *
   * @param typicalBytes the mean over the recorded time: the window's writes, and what lives of
   *     older ones
   * @param peakBytes at the busiest moment, with as much dead data as retention ever tolerates: the
   *     older part twice (R4)
   * @param extrapolated whether the window is longer than the recording
   */
  public record Need(long windowMicros, long typicalBytes, long peakBytes, boolean extrapolated) {}

  /** The journal that a window of so many microseconds needs. */
  public Need need(long windowMicros) {
    double ratio = rawBytes == 0 ? 1 : Math.min(1, (double) storedBytes / rawBytes);
    long recorded = Math.max(1, recordedMicros());
    double live = live(ratio, writtenBlocks);
    if (windowMicros >= recorded) {
      double more = (double) storedBytes * windowMicros / recorded;
      return new Need(
          windowMicros, (long) (more + live), (long) (more + 2 * live), windowMicros > recorded);
    }
    int width = (int) Math.max(1, windowMicros / spanMicros);
    double sum = 0;
    double peak = 0;
    double total = 0;
    int count = 0;
    for (int i = 0; i < spans.size(); i++) {
      sum += spans.get(i)[0];
      if (i >= width) {
        sum -= spans.get(i - width)[0];
      }
      if (i >= width - 1) {
        double base = live(ratio, i < width ? 0 : spans.get(i - width)[1]);
        total += sum + base;
        peak = Math.max(peak, sum + 2 * base);
        count++;
      }
    }
    return new Need(windowMicros, (long) (total / Math.max(1, count)), (long) peak, false);
  }

  /** What lives of writes to so many blocks and of what was there before, when stored. */
  private double live(double ratio, long blocks) {
    return Math.min(
        baseBytes + ratio * blockBytes * blocks, Math.max(baseBytes, ratio * sizeBytes));
  }

  /** The longest window whose journal stays within the bytes even at its peak; 0 for none. */
  public long windowFor(long bytes, long atMostMicros) {
    long low = 0;
    long high = atMostMicros;
    while (high - low > Math.max(SPAN_MICROS_MIN, high / 1_000)) {
      long middle = low + (high - low) / 2;
      if (need(middle).peakBytes() <= bytes) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return need(atMostMicros).peakBytes() <= bytes ? atMostMicros : low;
  }
}
