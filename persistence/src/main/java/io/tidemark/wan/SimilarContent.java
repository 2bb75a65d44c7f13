package io.tidemark.wan;

import io.tidemark.segment.SegmentMeta;
import java.util.Arrays;
import java.util.Random;

/**
 * Which block was last written with content like some other: databases write pages to a log or a
 * doublewrite area before they write them home, file systems write metadata to a journal, and what
 * is written there resembles what stands elsewhere. A block is known by the smallest of the hashes
 * of its places that the content itself chooses, so that content that moved is found, too. A table
 * of bounded size in which the newer forgets the older; only a hint: the packer compares.
 * Thread-safe.
 */
public final class SimilarContent {
  /** Marks that a block is known by, at most. */
  private static final int MARKS = 8;

  /** A mark is taken, on the average, every so many bytes. */
  private static final long PLACE_MASK = 0xffL << 40;

  /** Less than one in so many bytes changed in place: no other block is closer. */
  private static final int CLOSE = 8;

  private static final long[] GEAR = new Random(0x7469_6465_6d61_726bL).longs(256).toArray();

  private final int mask;
  private final int[] tags;
  private final int[] blocks;

  /**
   * @param entries blocks it remembers, 64 bytes of memory each; rounded up to a power of two
   */
  public SimilarContent(int entries) {
    int size = Integer.highestOneBit(Math.max(2, entries * MARKS) - 1) << 1;
    this.mask = size - 1;
    this.tags = new int[size];
    this.blocks = new int[size];
    Arrays.fill(blocks, -1);
  }

  /**
   * For each piece of the segment a block that is likely to hold something like it, or -1 when
   * there is none or what it replaces is close enough; then remembers the segment's blocks.
   *
   * @param previous as for {@link SegmentPacker#pack}
   */
  public long[] lookUp(SegmentMeta meta, byte[] data, byte[] previous) {
    Pieces pieces = new Pieces(meta);
    long[] found = new long[pieces.count];
    long[] marks = new long[pieces.count * MARKS];
    for (int i = 0; i < pieces.count; i++) {
      marks(data, pieces.positions[i], pieces.lengths[i], marks, i * MARKS);
    }
    synchronized (this) {
      for (int i = 0; i < pieces.count; i++) {
        found[i] = wanted(pieces, i, data, previous) ? vote(marks, i * MARKS) : -1;
        if (found[i] == pieces.offsets[i] / Pieces.PIECE_BYTES) {
          found[i] = -1;
        }
      }
      for (int i = 0; i < pieces.count; i++) {
        long block = pieces.offsets[i] / Pieces.PIECE_BYTES;
        if (pieces.whole(i) && block <= Integer.MAX_VALUE) {
          remember(marks, i * MARKS, (int) block);
        }
      }
    }
    return found;
  }

  private static boolean wanted(Pieces pieces, int piece, byte[] data, byte[] previous) {
    boolean inside = pieces.earlier[piece] >= 0;
    byte[] older = inside ? data : previous;
    int at = pieces.positions[piece];
    int olderAt = inside ? pieces.positions[pieces.earlier[piece]] : at;
    int room = pieces.lengths[piece] / CLOSE;
    for (int i = 0; i < pieces.lengths[piece]; i++) {
      if (data[at + i] != older[olderAt + i] && --room < 0) {
        return true;
      }
    }
    return false;
  }

  /** The smallest marks, each once, 0 for none. */
  private static void marks(byte[] data, int from, int length, long[] marks, int at) {
    long hash = 0;
    int count = 0;
    for (int i = from; i < from + length; i++) {
      hash = (hash << 1) + GEAR[data[i] & 0xff];
      if ((hash & PLACE_MASK) == 0) {
        long mixed = (hash * 0x9e37_79b9_7f4a_7c15L) >>> 1 | 1;
        count = insert(marks, at, count, mixed);
      }
    }
  }

  private static int insert(long[] marks, int at, int count, long mark) {
    int where = count;
    while (where > 0 && marks[at + where - 1] >= mark) {
      if (marks[at + where - 1] == mark) {
        return count;
      }
      where--;
    }
    if (where == MARKS) {
      return count;
    }
    int last = Math.min(count, MARKS - 1);
    System.arraycopy(marks, at + where, marks, at + where + 1, last - where);
    marks[at + where] = mark;
    return Math.min(count + 1, MARKS);
  }

  /** The block that most marks name. */
  private long vote(long[] marks, int at) {
    int[] named = new int[MARKS];
    int count = 0;
    for (int i = 0; i < MARKS && marks[at + i] != 0; i++) {
      int slot = slot(marks[at + i]);
      if (blocks[slot] >= 0 && tags[slot] == tag(marks[at + i])) {
        named[count++] = blocks[slot];
      }
    }
    long best = -1;
    int most = 0;
    for (int i = 0; i < count; i++) {
      int votes = 0;
      for (int k = 0; k < count; k++) {
        votes += named[k] == named[i] ? 1 : 0;
      }
      if (votes > most) {
        most = votes;
        best = named[i];
      }
    }
    return best;
  }

  private void remember(long[] marks, int at, int block) {
    for (int i = 0; i < MARKS && marks[at + i] != 0; i++) {
      int slot = slot(marks[at + i]);
      tags[slot] = tag(marks[at + i]);
      blocks[slot] = block;
    }
  }

  private int slot(long mark) {
    return (int) (mark >>> 3) & mask;
  }

  private static int tag(long mark) {
    return (int) (mark >>> 31);
  }
}
