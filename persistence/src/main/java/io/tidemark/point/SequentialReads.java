package io.tidemark.point;

import io.tidemark.position.ByteRange;

/**
 * Notices readers that go through the volume in order, even several at once and with requests
 * slightly out of order, and says what to fetch ahead of them: nothing at first, then a window that
 * doubles with each step up to {@link #WINDOW_BYTES_MAX}. Thread-safe.
 */
final class SequentialReads {
  static final long WINDOW_BYTES_MAX = 8L << 20;
  private static final long WINDOW_BYTES_MIN = 256L << 10;
  private static final int STREAMS = 8;

  /** How far beside the expected offset a request still belongs to the stream. */
  private static final long SLACK_BYTES = 4L << 20;

  private static final ByteRange NOTHING = new ByteRange(0, 0);

  private final long[] nexts = new long[STREAMS];
  private final long[] fetched = new long[STREAMS];
  private final long[] windows = new long[STREAMS];
  private final long[] used = new long[STREAMS];
  private final long windowBytesMax;
  private long ticks;

  /**
   * @param windowBytesMax how far to go ahead at most, if less than {@link #WINDOW_BYTES_MAX}; 0
   *     for not at all
   */
  SequentialReads(long windowBytesMax) {
    this.windowBytesMax = Math.min(WINDOW_BYTES_MAX, windowBytesMax);
    java.util.Arrays.fill(nexts, -1);
  }

  /** The range to fetch ahead now that {@code read} was asked for; empty when there is none. */
  synchronized ByteRange after(ByteRange read, long sizeBytes) {
    ticks++;
    int oldest = 0;
    for (int i = 0; i < STREAMS; i++) {
      if (nexts[i] >= 0 && belongs(i, read)) {
        return advance(i, read, sizeBytes);
      }
      oldest = used[i] < used[oldest] ? i : oldest;
    }
    nexts[oldest] = read.end();
    fetched[oldest] = read.end();
    windows[oldest] = 0;
    used[oldest] = ticks;
    return NOTHING;
  }

  private boolean belongs(int i, ByteRange read) {
    long slack = windows[i] == 0 ? 0 : SLACK_BYTES;
    return read.offset() >= nexts[i] - slack && read.offset() <= nexts[i] + slack;
  }

  private ByteRange advance(int i, ByteRange read, long sizeBytes) {
    used[i] = ticks;
    if (read.offset() >= nexts[i]) {
      windows[i] =
          Math.min(windowBytesMax, Math.max(WINDOW_BYTES_MIN, windows[i] + read.length() * 2));
    }
    nexts[i] = Math.max(nexts[i], read.end());
    long from = Math.max(fetched[i], nexts[i]);
    long to = Math.min(sizeBytes, nexts[i] + windows[i]);
    if (to - from < Math.min(windows[i] / 4, sizeBytes - from) || to <= from) {
      return NOTHING;
    }
    fetched[i] = to;
    return new ByteRange(from, to - from);
  }
}
