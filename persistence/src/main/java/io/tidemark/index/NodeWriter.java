package io.tidemark.index;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.ExtentMap;
import io.tidemark.extent.FencePage;
import io.tidemark.extent.MapBlock;
import io.tidemark.extent.Varints;
import io.tidemark.position.VolumeId;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.function.BiFunction;

/**
 * Writes one node, block by block as its extents come, with bounded memory: one map block, one page
 * of fences a level, and {@link #PUTS_IN_FLIGHT_MAX} blocks on their way to the store. Blocks the
 * calling thread while the store is behind. Used once, by one thread.
 */
final class NodeWriter {
  static final int PUTS_IN_FLIGHT_MAX = 8;
  static final int HEADER_PIECE_BYTES = NodeFormat.CONTENT_BYTES_MAX - 4;

  private final IndexStore store;
  private final VolumeId volume;
  private final long nodeId;
  private final ExtentMap.Builder map = new ExtentMap.Builder(MapBlock.EXTENTS_MAX);
  private final List<FencePage.Builder> fences = new ArrayList<>();
  private final Deque<Pending<Void>> puts = new ArrayDeque<>();
  private int nextBlock = 1;
  private long extents;
  private long storedBytes;

  NodeWriter(IndexStore store, VolumeId volume, long nodeId) {
    this.store = store;
    this.volume = volume;
    this.nodeId = nodeId;
    fences.add(new FencePage.Builder(0));
  }

  void addAll(ExtentCursor cursor) {
    while (cursor.next()) {
      if (map.size() == MapBlock.EXTENTS_MAX && !map.continues(cursor)) {
        flushMap();
      }
      map.add(cursor);
    }
  }

  /**
   * Stores what is left and the header.
   *
   * @param directory makes the header from the number of extents and the root of the fences
   * @return the node's header, once every block is durable (X3)
   */
  NodeHeader finish(BiFunction<Long, FencePage, NodeDirectory> directory) {
    if (map.size() > 0) {
      flushMap();
    }
    int top = 0;
    while (top < fences.size() - 1) {
      flushFences(top++);
    }
    NodeDirectory made = directory.apply(extents, fences.get(top).build());
    byte[] header = made.encode();
    if (header.length > NodeFormat.HEADER_BYTES_MAX) {
      throw new IllegalArgumentException("a header of %d bytes".formatted(header.length));
    }
    for (int from = 0; from < header.length; from += HEADER_PIECE_BYTES) {
      int to = Math.min(header.length, from + HEADER_PIECE_BYTES);
      byte[] piece =
          new Varints.Out(to - from + 4)
              .u32(header.length)
              .bytes(header, from, to - from)
              .toBytes();
      put(NodeFormat.HEADER, from == 0 ? 0 : nextBlock++, piece);
    }
    while (!puts.isEmpty()) {
      puts.remove().await();
    }
    return made.header(nodeId, nextBlock, storedBytes);
  }

  private void flushMap() {
    ExtentMap block = map.build();
    map.clear();
    extents += block.size();
    int number = nextBlock++;
    put(NodeFormat.MAP, number, MapBlock.encode(block));
    if (fences.get(0).full()) {
      flushFences(0);
    }
    fences.get(0).add(block, number);
  }

  /** Stores the page of a level and refers to it in the level above. */
  private void flushFences(int level) {
    FencePage.Builder page = fences.get(level);
    if (level + 1 == fences.size()) {
      fences.add(new FencePage.Builder(level + 1));
    }
    if (fences.get(level + 1).full()) {
      flushFences(level + 1);
    }
    Varints.Out out = new Varints.Out(32 << 10);
    page.build().encode(out);
    int number = nextBlock++;
    put(NodeFormat.FENCES, number, out.toBytes());
    fences.get(level + 1).add(page.first(), page.end(), number);
    page.clear();
  }

  private void put(int kind, int block, byte[] content) {
    byte[] stored = NodeFormat.frame(kind, nodeId, block, content);
    storedBytes += stored.length;
    while (puts.size() >= PUTS_IN_FLIGHT_MAX) {
      puts.remove().await();
    }
    puts.add(new Pending<>(store.putBlock(volume, nodeId, block, stored)));
  }

  /** The header's bytes from its stored pieces, first piece first. */
  static byte[] joinHeader(long nodeId, List<byte[]> pieces) {
    byte[] header = new byte[headerBytes(nodeId, pieces.get(0))];
    int at = 0;
    for (byte[] piece : pieces) {
      int size = piece.length - 4;
      if (size < 0 || size > header.length - at) {
        throw NodeFormat.corrupt(nodeId, 0, "its pieces do not fit", null);
      }
      System.arraycopy(piece, 4, header, at, size);
      at += size;
    }
    return at == header.length ? header : Arrays.copyOf(header, at);
  }

  /** Size of the whole header, from its first piece. */
  static int headerBytes(long nodeId, byte[] firstPiece) {
    int size = NodeFormat.decoded(nodeId, 0, firstPiece, b -> new Varints.In(b, 0).u32());
    if (size <= 0 || size > NodeFormat.HEADER_BYTES_MAX) {
      throw NodeFormat.corrupt(nodeId, 0, "its size exceeds the limit", null);
    }
    return size;
  }
}
