package io.tidemark.compare;

import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Reads ranges at two points and keeps what differs, in whole sectors (C2); a few pieces of both
 * are read ahead of the one that is compared. Blocks its thread; used once.
 */
public final class ContentComparison {
  /** Read at either point for one page, at most (C3). */
  static final long PAGE_BYTES_MAX = 32L << 20;

  private static final int PIECE_BYTES_MAX = 1 << 20;
  private static final int PIECES_AHEAD_MAX = 3;
  private static final int SECTOR_BYTES = Comparisons.SECTOR_BYTES;

  private record Piece(
      ByteRange range, CompletableFuture<ByteBuffer> before, CompletableFuture<ByteBuffer> now) {}

  private final PointReader before;
  private final PointReader now;
  private final int rangesMax;
  private final Deque<Piece> ahead = new ArrayDeque<>();
  private final List<ByteRange> different = new ArrayList<>();

  /** Where the first difference begins that is not told any more; -1 while all are. */
  private long full = -1;

  /**
   * @param rangesMax differences that are told
   */
  public ContentComparison(PointReader before, PointReader now, int rangesMax) {
    this.before = before;
    this.now = now;
    this.rangesMax = rangesMax;
  }

  /** The differences in what was written, up to as much as one page may read and tell. */
  public Changes of(Changes written) {
    long left = PAGE_BYTES_MAX;
    long end = written.end();
    for (ByteRange range : written.ranges()) {
      long take = Math.min(left, range.length());
      for (long at = range.offset();
          full < 0 && at < range.offset() + take;
          at += PIECE_BYTES_MAX) {
        read(new ByteRange(at, Math.min(PIECE_BYTES_MAX, range.offset() + take - at)));
      }
      left -= take;
      if (take < range.length()) {
        end = range.offset() + take;
        break;
      }
    }
    while (full < 0 && !ahead.isEmpty()) {
      compare(ahead.remove());
    }
    return new Changes(different, full < 0 ? end : full);
  }

  private void read(ByteRange range) {
    if (ahead.size() > PIECES_AHEAD_MAX) {
      compare(ahead.remove());
    }
    ahead.add(
        new Piece(
            range,
            before.read(range.offset(), (int) range.length()).toCompletableFuture(),
            now.read(range.offset(), (int) range.length()).toCompletableFuture()));
  }

  private void compare(Piece piece) {
    ByteBuffer was = piece.before.join().slice();
    ByteBuffer is = piece.now.join().slice();
    int length = (int) piece.range.length();
    int at = 0;
    while (at < length && full < 0) {
      int same = was.slice(at, length - at).mismatch(is.slice(at, length - at));
      if (same < 0) {
        return;
      }
      // Sectors are those of the volume, whose writes may begin anywhere.
      long differs = piece.range.offset() + at + same;
      long sector = differs / SECTOR_BYTES * SECTOR_BYTES;
      long from = Math.max(sector, piece.range.offset());
      long to = Math.min(sector + SECTOR_BYTES, piece.range.end());
      add(from, to);
      at = (int) (to - piece.range.offset());
    }
  }

  private void add(long from, long to) {
    int last = different.size() - 1;
    if (last >= 0 && different.get(last).end() == from) {
      ByteRange joined = different.get(last);
      different.set(last, new ByteRange(joined.offset(), to - joined.offset()));
    } else if (different.size() == rangesMax) {
      full = from;
    } else {
      different.add(new ByteRange(from, to - from));
    }
  }
}
