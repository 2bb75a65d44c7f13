package io.tidemark.index;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.WriteOverlay;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.ToLongFunction;

/**
 * What retention does with the index: finds where a history may be cut, walks over what is before
 * the cut, stores what stands for it (X5), and deletes what nothing refers to any more. Blocks the
 * calling thread; memory is that of one block a node.
 */
public final class BaseLayers {
  private final IndexStore store;
  private final StoredIndexReader reader;

  public BaseLayers(IndexStore store) {
    this.store = store;
    this.reader = new StoredIndexReader(store, Runnable::run, 0);
  }

  /**
   * A frontier cut at the end of a leaf.
   *
   * @param before nodes that lie before the cut and tile it, oldest first
   * @param across nodes over the cut: what is left of each is in {@code after}
   * @param after what takes the place of the nodes up to {@code prefixEndSeq}
   * @param prefixEndSeq end of the newest node of the frontier that the cut touches
   */
  public record Cut(
      List<NodeHeader> before, List<NodeHeader> across, List<NodeHeader> after, long prefixEndSeq) {
    /** End of what lies before the cut; empty when nothing does. */
    public Optional<NodeHeader> last() {
      return before.isEmpty() ? Optional.empty() : Optional.of(before.get(before.size() - 1));
    }
  }

  /**
   * Cuts a frontier behind the last leaf (or base) that passes.
   *
   * @param passes true up to some point of the history and false from there on
   */
  public Cut cut(VolumeId volume, List<NodeHeader> frontier, Predicate<NodeHeader> passes) {
    List<NodeHeader> before = new ArrayList<>();
    for (NodeHeader node : frontier) {
      if (!passes.test(node)) {
        List<NodeHeader> across = new ArrayList<>();
        List<NodeHeader> after = new ArrayList<>();
        int whole = before.size();
        descend(volume, node, passes, before, across, after);
        return before.size() == whole
            ? new Cut(before, List.of(), List.of(), end(before))
            : new Cut(before, across, after, node.lastSeq());
      }
      before.add(node);
    }
    return new Cut(before, List.of(), List.of(), end(before));
  }

  private static long end(List<NodeHeader> nodes) {
    return nodes.isEmpty() ? 0 : nodes.get(nodes.size() - 1).lastSeq();
  }

  /** Sorts the children of a node that does not pass; adds nothing when its first leaf fails. */
  private void descend(
      VolumeId volume,
      NodeHeader node,
      Predicate<NodeHeader> passes,
      List<NodeHeader> before,
      List<NodeHeader> across,
      List<NodeHeader> after) {
    if (node.level() == 1 || node.base()) {
      after.add(node);
      return;
    }
    int sizeBefore = before.size();
    int sizeAcross = across.size();
    across.add(node);
    List<NodeHeader> children = children(volume, node);
    boolean passed = true;
    for (NodeHeader child : children) {
      passed = passed && passes.test(child);
      if (passed) {
        before.add(child);
      } else if (after.isEmpty()) {
        descend(volume, child, passes, before, across, after);
      } else {
        after.add(child);
      }
    }
    if (before.size() == sizeBefore) {
      // The node is whole after the cut.
      across.subList(sizeAcross, across.size()).clear();
      after.clear();
      after.add(node);
    }
  }

  private List<NodeHeader> children(VolumeId volume, NodeHeader node) {
    return new Pending<>(reader.directory(volume, node)).await().children;
  }

  /** The whole map of a stored node. */
  public ExtentCursor scan(VolumeId volume, NodeHeader node) {
    return new NodeScan(
        store, volume, node.id(), new Pending<>(reader.directory(volume, node)).await());
  }

  /** The nodes of a subtree that tile it and hold none of the seqs but at their ends. */
  public List<NodeHeader> splitAt(VolumeId volume, NodeHeader node, List<Long> seqs) {
    boolean inside = seqs.stream().anyMatch(s -> s >= node.firstSeq() && s < node.lastSeq());
    if (!inside || node.level() == 1 || node.base()) {
      return List.of(node);
    }
    List<NodeHeader> parts = new ArrayList<>();
    for (NodeHeader child : children(volume, node)) {
      parts.addAll(splitAt(volume, child, seqs));
    }
    return parts;
  }

  /** The final map of the writes {@code afterSeq+1..lastSeq} of one leaf, from its events. */
  public static ExtentCursor partOfLeaf(
      SegmentHistory history, NodeHeader leaf, long afterSeq, long lastSeq) {
    WriteOverlay overlay = new WriteOverlay();
    List<SegmentEntry> entries =
        new Pending<>(history.segments(leaf.firstEventNr(), leaf.lastEventNr())).await();
    if (entries.isEmpty()) {
      throw new Refusal(
          ErrorCode.CORRUPT,
          "the journal has no segment in the events %d to %d that the index refers to"
              .formatted(leaf.firstEventNr(), leaf.lastEventNr()));
    }
    for (SegmentEntry entry : entries) {
      if (entry.meta().firstSeq().value() <= lastSeq) {
        overlay.add(entry.meta(), entry.segmentNumber(), lastSeq);
      }
    }
    ExtentCursor map = overlay.map().cursor();
    return new ExtentCursor() {
      @Override
      public boolean next() {
        while (map.next()) {
          if (map.seq() > afterSeq) {
            take(map, map.offset(), map.end());
            return true;
          }
        }
        return false;
      }
    };
  }

  /**
   * Stores a base (X3).
   *
   * @param bounds the run that it stands for; its id, level and sizes do not matter
   */
  public NodeHeader write(VolumeId volume, long id, NodeHeader bounds, ExtentCursor map) {
    NodeWriter node = new NodeWriter(store, volume, id);
    node.addAll(map);
    return node.finish((extents, root) -> NodeDirectory.base(bounds, extents, root));
  }

  /**
   * Deletes a node with everything below it, children first, so that a deletion that was broken off
   * finds its way again. What is gone already is passed by.
   */
  public void deleteTree(VolumeId volume, NodeHeader node) {
    if (node.level() > 1 && !node.base()) {
      try {
        for (NodeHeader child : children(volume, node)) {
          deleteTree(volume, child);
        }
      } catch (Refusal e) {
        if (e.code() != ErrorCode.CORRUPT) {
          throw e;
        }
      }
    }
    delete(volume, node.id());
  }

  /** Deletes one stored thing by its id. */
  public void delete(VolumeId volume, long id) {
    new Pending<>(store.deleteNode(volume, id)).await();
  }

  /** Extents below a node of the history, for deciding whether a merge is worth its cost. */
  public static long sum(List<NodeHeader> nodes, ToLongFunction<NodeHeader> value) {
    return nodes.stream().mapToLong(value).sum();
  }

  /** Reads a range of events; blocks. */
  public static List<SegmentEntry> events(SegmentHistory history, long from, long to) {
    return new Pending<>(history.segments(from, to)).await();
  }
}
