package io.tidemark.extent;

import java.util.Arrays;

/**
 * A page of fences: where the blocks of a node's map begin and end, so that a lookup reads only
 * blocks that may have an answer. A page of level 0 refers to map blocks, one of level k to pages
 * of level k - 1. Immutable.
 *
 * <p>A fence of level 0 also has a coverage bitmap: its span is cut into 512 grains of equal size,
 * and a grain without a bit has no content.
 *
 * <pre>
 *   varint level, 0..8
 *   varint number of fences, 0..256
 *   per fence:
 *     varint first offset - end of the previous fence (first: 0)
 *     varint end - first offset
 *     zigzag block number - block number of the previous fence (first: 0)
 *     level 0: u64 eight times, coverage; the lowest bit of the first is the first grain
 * </pre>
 */
public final class FencePage {
  public static final int FENCES_MAX = 256;
  private static final int LEVEL_MAX = 8;
  private static final int GRAINS = 512;
  private static final int WORDS = GRAINS / 64;

  private final int level;
  private final int count;
  private final long[] firsts;
  private final long[] ends;
  private final int[] blocks;
  private final long[] coverage;

  private FencePage(Builder b) {
    level = b.level;
    count = b.count;
    firsts = Arrays.copyOf(b.firsts, count);
    ends = Arrays.copyOf(b.ends, count);
    blocks = Arrays.copyOf(b.blocks, count);
    coverage = level == 0 ? Arrays.copyOf(b.coverage, count * WORDS) : new long[0];
  }

  /**
   * Reads a page and leaves {@code in} after it.
   *
   * @throws IllegalArgumentException when the bytes are no page
   * @throws IndexOutOfBoundsException when they are cut short
   */
  public static FencePage decode(Varints.In in) {
    Builder page = new Builder(in.bounded(LEVEL_MAX, "levels of fences"));
    int count = in.bounded(FENCES_MAX, "fences");
    long end = 0;
    int block = 0;
    for (int i = 0; i < count; i++) {
      long first = end + in.varint();
      end = first + in.varint();
      block += (int) in.zigzag();
      page.add(first, end, block);
      for (int word = 0; page.level == 0 && word < WORDS; word++) {
        page.coverage[i * WORDS + word] = in.u64();
      }
    }
    return new FencePage(page);
  }

  public void encode(Varints.Out out) {
    out.varint(level).varint(count);
    long end = 0;
    int block = 0;
    for (int i = 0; i < count; i++) {
      out.varint(firsts[i] - end).varint(ends[i] - firsts[i]).zigzag(blocks[i] - block);
      for (int word = 0; level == 0 && word < WORDS; word++) {
        out.u64(coverage[i * WORDS + word]);
      }
      end = ends[i];
      block = blocks[i];
    }
  }

  public int level() {
    return level;
  }

  public int count() {
    return count;
  }

  public long first(int i) {
    return firsts[i];
  }

  public long end(int i) {
    return ends[i];
  }

  /** Number of the map block or page behind fence {@code i}. */
  public int block(int i) {
    return blocks[i];
  }

  /** Memory that the page holds, in bytes. */
  public int weight() {
    return 96 + 20 * count + 8 * coverage.length;
  }

  /** Index of the first fence that ends after {@code offset}; {@link #count} when none does. */
  public int firstEndingAfter(long offset) {
    int found = Arrays.binarySearch(ends, offset);
    return found >= 0 ? found + 1 : -found - 1;
  }

  /** Whether there may be content of {@code [from, to)} behind fence {@code i}. */
  public boolean mayCover(int i, long from, long to) {
    long low = Math.max(from, firsts[i]);
    long high = Math.min(to, ends[i]);
    if (low >= high) {
      return false;
    }
    if (level > 0) {
      return true;
    }
    long grain = grain(firsts[i], ends[i]);
    int last = (int) ((high - 1 - firsts[i]) / grain);
    for (int bit = (int) ((low - firsts[i]) / grain); bit <= last; bit++) {
      if ((coverage[i * WORDS + (bit >> 6)] >>> (bit & 63) & 1) != 0) {
        return true;
      }
    }
    return false;
  }

  private static long grain(long first, long end) {
    return Math.max(1, (end - first + GRAINS - 1) / GRAINS);
  }

  /** Collects the fences of a page in offset order. */
  public static final class Builder {
    private final int level;
    private int count;
    private final long[] firsts = new long[FENCES_MAX];
    private final long[] ends = new long[FENCES_MAX];
    private final int[] blocks = new int[FENCES_MAX];
    private final long[] coverage;

    public Builder(int level) {
      this.level = level;
      this.coverage = level == 0 ? new long[FENCES_MAX * WORDS] : new long[0];
    }

    public int count() {
      return count;
    }

    public boolean full() {
      return count == FENCES_MAX;
    }

    public long first() {
      return firsts[0];
    }

    public long end() {
      return ends[count - 1];
    }

    public void add(long first, long end, int block) {
      firsts[count] = first;
      ends[count] = end;
      blocks[count++] = block;
    }

    /** Adds the fence of a map block together with its coverage. */
    public void add(ExtentMap map, int block) {
      long first = map.offset(0);
      long end = map.end(map.size() - 1);
      long grain = grain(first, end);
      int base = count * WORDS;
      add(first, end, block);
      for (int i = 0; i < map.size(); i++) {
        int last = (int) ((map.end(i) - 1 - first) / grain);
        for (int bit = (int) ((map.offset(i) - first) / grain); bit <= last; bit++) {
          coverage[base + (bit >> 6)] |= 1L << (bit & 63);
        }
      }
    }

    public FencePage build() {
      return new FencePage(this);
    }

    public void clear() {
      count = 0;
      Arrays.fill(coverage, 0);
    }
  }
}
