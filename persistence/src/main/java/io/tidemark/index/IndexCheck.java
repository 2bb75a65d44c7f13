package io.tidemark.index;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.ExtentMap;
import io.tidemark.extent.OverlayCursor;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;

/**
 * Checks a volume's index against its journal, and builds it anew. Every leaf is compared with a
 * replay of its segments by another algorithm than the one that built it; every inner node with the
 * overlay of its children, as a stream. Blocks the calling thread; memory is that of one leaf.
 */
public final class IndexCheck {
  /** Problems that are reported; the check ends when there are more. */
  public static final int PROBLEMS_MAX = 100;

  private static final int EVENTS_AT_ONCE = 64;

  private final IndexStore store;
  private final StoredIndexReader reader;

  /**
   * What a check found.
   *
   * @param nodes index nodes that were compared
   * @param segments journaled segments that were replayed
   * @param writes their writes
   * @param extents extents of all maps that were compared
   * @param problems one sentence each; empty when the index is right
   */
  public record Report(
      long nodes, long segments, long writes, long extents, List<String> problems) {
    public boolean right() {
      return problems.isEmpty();
    }
  }

  public IndexCheck(IndexStore store) {
    this.store = store;
    this.reader = new StoredIndexReader(store, Runnable::run, 0);
  }

  /**
   * Checks the whole tree and that the journal has no segment that it misses.
   *
   * @param progress is told the number of the newest event that was checked
   */
  public Report check(IndexedHistory history, long sizeBytes, LongConsumer progress) {
    Run run = new Run(history, sizeBytes, progress);
    try {
      Frontier.check(history.frontier());
    } catch (IllegalArgumentException e) {
      run.problem(e.getMessage());
    }
    for (NodeHeader layer : history.kept()) {
      if (history.frontier().isEmpty() || layer.id() != history.frontier().get(0).id()) {
        run.node(layer);
      }
    }
    for (NodeHeader node : history.frontier()) {
      run.node(node);
    }
    run.tail();
    return new Report(run.nodes, run.segments, run.writes, run.extents, List.copyOf(run.problems));
  }

  /**
   * Builds the whole index anew.
   *
   * @param nodeIds gives ids that were never used in the volume
   * @param leafSegments segments of a leaf
   * @param leafWrites writes of a leaf, at most, when it has more than one segment
   * @return the frontier; segments after its last node do not fill a leaf yet
   */
  public static List<NodeHeader> rebuild(
      VolumeId volume,
      SegmentHistory history,
      long toEventNr,
      IndexWriter writer,
      LongSupplier nodeIds,
      int leafSegments,
      int leafWrites) {
    List<NodeHeader> frontier = new ArrayList<>();
    List<SegmentEntry> leaf = new ArrayList<>();
    long writes = 0;
    for (long from = 1; from <= toEventNr; from += EVENTS_AT_ONCE) {
      long to = Math.min(toEventNr, from + EVENTS_AT_ONCE - 1);
      for (SegmentEntry entry : new Pending<>(history.segments(from, to)).await()) {
        leaf.add(entry);
        writes += entry.meta().count();
        if (leaf.size() >= leafSegments || writes >= leafWrites) {
          NodeHeader node = new Pending<>(writer.leaf(volume, nodeIds.getAsLong(), leaf)).await();
          frontier = grow(volume, frontier, node, writer, nodeIds);
          leaf.clear();
          writes = 0;
        }
      }
    }
    return List.copyOf(frontier);
  }

  private static List<NodeHeader> grow(
      VolumeId volume,
      List<NodeHeader> frontier,
      NodeHeader leaf,
      IndexWriter writer,
      LongSupplier nodeIds) {
    List<NodeHeader> grown = new ArrayList<>(frontier);
    grown.add(leaf);
    var due = Frontier.mergeable(grown);
    while (due.isPresent()) {
      NodeHeader merged =
          new Pending<>(writer.merge(volume, nodeIds.getAsLong(), due.get())).await();
      grown = new ArrayList<>(Frontier.replace(grown, merged));
      due = Frontier.mergeable(grown);
    }
    return grown;
  }

  private final class Run {
    private final IndexedHistory history;
    private final long sizeBytes;
    private final LongConsumer progress;
    private final List<String> problems = new ArrayList<>();
    private long nodes;
    private long segments;
    private long writes;
    private long extents;
    private long reachedEvent;
    private long reachedSeq;

    Run(IndexedHistory history, long sizeBytes, LongConsumer progress) {
      this.history = history;
      this.sizeBytes = sizeBytes;
      this.progress = progress;
    }

    void problem(String sentence) {
      if (problems.size() < PROBLEMS_MAX) {
        problems.add(sentence);
      }
    }

    void node(NodeHeader node) {
      if (problems.size() == PROBLEMS_MAX) {
        return;
      }
      try {
        NodeDirectory directory = new Pending<>(reader.directory(history.volume(), node)).await();
        if (node.base()) {
          base(node, directory);
        } else if (directory.level == 1) {
          leaf(node, directory);
        } else {
          inner(node, directory);
        }
        nodes++;
      } catch (Refusal e) {
        problem(e.getMessage());
        reachedEvent = Math.max(reachedEvent, node.lastEventNr());
        reachedSeq = Math.max(reachedSeq, node.lastSeq());
      }
    }

    /**
     * What a base was made of is gone: checks that its map is in order, inside the volume, of its
     * own run's writes (X1, X5), and, when layers lie below it, that it is their overlay.
     */
    private void base(NodeHeader node, NodeDirectory directory) {
      boolean top = history.frontier().contains(node);
      if (top && history.kept().size() > 1) {
        ExtentCursor[] maps = new ExtentCursor[history.kept().size()];
        for (int i = 0; i < maps.length; i++) {
          NodeHeader layer = history.kept().get(i);
          NodeDirectory below = new Pending<>(reader.directory(history.volume(), layer)).await();
          maps[i] = new NodeScan(store, history.volume(), layer.id(), below);
        }
        long zeroUpTo = history.kept().get(0).lastSeq();
        compare(node, new WithoutZeroes(new OverlayCursor(maps), zeroUpTo), directory);
      } else {
        ExtentCursor map = new NodeScan(store, history.volume(), node.id(), directory);
        compare(node, map, directory);
      }
      ExtentCursor map = new NodeScan(store, history.volume(), node.id(), directory);
      while (map.next()) {
        if (map.seq() < node.firstSeq() || map.seq() > node.lastSeq()) {
          problem(
              "X5: index node %d of writes %d to %d maps %s"
                  .formatted(node.id(), node.firstSeq(), node.lastSeq(), text(map)));
          break;
        }
      }
      reachedEvent = Math.max(reachedEvent, node.lastEventNr());
      reachedSeq = Math.max(reachedSeq, node.lastSeq());
    }

    private void leaf(NodeHeader node, NodeDirectory directory) {
      ReplayedMap model = new ReplayedMap();
      int index = 0;
      for (long from = reachedEvent + 1; from <= node.lastEventNr(); from += EVENTS_AT_ONCE) {
        long to = Math.min(node.lastEventNr(), from + EVENTS_AT_ONCE - 1);
        for (SegmentEntry entry : new Pending<>(history.segments().segments(from, to)).await()) {
          seen(entry);
          if (index == directory.segmentCount() || !same(directory, index, entry)) {
            problem(
                "index node %d does not know the %s of event %d"
                    .formatted(node.id(), entry.meta(), entry.eventNr()));
          } else {
            index++;
          }
          model.add(entry);
        }
      }
      if (index < directory.segmentCount()) {
        problem(
            "index node %d refers to event %d, which the journal does not have"
                .formatted(node.id(), directory.segmentEventNr(index)));
      }
      reachedEvent = node.lastEventNr();
      compare(node, model.cursor(), directory);
      progress.accept(reachedEvent);
    }

    private void seen(SegmentEntry entry) {
      segments++;
      writes += entry.meta().count();
      if (entry.meta().firstSeq().value() <= reachedSeq) {
        problem("event %d repeats seqs: %s".formatted(entry.eventNr(), entry.meta()));
      }
      reachedSeq = entry.meta().lastSeq().value();
    }

    private static boolean same(NodeDirectory directory, int i, SegmentEntry entry) {
      SegmentMeta meta = entry.meta();
      return directory.segmentEventNr(i) == entry.eventNr()
          && directory.segmentFirstSeq(i) == meta.firstSeq().value()
          && directory.segmentLastSeq(i) == meta.lastSeq().value()
          && directory.segmentFirstTime(i) == meta.firstTime().micros()
          && directory.segmentLastTime(i) == meta.lastTime().micros();
    }

    private void inner(NodeHeader node, NodeDirectory directory) {
      ExtentCursor[] maps = new ExtentCursor[directory.children.size()];
      for (int i = 0; i < maps.length; i++) {
        NodeHeader child = directory.children.get(i);
        if (child.level() != node.level() - 1) {
          problem("index node %d has a child of level %d".formatted(node.id(), child.level()));
        }
        node(child);
        NodeDirectory below = new Pending<>(reader.directory(history.volume(), child)).await();
        maps[i] = new NodeScan(store, history.volume(), child.id(), below);
      }
      compare(node, new OverlayCursor(maps), directory);
    }

    /** Compares a node's map with what it must be, and checks X1 on the way. */
    private void compare(NodeHeader node, ExtentCursor expected, NodeDirectory directory) {
      JoinedCursor right = new JoinedCursor(expected);
      ExtentCursor stored = new NodeScan(store, history.volume(), node.id(), directory);
      long count = 0;
      long end = 0;
      boolean more = true;
      while (more) {
        more = right.next();
        boolean has = stored.next();
        if (has && (stored.offset() < end || stored.end() <= stored.offset())) {
          problem("X1: index node %d is out of order at %s".formatted(node.id(), text(stored)));
        }
        if (has != more || (more && !equal(right, stored))) {
          problem(
              "index node %d maps %s where the journal has %s"
                  .formatted(
                      node.id(), has ? text(stored) : "nothing", more ? text(right) : "nothing"));
          return;
        }
        if (has) {
          end = stored.end();
          count++;
        }
      }
      extents += count;
      if (count != node.extents()) {
        problem(
            "index node %d has %d extents, its header says %d"
                .formatted(node.id(), count, node.extents()));
      }
      if (end > sizeBytes) {
        problem("X1: index node %d maps offset %d past the end".formatted(node.id(), end));
      }
    }

    void tail() {
      long last = Math.max(reachedEvent, history.tailToEventNr());
      for (long from = reachedEvent + 1; from <= last; from += EVENTS_AT_ONCE) {
        long to = Math.min(last, from + EVENTS_AT_ONCE - 1);
        for (SegmentEntry entry : new Pending<>(history.segments().segments(from, to)).await()) {
          seen(entry);
          if (entry.eventNr() < history.tailFromEventNr()) {
            problem(
                "no index node covers the %s of event %d".formatted(entry.meta(), entry.eventNr()));
          }
        }
        progress.accept(to);
      }
    }
  }

  private static boolean equal(ExtentCursor a, ExtentCursor b) {
    return a.offset() == b.offset()
        && a.end() == b.end()
        && a.seq() == b.seq()
        && a.segment() == b.segment()
        && a.position() == b.position()
        && a.chunkBytes() == b.chunkBytes();
  }

  private static String text(ExtentCursor c) {
    return "%d..%d to write %d, segment %d at %d"
        .formatted(c.offset(), c.end(), c.seq(), c.segment(), c.position());
  }

  /** Leaves out what was zeroed up to a write, like the base of a cut history. */
  private static final class WithoutZeroes extends ExtentCursor {
    private final ExtentCursor map;
    private final long upToSeq;

    WithoutZeroes(ExtentCursor map, long upToSeq) {
      this.map = map;
      this.upToSeq = upToSeq;
    }

    @Override
    public boolean next() {
      do {
        if (!map.next()) {
          return false;
        }
      } while (map.segment() == ZERO_SEGMENT && map.seq() <= upToSeq);
      take(map, map.offset(), map.end());
      return true;
    }
  }

  /** Joins pieces of one extent that touch, as {@link ExtentMap.Builder} does. */
  private static final class JoinedCursor extends ExtentCursor {
    private final ExtentCursor pieces;
    private boolean ready;

    JoinedCursor(ExtentCursor pieces) {
      this.pieces = pieces;
      this.ready = pieces.next();
    }

    @Override
    public boolean next() {
      if (!ready) {
        return false;
      }
      take(pieces, pieces.offset(), pieces.end());
      ready = pieces.next();
      while (ready
          && pieces.offset() == end
          && pieces.seq() == seq
          && pieces.segment() == segment
          && (segment == ZERO_SEGMENT || pieces.position() == position + (end - offset))) {
        end = pieces.end();
        ready = pieces.next();
      }
      return true;
    }
  }

  /** A map kept the plain way: one entry an extent, each write cut into what it overlaps. */
  private static final class ReplayedMap {
    private record Extent(long end, long seq, long segment, long position, int chunkBytes) {
      Extent from(long skip) {
        return new Extent(end, seq, segment, segment < 0 ? 0 : position + skip, chunkBytes);
      }

      Extent until(long newEnd) {
        return new Extent(newEnd, seq, segment, position, chunkBytes);
      }
    }

    private final TreeMap<Long, Extent> extents = new TreeMap<>();

    void add(SegmentEntry entry) {
      SegmentMeta meta = entry.meta();
      for (int i = 0; i < meta.count(); i++) {
        if (meta.length(i) > 0) {
          long offset = meta.offset(i);
          long end = offset + meta.length(i);
          cutAt(offset);
          cutAt(end);
          extents.subMap(offset, end).clear();
          Extent extent =
              meta.zero(i)
                  ? new Extent(end, meta.seq(i), ExtentCursor.ZERO_SEGMENT, 0, 0)
                  : new Extent(
                      end,
                      meta.seq(i),
                      entry.segmentNumber(),
                      meta.dataPosition(i),
                      meta.chunkBytes());
          extents.put(offset, extent);
        }
      }
    }

    private void cutAt(long offset) {
      Map.Entry<Long, Extent> below = extents.lowerEntry(offset);
      if (below != null && below.getValue().end() > offset) {
        Extent whole = below.getValue();
        extents.put(below.getKey(), whole.until(offset));
        extents.put(offset, whole.from(offset - below.getKey()));
      }
    }

    ExtentCursor cursor() {
      var entries = extents.entrySet().iterator();
      return new ExtentCursor() {
        @Override
        public boolean next() {
          if (!entries.hasNext()) {
            return false;
          }
          Map.Entry<Long, Extent> entry = entries.next();
          Extent value = entry.getValue();
          offset = entry.getKey();
          end = value.end();
          seq = value.seq();
          segment = value.segment();
          position = value.position();
          chunkBytes = value.chunkBytes();
          return true;
        }
      };
    }
  }
}
