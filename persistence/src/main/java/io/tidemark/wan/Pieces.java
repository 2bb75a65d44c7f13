package io.tidemark.wan;

import io.tidemark.segment.SegmentMeta;
import java.util.HashMap;
import java.util.Map;

/**
 * A segment's data cut at the volume's 4 KiB boundaries, and for each piece whether an earlier
 * piece of the same segment is what it replaces. A function of the metadata alone, so that both
 * ends agree.
 */
final class Pieces {
  /** The unit of comparing and of references. */
  static final int PIECE_BYTES = 4096;

  final int count;

  /** Where in the volume each piece begins. */
  final long[] offsets;

  final int[] lengths;

  /** Where in the segment's data each piece begins. */
  final int[] positions;

  /** The piece of this segment that wrote the same range before, or -1. */
  final int[] earlier;

  private record Range(long offset, int length) {}

  Pieces(SegmentMeta meta) {
    int total = 0;
    for (int i = 0; i < meta.count(); i++) {
      if (!meta.zero(i) && meta.length(i) > 0) {
        long end = meta.offset(i) + meta.length(i);
        total += Math.toIntExact((end - 1) / PIECE_BYTES - meta.offset(i) / PIECE_BYTES + 1);
      }
    }
    this.count = total;
    this.offsets = new long[total];
    this.lengths = new int[total];
    this.positions = new int[total];
    this.earlier = new int[total];
    cut(meta);
  }

  private void cut(SegmentMeta meta) {
    Map<Range, Integer> latest = new HashMap<>();
    int piece = 0;
    for (int i = 0; i < meta.count(); i++) {
      if (meta.zero(i)) {
        continue;
      }
      long at = meta.offset(i);
      long end = at + meta.length(i);
      int position = Math.toIntExact(meta.dataPosition(i));
      while (at < end) {
        int length = (int) Math.min(end - at, PIECE_BYTES - at % PIECE_BYTES);
        offsets[piece] = at;
        lengths[piece] = length;
        positions[piece] = position;
        Integer before = latest.put(new Range(at, length), piece);
        earlier[piece] = before == null ? -1 : before;
        at += length;
        position += length;
        piece++;
      }
    }
  }

  /** Whether the piece is a whole block, so that it can be referred to. */
  boolean whole(int piece) {
    return lengths[piece] == PIECE_BYTES;
  }
}
