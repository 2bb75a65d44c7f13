package io.tidemark.index;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.ExtentMap;
import io.tidemark.extent.OverlayCursor;
import io.tidemark.extent.WriteOverlay;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/**
 * Builds index nodes and stores them. The same segments give the same bytes, so building a node
 * again under its id after a crash is safe.
 */
public final class StoredIndexWriter implements IndexWriter {
  /** Segments of one leaf, at most. */
  public static final int LEAF_SEGMENTS_MAX = NodeDirectory.CHILDREN_MAX;

  private final IndexStore store;
  private final StoredIndexReader reader;
  private final Executor executor;

  /**
   * @param executor runs the building, one node a task; its threads wait for the store, so it must
   *     not be the executor that completes the store's stages
   */
  public StoredIndexWriter(IndexStore store, Executor executor) {
    this.store = store;
    this.reader = new StoredIndexReader(store, Runnable::run, 0);
    this.executor = executor;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Fails with {@code INVALID} when there is no segment, more than {@link #LEAF_SEGMENTS_MAX},
   * or when they are not in seq and event order.
   */
  @Override
  public CompletionStage<NodeHeader> leaf(
      VolumeId volume, long nodeId, List<SegmentEntry> segments) {
    return build(() -> buildLeaf(volume, nodeId, List.copyOf(segments)));
  }

  /**
   * {@inheritDoc}
   *
   * <p>Reads the children as a stream: memory does not grow with their size. Fails with {@code
   * INVALID} when there is no child or when they are not consecutive nodes of one level, with
   * {@code CORRUPT} when one cannot be read.
   */
  @Override
  public CompletionStage<NodeHeader> merge(
      VolumeId volume, long nodeId, List<NodeHeader> children) {
    return build(() -> buildInner(volume, nodeId, List.copyOf(children)));
  }

  private CompletionStage<NodeHeader> build(Supplier<NodeHeader> work) {
    return CompletableFuture.supplyAsync(work, executor);
  }

  private NodeHeader buildLeaf(VolumeId volume, long nodeId, List<SegmentEntry> segments) {
    checkOrder(segments);
    WriteOverlay overlay = new WriteOverlay();
    for (SegmentEntry entry : segments) {
      overlay.add(entry.meta(), entry.segmentNumber(), Long.MAX_VALUE - 1);
    }
    ExtentMap map = overlay.map();
    NodeWriter node = new NodeWriter(store, volume, nodeId);
    node.addAll(map.cursor());
    return node.finish((extents, root) -> NodeDirectory.leaf(segments, extents, root));
  }

  private NodeHeader buildInner(VolumeId volume, long nodeId, List<NodeHeader> children) {
    if (children.isEmpty() || children.size() > NodeDirectory.CHILDREN_MAX) {
      throw new Refusal(ErrorCode.INVALID, "an index node of " + children.size() + " children");
    }
    int level = children.get(0).level();
    ExtentCursor[] maps = new ExtentCursor[children.size()];
    for (int i = 0; i < maps.length; i++) {
      NodeHeader child = children.get(i);
      if (child.level() != level || (i > 0 && child.firstSeq() <= children.get(i - 1).lastSeq())) {
        throw new Refusal(ErrorCode.INVALID, "index nodes out of order: " + children);
      }
      NodeDirectory directory = new Pending<>(reader.directory(volume, child)).await();
      maps[i] = new NodeScan(store, volume, child.id(), directory);
    }
    NodeWriter node = new NodeWriter(store, volume, nodeId);
    node.addAll(new OverlayCursor(maps));
    return node.finish((extents, root) -> NodeDirectory.inner(children, extents, root));
  }

  private static void checkOrder(List<SegmentEntry> segments) {
    if (segments.isEmpty() || segments.size() > LEAF_SEGMENTS_MAX) {
      throw new Refusal(ErrorCode.INVALID, "an index leaf of " + segments.size() + " segments");
    }
    for (int i = 1; i < segments.size(); i++) {
      SegmentEntry before = segments.get(i - 1);
      SegmentEntry entry = segments.get(i);
      if (entry.meta().firstSeq().value() <= before.meta().lastSeq().value()
          || entry.eventNr() <= before.eventNr()) {
        throw new Refusal(
            ErrorCode.INVALID,
            "segments out of order: %s of event %d before %s of event %d"
                .formatted(before.meta(), before.eventNr(), entry.meta(), entry.eventNr()));
      }
    }
  }
}
