package io.tidemark.extent;

import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.List;

/**
 * The final map of a run of writes. Consecutive writes that happen to lie in offset order form maps
 * of their own; these are overlaid eight at a time, so that a sequential run costs one pass and a
 * random one {@code n log n}. Not thread-safe.
 */
public final class WriteOverlay {
  private static final int MAPS_AT_ONCE = 8;

  private final List<ExtentMap> runs = new ArrayList<>();
  private ExtentMap.Builder run = new ExtentMap.Builder(16);
  private long writes;

  /** Adds the writes of a segment whose seq is at most {@code seqMax}; segments in seq order. */
  public WriteOverlay add(SegmentMeta meta, long segmentNumber, long seqMax) {
    int count = (int) Math.min(meta.count(), seqMax - meta.seq(0) + 1);
    for (int i = 0; i < count; i++) {
      if (meta.length(i) == 0) {
        continue;
      }
      long offset = meta.offset(i);
      if (offset < run.lastEnd()) {
        runs.add(run.finish());
        run = new ExtentMap.Builder(16);
      }
      long end = offset + meta.length(i);
      if (meta.zero(i)) {
        run.append(offset, end, meta.seq(i), ExtentCursor.ZERO_SEGMENT, 0, 0);
      } else {
        run.append(
            offset, end, meta.seq(i), segmentNumber, meta.dataPosition(i), meta.chunkBytes());
      }
      writes++;
    }
    return this;
  }

  /** Writes added so far, without those of no bytes. */
  public long writes() {
    return writes;
  }

  /** The map; nothing may be added afterwards. */
  public ExtentMap map() {
    runs.add(run.finish());
    List<ExtentMap> maps = runs;
    while (maps.size() > 1) {
      List<ExtentMap> merged = new ArrayList<>(maps.size() / MAPS_AT_ONCE + 1);
      for (int i = 0; i < maps.size(); i += MAPS_AT_ONCE) {
        merged.add(overlay(maps.subList(i, Math.min(maps.size(), i + MAPS_AT_ONCE))));
      }
      maps = merged;
    }
    return maps.get(0);
  }

  private static ExtentMap overlay(List<ExtentMap> oldestFirst) {
    int capacity = 0;
    ExtentCursor[] cursors = new ExtentCursor[oldestFirst.size()];
    for (int i = 0; i < cursors.length; i++) {
      cursors[i] = oldestFirst.get(i).cursor();
      capacity += oldestFirst.get(i).size();
    }
    ExtentMap.Builder merged = new ExtentMap.Builder(capacity);
    ExtentCursor overlay = new OverlayCursor(cursors);
    while (overlay.next()) {
      merged.add(overlay);
    }
    return merged.finish();
  }
}
