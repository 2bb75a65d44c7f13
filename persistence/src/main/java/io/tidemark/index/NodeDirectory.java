package io.tidemark.index;

import io.tidemark.extent.FencePage;
import io.tidemark.extent.Varints;
import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.List;

/**
 * A node's header: its ranges, what it was built from, and the root of its fences.
 *
 * <pre>
 *   varint level
 *   varint first seq, varint last seq - first seq
 *   zigzag first time, zigzag last time - first time
 *   varint first event, varint last event - first event
 *   varint number of extents
 *   varint number of children, 1..65536
 *   level 1, per segment:
 *     varint first seq - last seq of the previous (first: 0)
 *     varint last seq - first seq
 *     zigzag first time - last time of the previous (first: 0)
 *     zigzag last time - first time
 *     varint event - event of the previous (first: 0)
 *   level 2 and above, per child node:
 *     varint node id, varint level
 *     first seq .. last event as above, in full
 *     varint number of extents, varint number of blocks, varint stored bytes
 *   the root page of the fences
 * </pre>
 *
 * The header is stored in pieces, each a block of kind 1 whose content is {@code u32 size of the
 * whole header} and the next piece of it: block 0, then the last blocks of the node.
 */
final class NodeDirectory {
  static final int CHILDREN_MAX = 65_536;
  private static final int LEVEL_MAX = 32;

  /** The level of a base: the final map of a run whose events and nodes are gone. */
  static final int LEVEL_BASE = 32;

  final int level;
  final long firstSeq;
  final long lastSeq;
  final long firstTimeMicros;
  final long lastTimeMicros;
  final long firstEventNr;
  final long lastEventNr;
  final long extents;

  /** The child nodes, oldest first; empty for a leaf. */
  final List<NodeHeader> children;

  private final long[] segments;
  final FencePage root;

  private static final int COLUMNS = 5;

  private NodeDirectory(
      NodeHeader ranges, List<NodeHeader> children, long[] segments, FencePage root) {
    this.level = ranges.level();
    this.firstSeq = ranges.firstSeq();
    this.lastSeq = ranges.lastSeq();
    this.firstTimeMicros = ranges.firstTimeMicros();
    this.lastTimeMicros = ranges.lastTimeMicros();
    this.firstEventNr = ranges.firstEventNr();
    this.lastEventNr = ranges.lastEventNr();
    this.extents = ranges.extents();
    this.children = List.copyOf(children);
    this.segments = segments;
    this.root = root;
  }

  static NodeDirectory leaf(List<SegmentEntry> entries, long extents, FencePage root) {
    long[] segments = new long[entries.size() * COLUMNS];
    for (int i = 0; i < entries.size(); i++) {
      SegmentMeta meta = entries.get(i).meta();
      int at = i * COLUMNS;
      segments[at] = meta.firstSeq().value();
      segments[at + 1] = meta.lastSeq().value();
      segments[at + 2] = meta.firstTime().micros();
      segments[at + 3] = meta.lastTime().micros();
      segments[at + 4] = entries.get(i).eventNr();
    }
    return new NodeDirectory(leafRanges(segments, extents), List.of(), segments, root);
  }

  private static NodeHeader leafRanges(long[] s, long extents) {
    int last = s.length - COLUMNS;
    return new NodeHeader(
        0, 1, s[0], s[last + 1], s[2], s[last + 3], s[4], s[last + 4], extents, 0, 0);
  }

  static NodeDirectory inner(List<NodeHeader> children, long extents, FencePage root) {
    NodeHeader first = children.get(0);
    NodeHeader last = children.get(children.size() - 1);
    NodeHeader ranges =
        new NodeHeader(
            0,
            first.level() + 1,
            first.firstSeq(),
            last.lastSeq(),
            first.firstTimeMicros(),
            last.lastTimeMicros(),
            first.firstEventNr(),
            last.lastEventNr(),
            extents,
            0,
            0);
    return new NodeDirectory(ranges, children, new long[0], root);
  }

  /** A node without children over the run that {@code bounds} tells. */
  static NodeDirectory base(NodeHeader bounds, long extents, FencePage root) {
    NodeHeader ranges =
        new NodeHeader(
            0,
            LEVEL_BASE,
            bounds.firstSeq(),
            bounds.lastSeq(),
            bounds.firstTimeMicros(),
            bounds.lastTimeMicros(),
            bounds.firstEventNr(),
            bounds.lastEventNr(),
            extents,
            0,
            0);
    return new NodeDirectory(ranges, List.of(), new long[0], root);
  }

  /** What the volume's state keeps of the node. */
  NodeHeader header(long id, int blocks, long storedBytes) {
    return new NodeHeader(
        id,
        level,
        firstSeq,
        lastSeq,
        firstTimeMicros,
        lastTimeMicros,
        firstEventNr,
        lastEventNr,
        extents,
        blocks,
        storedBytes);
  }

  /** Whether this is the stored header of the node that {@code header} refers to. */
  boolean belongsTo(NodeHeader header) {
    return header.equals(header(header.id(), header.blocks(), header.storedBytes()));
  }

  /** Segments of a leaf. */
  int segmentCount() {
    return segments.length / COLUMNS;
  }

  long segmentFirstSeq(int i) {
    return segments[i * COLUMNS];
  }

  long segmentLastSeq(int i) {
    return segments[i * COLUMNS + 1];
  }

  long segmentFirstTime(int i) {
    return segments[i * COLUMNS + 2];
  }

  long segmentLastTime(int i) {
    return segments[i * COLUMNS + 3];
  }

  long segmentEventNr(int i) {
    return segments[i * COLUMNS + 4];
  }

  /** Index of the last segment that begins at or before {@code seq}, -1 when none does. */
  int segmentAtSeq(long seq) {
    return lastNotAbove(0, seq);
  }

  /** Index of the last segment whose first write is not later, -1 when there is none. */
  int segmentAtTime(long micros) {
    return lastNotAbove(2, micros);
  }

  private int lastNotAbove(int column, long value) {
    int low = 0;
    int high = segmentCount() - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      if (segments[middle * COLUMNS + column] <= value) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return high;
  }

  /** Memory that the header holds, in bytes. */
  int weight() {
    return 256 + 8 * segments.length + 120 * children.size() + root.weight();
  }

  byte[] encode() {
    Varints.Out out = new Varints.Out(1024 + 4 * segments.length);
    out.varint(level);
    ranges(out, header(0, 0, 0));
    out.varint(extents);
    out.varint(level == 1 ? segmentCount() : children.size());
    long seq = 0;
    long time = 0;
    long event = 0;
    for (int i = 0; i < segmentCount(); i++) {
      out.varint(segmentFirstSeq(i) - seq).varint(segmentLastSeq(i) - segmentFirstSeq(i));
      out.zigzag(segmentFirstTime(i) - time).zigzag(segmentLastTime(i) - segmentFirstTime(i));
      out.varint(segmentEventNr(i) - event);
      seq = segmentLastSeq(i);
      time = segmentLastTime(i);
      event = segmentEventNr(i);
    }
    for (NodeHeader child : children) {
      out.varint(child.id()).varint(child.level());
      ranges(out, child);
      out.varint(child.extents()).varint(child.blocks()).varint(child.storedBytes());
    }
    root.encode(out);
    return out.toBytes();
  }

  private static void ranges(Varints.Out out, NodeHeader n) {
    out.varint(n.firstSeq()).varint(n.lastSeq() - n.firstSeq());
    out.zigzag(n.firstTimeMicros()).zigzag(n.lastTimeMicros() - n.firstTimeMicros());
    out.varint(n.firstEventNr()).varint(n.lastEventNr() - n.firstEventNr());
  }

  /**
   * @throws IllegalArgumentException when the bytes are no header
   * @throws IndexOutOfBoundsException when they are cut short
   */
  static NodeDirectory decode(byte[] bytes) {
    Varints.In in = new Varints.In(bytes, 0);
    int level = in.bounded(LEVEL_MAX, "levels");
    NodeHeader own = ranges(in, 0, level);
    long extents = in.varint();
    int count = in.bounded(Math.min(CHILDREN_MAX, in.remaining()), "children");
    long[] segments = new long[level == 1 ? count * COLUMNS : 0];
    long seq = 0;
    long time = 0;
    long event = 0;
    for (int at = 0; at < segments.length; at += COLUMNS) {
      segments[at] = seq + in.varint();
      segments[at + 1] = seq = segments[at] + in.varint();
      segments[at + 2] = time + in.zigzag();
      segments[at + 3] = time = segments[at + 2] + in.zigzag();
      segments[at + 4] = event += in.varint();
    }
    List<NodeHeader> children = new ArrayList<>();
    for (int i = 0; level != 1 && i < count; i++) {
      children.add(child(in));
    }
    NodeHeader ranges = withCounts(own, extents, 0, 0);
    return new NodeDirectory(ranges, children, segments, FencePage.decode(in));
  }

  private static NodeHeader child(Varints.In in) {
    long id = in.varint();
    int level = in.bounded(LEVEL_MAX, "levels");
    NodeHeader ranges = ranges(in, id, level);
    long extents = in.varint();
    return withCounts(ranges, extents, in.bounded(Integer.MAX_VALUE, "blocks"), in.varint());
  }

  private static NodeHeader ranges(Varints.In in, long id, int level) {
    long firstSeq = in.varint();
    long lastSeq = firstSeq + in.varint();
    long firstTime = in.zigzag();
    long lastTime = firstTime + in.zigzag();
    long firstEvent = in.varint();
    long lastEvent = firstEvent + in.varint();
    return new NodeHeader(
        id, level, firstSeq, lastSeq, firstTime, lastTime, firstEvent, lastEvent, 0, 0, 0);
  }

  private static NodeHeader withCounts(NodeHeader n, long extents, int blocks, long storedBytes) {
    return new NodeHeader(
        n.id(),
        n.level(),
        n.firstSeq(),
        n.lastSeq(),
        n.firstTimeMicros(),
        n.lastTimeMicros(),
        n.firstEventNr(),
        n.lastEventNr(),
        extents,
        blocks,
        storedBytes);
  }
}
