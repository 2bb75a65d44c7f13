package io.tidemark.index;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.ExtentMap;
import io.tidemark.extent.MapBlock;
import io.tidemark.extent.OverlayCursor;
import io.tidemark.position.VolumeId;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The index as of one write seq (X2): the nodes that tile the history up to it, and the writes of
 * part of a leaf in memory. Immutable; usable by any number of threads.
 */
public final class IndexSnapshot {
  static final int PART_BLOCKS_MAX = 4;

  private final StoredIndexReader reader;
  private final VolumeId volume;
  private final long seq;
  private final List<NodeHeader> nodes;
  private final ExtentMap recent;

  IndexSnapshot(
      StoredIndexReader reader,
      VolumeId volume,
      long seq,
      List<NodeHeader> oldestFirst,
      ExtentMap recent) {
    this.reader = reader;
    this.volume = volume;
    this.seq = seq;
    this.nodes = List.copyOf(oldestFirst);
    this.recent = recent;
  }

  public VolumeId volume() {
    return volume;
  }

  public long seq() {
    return seq;
  }

  /** Stored nodes that a lookup may have to look into. */
  public int nodeCount() {
    return nodes.size();
  }

  /** Extents of the newest writes, which are held in memory. */
  public int recentExtents() {
    return recent.size();
  }

  /**
   * Where the content of {@code [from, to)} is; the whole answer is in memory at once, with every
   * block it came from; for long ranges there is {@link #resolvePart}.
   */
  public CompletableFuture<ExtentMap> resolve(long from, long to) {
    return resolve(from, to, 0);
  }

  /** Like {@link #resolve}, but only what was written after {@code afterSeq}. */
  public CompletableFuture<ExtentMap> resolve(long from, long to, long afterSeq) {
    if (from >= to) {
      return StoredIndexReader.done(ExtentMap.EMPTY);
    }
    List<CompletableFuture<List<MapBlock>>> layers = new ArrayList<>(nodes.size());
    for (NodeHeader node : nodes) {
      if (node.lastSeq() > afterSeq) {
        layers.add(reader.blocks(volume, node, from, to));
      }
    }
    return StoredIndexReader.all(layers).thenApply(blocks -> overlay(blocks, from, to, afterSeq));
  }

  /**
   * Part of an answer.
   *
   * @param map the extents of the part
   * @param end where the next part begins
   */
  public record Part(ExtentMap map, long end) {}

  /**
   * Like {@link #resolve(long, long, long)}, but only up to an end that keeps the answer small: at
   * most {@link #PART_BLOCKS_MAX} map blocks of each node.
   */
  public CompletableFuture<Part> resolvePart(long from, long to, long afterSeq) {
    List<CompletableFuture<Long>> ends = new ArrayList<>(nodes.size());
    for (NodeHeader node : nodes) {
      if (node.lastSeq() > afterSeq) {
        ends.add(reader.boundedEnd(volume, node, from, to, PART_BLOCKS_MAX));
      }
    }
    return StoredIndexReader.all(ends)
        .thenApply(all -> all.stream().mapToLong(Long::longValue).min().orElse(to))
        .thenCompose(end -> resolve(from, end, afterSeq).thenApply(map -> new Part(map, end)));
  }

  private ExtentMap overlay(List<List<MapBlock>> layers, long from, long to, long afterSeq) {
    List<ExtentCursor> cursors = new ArrayList<>(layers.size() + 1);
    for (List<MapBlock> layer : layers) {
      if (layer.size() == 1) {
        cursors.add(layer.get(0).cursor(from, to));
      } else if (!layer.isEmpty()) {
        cursors.add(new BlocksCursor(layer, from, to));
      }
    }
    if (recent.size() > 0) {
      cursors.add(recent.cursor(from, to));
    }
    ExtentCursor overlay = new OverlayCursor(cursors.toArray(ExtentCursor[]::new));
    ExtentMap.Builder map = new ExtentMap.Builder(16);
    while (overlay.next()) {
      if (overlay.seq() > afterSeq) {
        map.add(overlay);
      }
    }
    return map.build();
  }

  private static final class BlocksCursor extends ExtentCursor {
    private final List<MapBlock> blocks;
    private final long from;
    private final long to;
    private int next;
    private ExtentCursor block;

    BlocksCursor(List<MapBlock> blocks, long from, long to) {
      this.blocks = blocks;
      this.from = from;
      this.to = to;
    }

    @Override
    public boolean next() {
      while (block == null || !block.next()) {
        if (next == blocks.size()) {
          return false;
        }
        block = blocks.get(next++).cursor(from, to);
      }
      take(block, block.offset(), block.end());
      return true;
    }
  }
}
