package io.tidemark.overlay;

/**
 * The state of each block in memory, and which have changed since the map was last stored. Thread
 * safe.
 */
final class BlockMap {
  static final int PAGE_WORDS = 512;
  static final int PAGE_BLOCKS = PAGE_WORDS * Long.SIZE;

  /** Receives runs of blocks of equal state. */
  interface RunSink {
    void run(long first, long blocks, BlockState state);
  }

  /** Receives what has changed in one page. */
  interface PageSink {
    /**
     * @param data its DATA bits, not to be kept
     * @param zero its ZERO bits, not to be kept
     * @param dirty the blocks that changed, not to be kept
     */
    void page(int page, long[] data, long[] zero, long[] dirty);
  }

  private static final class Page {
    final long[] data = new long[PAGE_WORDS];
    final long[] zero = new long[PAGE_WORDS];
    final long[] dirty = new long[PAGE_WORDS];
    boolean changed;
  }

  private final long blocks;
  private final Page[] pages;
  private long dataBlocks;

  BlockMap(long blocks) {
    this.blocks = blocks;
    this.pages = new Page[Math.toIntExact((blocks + PAGE_BLOCKS - 1) / PAGE_BLOCKS)];
  }

  long blocks() {
    return blocks;
  }

  synchronized long dataBlocks() {
    return dataBlocks;
  }

  synchronized BlockState get(long block) {
    return stateAt(block);
  }

  private BlockState stateAt(long block) {
    Page page = pages[(int) (block / PAGE_BLOCKS)];
    if (page == null) {
      return BlockState.BASE;
    }
    int word = (int) (block % PAGE_BLOCKS) >>> 6;
    long bit = 1L << block;
    return (page.data[word] & bit) != 0
        ? BlockState.DATA
        : (page.zero[word] & bit) != 0 ? BlockState.ZERO : BlockState.BASE;
  }

  /** Changes a run and marks it changed. */
  synchronized void set(long first, long count, BlockState state) {
    change(first, count, state, true);
  }

  /** Puts a run as it was stored. */
  synchronized void restore(long first, long count, BlockState state) {
    if (first < 0 || count < 1 || first > blocks - count) {
      throw new IllegalArgumentException("blocks " + first + " + " + count + " of " + blocks);
    }
    change(first, count, state, false);
  }

  /** Puts a page as it was stored. */
  synchronized void restorePage(int index, long[] data, long[] zero) {
    if (index < 0 || index >= pages.length) {
      throw new IllegalArgumentException("page " + index + " of " + pages.length);
    }
    Page page = pageAt(index);
    for (int word = 0; word < PAGE_WORDS; word++) {
      long firstBlock = (long) index * PAGE_BLOCKS + (long) word * Long.SIZE;
      long outside = firstBlock >= blocks ? -1L : ~mask(0, Math.min(64, blocks - firstBlock));
      if ((data[word] & zero[word]) != 0 || ((data[word] | zero[word]) & outside) != 0) {
        throw new IllegalArgumentException("page " + index + " has bits that cannot be");
      }
      dataBlocks += Long.bitCount(data[word]) - Long.bitCount(page.data[word]);
      page.data[word] = data[word];
      page.zero[word] = zero[word];
    }
  }

  private Page pageAt(int index) {
    if (pages[index] == null) {
      pages[index] = new Page();
    }
    return pages[index];
  }

  private static long mask(int from, long bits) {
    return (bits >= 64 ? -1L : (1L << bits) - 1) << from;
  }

  private void change(long first, long count, BlockState state, boolean dirty) {
    long at = first;
    long end = first + count;
    while (at < end) {
      Page page = pageAt((int) (at / PAGE_BLOCKS));
      int word = (int) (at % PAGE_BLOCKS) >>> 6;
      int from = (int) (at & 63);
      long bits = Math.min(64 - from, end - at);
      long mask = mask(from, bits);
      long before = page.data[word];
      page.data[word] = state == BlockState.DATA ? before | mask : before & ~mask;
      page.zero[word] = state == BlockState.ZERO ? page.zero[word] | mask : page.zero[word] & ~mask;
      dataBlocks += Long.bitCount(page.data[word]) - Long.bitCount(before);
      if (dirty) {
        page.dirty[word] |= mask;
        page.changed = true;
      }
      at += bits;
    }
  }

  /** The runs of {@code [first, first + count)} in order, neighbours of different state. */
  synchronized void runs(long first, long count, RunSink sink) {
    long end = first + count;
    long start = first;
    while (start < end) {
      BlockState state = stateAt(start);
      long at = start + 1;
      while (at < end) {
        if (at % PAGE_BLOCKS == 0
            && state == BlockState.BASE
            && pages[(int) (at / PAGE_BLOCKS)] == null) {
          at = Math.min(end, at + PAGE_BLOCKS);
        } else if (stateAt(at) == state) {
          at++;
        } else {
          break;
        }
      }
      sink.run(start, at - start, state);
      start = at;
    }
  }

  /** Hands out every page that has changed and takes the marks off. */
  synchronized void drain(PageSink sink) {
    for (int i = 0; i < pages.length; i++) {
      Page page = pages[i];
      if (page != null && page.changed) {
        sink.page(i, page.data, page.zero, page.dirty);
        java.util.Arrays.fill(page.dirty, 0);
        page.changed = false;
      }
    }
  }

  /** Hands out every page that has any block that is not BASE, and takes all marks off. */
  synchronized void drainAll(PageSink sink) {
    for (int i = 0; i < pages.length; i++) {
      Page page = pages[i];
      if (page != null) {
        sink.page(i, page.data, page.zero, page.dirty);
        java.util.Arrays.fill(page.dirty, 0);
        page.changed = false;
      }
    }
  }

  /** Marks whole pages changed again, after they were drained but could not be stored. */
  synchronized void markChanged(Iterable<Integer> indexes) {
    for (int index : indexes) {
      Page page = pageAt(index);
      java.util.Arrays.fill(page.dirty, -1L);
      page.changed = true;
    }
  }
}
