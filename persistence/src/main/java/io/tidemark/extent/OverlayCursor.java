package io.tidemark.extent;

/**
 * Walks over the overlay of several maps, the newer winning (M2), in one pass and with the memory
 * of one cursor a map. Pieces of one extent that touch come one by one; {@link ExtentMap.Builder}
 * joins them.
 */
public final class OverlayCursor extends ExtentCursor {
  private final ExtentCursor[] maps;
  private int live;
  private long reached;

  /**
   * @param oldestFirst cursors before their first extent; the array is used up
   */
  public OverlayCursor(ExtentCursor[] oldestFirst) {
    maps = oldestFirst;
    for (ExtentCursor map : oldestFirst) {
      if (map.next()) {
        maps[live++] = map;
      }
    }
  }

  @Override
  public boolean next() {
    while (true) {
      skipCovered();
      if (live == 0) {
        return false;
      }
      int winner = live - 1;
      long limit = Long.MAX_VALUE;
      while (winner >= 0 && maps[winner].offset > reached) {
        limit = Math.min(limit, maps[winner].offset);
        winner--;
      }
      if (winner >= 0) {
        ExtentCursor top = maps[winner];
        take(top, reached, Math.min(limit, top.end));
        reached = end;
        return true;
      }
      reached = limit;
    }
  }

  private void skipCovered() {
    int kept = 0;
    for (int i = 0; i < live; i++) {
      ExtentCursor map = maps[i];
      boolean some = true;
      while (some && map.end <= reached) {
        some = map.next();
      }
      if (some) {
        maps[kept++] = map;
      }
    }
    live = kept;
  }
}
