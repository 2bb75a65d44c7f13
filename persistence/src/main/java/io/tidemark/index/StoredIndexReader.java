package io.tidemark.index;

import io.tidemark.extent.ExtentMap;
import io.tidemark.extent.FencePage;
import io.tidemark.extent.MapBlock;
import io.tidemark.extent.WriteOverlay;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * Reads stored index nodes through one cache that all volumes and readers of the process share.
 * Never blocks. Thread-safe.
 */
public final class StoredIndexReader {
  /** Events of the tail that are asked for at once. */
  static final int TAIL_EVENTS = 64;

  private static final int DIRECTORY = -1;

  private final IndexStore store;
  private final Executor executor;
  private final BlockCache<Key, Object> cache;

  private record Key(VolumeId volume, long nodeId, int block) {}

  /** A write in a history; seq 0 stands for "before the first". */
  public record WritePosition(long seq, long timeMicros) {}

  /**
   * @param executor decompresses and decodes what the store delivers, so that the store's threads
   *     need not; its tasks never wait
   * @param cacheBytesMax memory for headers, fences and map blocks; 0 keeps nothing
   */
  public StoredIndexReader(IndexStore store, Executor executor, long cacheBytesMax) {
    this.store = store;
    this.executor = executor;
    this.cache = new BlockCache<>(cacheBytesMax, StoredIndexReader::weight);
  }

  private static int weight(Object value) {
    if (value instanceof MapBlock block) {
      return block.weight();
    }
    return value instanceof FencePage page ? page.weight() : ((NodeDirectory) value).weight();
  }

  /** Memory that the cache holds now, in bytes. */
  public long cachedBytes() {
    return cache.bytes();
  }

  /**
   * The state as of {@code seq}: reads the headers on the way down to the leaf that {@code seq}
   * lies in, and at most that leaf's events or those of the tail.
   */
  public CompletableFuture<IndexSnapshot> snapshot(IndexedHistory history, long seq) {
    List<NodeHeader> whole = new ArrayList<>();
    if (seq == 0) {
      return done(new IndexSnapshot(this, history.volume(), 0, whole, ExtentMap.EMPTY));
    }
    for (NodeHeader node : history.frontier()) {
      if (node.base() && node.lastSeq() > seq) {
        return kept(history, seq);
      }
      if (node.lastSeq() > seq) {
        return node.firstSeq() > seq
            ? done(new IndexSnapshot(this, history.volume(), seq, whole, ExtentMap.EMPTY))
            : descend(history, node, seq, whole);
      }
      whole.add(node);
    }
    WriteOverlay overlay = new WriteOverlay();
    TailVisitor adding =
        entry -> {
          if (entry.meta().firstSeq().value() > seq) {
            return false;
          }
          overlay.add(entry.meta(), entry.segmentNumber(), seq);
          return true;
        };
    long indexed = whole.isEmpty() ? 0 : whole.get(whole.size() - 1).lastSeq();
    CompletableFuture<Void> tail = seq > indexed ? tail(history, adding) : done(null);
    return tail.thenApply(
        read -> new IndexSnapshot(this, history.volume(), seq, whole, overlay.map()));
  }

  /** A point that was kept when the horizon had passed it (X5). */
  private CompletableFuture<IndexSnapshot> kept(IndexedHistory history, long seq) {
    List<NodeHeader> layers =
        history.kept().stream().filter(layer -> layer.lastSeq() <= seq).toList();
    if (layers.isEmpty() || layers.get(layers.size() - 1).lastSeq() != seq) {
      return CompletableFuture.failedFuture(
          new Refusal(
              ErrorCode.BEYOND_HORIZON,
              "seq:%d is older than the horizon and was not kept".formatted(seq)));
    }
    return done(new IndexSnapshot(this, history.volume(), seq, layers, ExtentMap.EMPTY));
  }

  /** Adds the nodes and, below them, the writes of one leaf that tile {@code node} up to seq. */
  private CompletableFuture<IndexSnapshot> descend(
      IndexedHistory history, NodeHeader node, long seq, List<NodeHeader> whole) {
    return directory(history.volume(), node)
        .thenCompose(
            directory -> {
              for (NodeHeader child : directory.children) {
                if (child.lastSeq() > seq) {
                  return child.firstSeq() > seq
                      ? done(new IndexSnapshot(this, history.volume(), seq, whole, ExtentMap.EMPTY))
                      : descend(history, child, seq, whole);
                }
                whole.add(child);
              }
              return partOfLeaf(history, directory, seq)
                  .thenApply(map -> new IndexSnapshot(this, history.volume(), seq, whole, map));
            });
  }

  private CompletableFuture<ExtentMap> partOfLeaf(
      IndexedHistory history, NodeDirectory leaf, long seq) {
    int last = leaf.segmentAtSeq(seq);
    if (last < 0) {
      return done(ExtentMap.EMPTY);
    }
    return events(history, leaf.segmentEventNr(0), leaf.segmentEventNr(last))
        .thenApply(
            entries -> {
              WriteOverlay overlay = new WriteOverlay();
              for (SegmentEntry entry : entries) {
                overlay.add(entry.meta(), entry.segmentNumber(), seq);
              }
              if (entries.size() != last + 1) {
                throw new Refusal(
                    ErrorCode.CORRUPT,
                    "the index refers to %d segments in events %d to %d, the journal has %d"
                        .formatted(
                            last + 1,
                            leaf.segmentEventNr(0),
                            leaf.segmentEventNr(last),
                            entries.size()));
              }
              return overlay.map();
            });
  }

  /** The last write whose seq is not above {@code seq}; reads at most one event. */
  public CompletableFuture<WritePosition> atSeq(IndexedHistory history, long seq) {
    return locate(history, seq, false);
  }

  /** The last write whose timestamp is not later; reads at most one event. */
  public CompletableFuture<WritePosition> atTime(IndexedHistory history, long micros) {
    return locate(history, micros, true);
  }

  private CompletableFuture<WritePosition> locate(
      IndexedHistory history, long value, boolean byTime) {
    if (indexed(history, value, byTime)) {
      return among(history, history.frontier(), value, byTime)
          .thenCompose(spot -> exact(history, spot, value, byTime));
    }
    WritePosition[] best = {newest(history).lastPosition()};
    TailVisitor searching =
        entry -> {
          int index = index(entry, value, byTime);
          if (index >= 0) {
            best[0] = position(entry, index);
          }
          return index == entry.meta().count() - 1;
        };
    return tail(history, searching).thenApply(read -> best[0]);
  }

  /** Whether the frontier has a later write, so that the tail need not be looked at. */
  private static boolean indexed(IndexedHistory history, long value, boolean byTime) {
    List<NodeHeader> frontier = history.frontier();
    return !frontier.isEmpty() && last(frontier.get(frontier.size() - 1), byTime) > value;
  }

  /** The last write of the frontier. */
  private static Spot newest(IndexedHistory history) {
    List<NodeHeader> frontier = history.frontier();
    return frontier.isEmpty() ? Spot.NONE : Spot.after(frontier.get(frontier.size() - 1));
  }

  /**
   * Where a position lies: exactly after {@code lastSeq} when {@code eventNr} is 0, otherwise
   * inside the segment of that event.
   */
  public record Spot(
      long firstSeq, long lastSeq, long firstTimeMicros, long lastTimeMicros, long eventNr) {
    static final Spot NONE = new Spot(0, 0, 0, 0, 0);

    static Spot after(NodeHeader node) {
      return new Spot(
          node.firstSeq(), node.lastSeq(), node.firstTimeMicros(), node.lastTimeMicros(), 0);
    }

    WritePosition lastPosition() {
      return new WritePosition(lastSeq, lastTimeMicros);
    }
  }

  /** Where {@code micros} lies in the indexed part of the history; reads no event. */
  public CompletableFuture<Spot> spotAtTime(IndexedHistory history, long micros) {
    return indexed(history, micros, true)
        ? among(history, history.frontier(), micros, true)
        : done(newest(history));
  }

  private CompletableFuture<Spot> among(
      IndexedHistory history, List<NodeHeader> nodes, long value, boolean byTime) {
    NodeHeader found = null;
    for (NodeHeader node : nodes) {
      if ((byTime ? node.firstTimeMicros() : node.firstSeq()) <= value) {
        found = node;
      }
    }
    if (found == null) {
      return done(Spot.NONE);
    }
    if (found.base() || last(found, byTime) <= value) {
      return done(Spot.after(found));
    }
    return directory(history.volume(), found)
        .thenCompose(
            directory ->
                directory.level == 1
                    ? done(inLeaf(directory, value, byTime))
                    : among(history, directory.children, value, byTime));
  }

  private static Spot inLeaf(NodeDirectory leaf, long value, boolean byTime) {
    int i = byTime ? leaf.segmentAtTime(value) : leaf.segmentAtSeq(value);
    if (i < 0) {
      return Spot.NONE;
    }
    long end = byTime ? leaf.segmentLastTime(i) : leaf.segmentLastSeq(i);
    return new Spot(
        leaf.segmentFirstSeq(i),
        leaf.segmentLastSeq(i),
        leaf.segmentFirstTime(i),
        leaf.segmentLastTime(i),
        end <= value ? 0 : leaf.segmentEventNr(i));
  }

  private static CompletableFuture<WritePosition> exact(
      IndexedHistory history, Spot spot, long value, boolean byTime) {
    if (spot.eventNr() == 0) {
      return done(spot.lastPosition());
    }
    return events(history, spot.eventNr(), spot.eventNr())
        .thenApply(
            entries -> {
              int index = entries.isEmpty() ? -1 : index(entries.get(0), value, byTime);
              if (index < 0) {
                throw new Refusal(
                    ErrorCode.CORRUPT,
                    "event %d of the journal is not the segment that the index refers to"
                        .formatted(spot.eventNr()));
              }
              return position(entries.get(0), index);
            });
  }

  private static long last(NodeHeader node, boolean byTime) {
    return byTime ? node.lastTimeMicros() : node.lastSeq();
  }

  private static WritePosition position(SegmentEntry entry, int index) {
    return new WritePosition(entry.meta().seq(index), entry.meta().timeMicros(index));
  }

  private static int index(SegmentEntry entry, long value, boolean byTime) {
    return byTime
        ? entry.meta().indexAtTime(value)
        : (int) Math.max(-1, Math.min(entry.meta().count() - 1L, value - entry.meta().seq(0)));
  }

  /** Sees the tail's segments in order until it returns false. */
  @FunctionalInterface
  public interface TailVisitor {
    boolean visit(SegmentEntry entry);
  }

  /** Reads the segments after the frontier, a few events at a time. */
  public CompletableFuture<Void> tail(IndexedHistory history, TailVisitor visitor) {
    return tailFrom(history, visitor, history.tailFromEventNr());
  }

  private CompletableFuture<Void> tailFrom(IndexedHistory history, TailVisitor visitor, long from) {
    if (from > history.tailToEventNr()) {
      return done(null);
    }
    long to = Math.min(history.tailToEventNr(), from + TAIL_EVENTS - 1);
    return events(history, from, to)
        .thenCompose(
            entries -> {
              for (SegmentEntry entry : entries) {
                if (!visitor.visit(entry)) {
                  return done(null);
                }
              }
              return tailFrom(history, visitor, to + 1);
            });
  }

  static CompletableFuture<List<SegmentEntry>> events(IndexedHistory history, long from, long to) {
    return history.segments().segments(from, to).toCompletableFuture();
  }

  /** A node's header; fails with {@code CORRUPT} when it is not the one that was asked for. */
  CompletableFuture<NodeDirectory> directory(VolumeId volume, NodeHeader node) {
    return cached(
        new Key(volume, node.id(), DIRECTORY),
        NodeDirectory.class,
        () -> loadDirectory(volume, node));
  }

  private CompletableFuture<Object> loadDirectory(VolumeId volume, NodeHeader node) {
    return headerPiece(volume, node, 0)
        .thenCompose(
            first -> {
              int bytes = NodeWriter.headerBytes(node.id(), first);
              int more = (bytes - 1) / NodeWriter.HEADER_PIECE_BYTES;
              List<CompletableFuture<byte[]>> pieces = new ArrayList<>(more + 1);
              pieces.add(done(first));
              for (int i = 0; i < more; i++) {
                pieces.add(headerPiece(volume, node, node.blocks() - more + i));
              }
              return all(pieces);
            })
        .thenApply(pieces -> toDirectory(node, NodeWriter.joinHeader(node.id(), pieces)));
  }

  private static NodeDirectory toDirectory(NodeHeader node, byte[] header) {
    NodeDirectory directory = NodeFormat.decoded(node.id(), 0, header, NodeDirectory::decode);
    if (!directory.belongsTo(node)) {
      throw NodeFormat.corrupt(node.id(), 0, "it does not cover what the journal says", null);
    }
    return directory;
  }

  private CompletableFuture<byte[]> headerPiece(VolumeId volume, NodeHeader node, int block) {
    return store
        .readBlock(volume, node.id(), block)
        .thenApplyAsync(
            stored -> NodeFormat.content(NodeFormat.HEADER, node.id(), block, stored), executor)
        .toCompletableFuture();
  }

  /** The map blocks of a node that may have content of {@code [from, to)}, in offset order. */
  CompletableFuture<List<MapBlock>> blocks(VolumeId volume, NodeHeader node, long from, long to) {
    return directory(volume, node)
        .thenCompose(directory -> blocks(volume, node.id(), directory.root, from, to));
  }

  private CompletableFuture<List<MapBlock>> blocks(
      VolumeId volume, long nodeId, FencePage page, long from, long to) {
    List<CompletableFuture<List<MapBlock>>> found = new ArrayList<>(2);
    for (int i = page.firstEndingAfter(from); i < page.count() && page.first(i) < to; i++) {
      if (page.mayCover(i, from, to)) {
        int block = page.block(i);
        found.add(
            page.level() == 0
                ? mapBlock(volume, nodeId, block).thenApply(List::of)
                : fencePage(volume, nodeId, block)
                    .thenCompose(below -> blocks(volume, nodeId, below, from, to)));
      }
    }
    if (found.isEmpty()) {
      return done(List.of());
    }
    return found.size() == 1 ? found.get(0) : all(found).thenApply(StoredIndexReader::flat);
  }

  private static List<MapBlock> flat(List<List<MapBlock>> parts) {
    List<MapBlock> blocks = new ArrayList<>();
    parts.forEach(blocks::addAll);
    return blocks;
  }

  /**
   * The largest end in {@code (from, to]} such that {@code [from, end)} needs at most {@code
   * blocksMax} map blocks of the node.
   */
  CompletableFuture<Long> boundedEnd(
      VolumeId volume, NodeHeader node, long from, long to, int blocksMax) {
    return directory(volume, node)
        .thenCompose(
            directory -> boundedEnd(volume, node.id(), directory.root, from, to, blocksMax));
  }

  private CompletableFuture<Long> boundedEnd(
      VolumeId volume, long nodeId, FencePage page, long from, long to, int blocksMax) {
    int i = page.firstEndingAfter(from);
    int beyond = i + (page.level() == 0 ? blocksMax : 1);
    long end = beyond < page.count() ? Math.min(to, page.first(beyond)) : to;
    if (page.level() == 0 || i == page.count() || page.first(i) >= to) {
      return done(end);
    }
    return fencePage(volume, nodeId, page.block(i))
        .thenCompose(below -> boundedEnd(volume, nodeId, below, from, end, blocksMax));
  }

  private CompletableFuture<MapBlock> mapBlock(VolumeId volume, long nodeId, int block) {
    return cached(
        new Key(volume, nodeId, block),
        MapBlock.class,
        () ->
            store
                .readBlock(volume, nodeId, block)
                .thenApplyAsync(
                    stored -> (Object) NodeFormat.mapBlock(nodeId, block, stored), executor)
                .toCompletableFuture());
  }

  private CompletableFuture<FencePage> fencePage(VolumeId volume, long nodeId, int block) {
    return cached(
        new Key(volume, nodeId, block),
        FencePage.class,
        () ->
            store
                .readBlock(volume, nodeId, block)
                .thenApplyAsync(
                    stored -> (Object) NodeFormat.fencePage(nodeId, block, stored), executor)
                .toCompletableFuture());
  }

  private <T> CompletableFuture<T> cached(
      Key key, Class<T> type, java.util.function.Supplier<CompletableFuture<Object>> load) {
    return cache.get(key, load::get).thenApply(type::cast);
  }

  static <T> CompletableFuture<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }

  /** All results in order; fails with the first failure. */
  static <T> CompletableFuture<List<T>> all(List<CompletableFuture<T>> parts) {
    return CompletableFuture.allOf(parts.toArray(CompletableFuture[]::new))
        .thenApply(
            ready -> {
              List<T> results = new ArrayList<>(parts.size());
              parts.forEach(part -> results.add(part.join()));
              return results;
            });
  }
}
