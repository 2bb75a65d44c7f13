package io.tidemark.bench.wan;

import io.tidemark.segment.SegmentMeta;
import io.tidemark.wan.KnownContent;
import io.tidemark.wan.PackCounts;
import io.tidemark.wan.PackedSegment;
import io.tidemark.wan.SegmentPacker;
import io.tidemark.wan.SimilarContent;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;

/**
 * The link's packing alone, on a record: the same packer with the same memory of what was sent, the
 * volume's older content from memory instead of from a journal. The position it packs against
 * follows the record's own clock: what the target has acknowledged, renewed every so often.
 */
final class PackingRun {
  /** A PACKED frame beyond its body: header and checksum. */
  private static final int FRAME_BYTES = 24;

  /** A segment that the target does not hold yet at the time of the next. */
  private record Late(SegmentMeta meta, byte[] data) {}

  private final int level;
  private final int knownBlocks;
  private final long baseEveryMicros;
  private final long ackMicros;
  private final Deque<Late> late = new ArrayDeque<>();
  private final PackCounts counts = new PackCounts();
  private byte[] base;
  private long baseSeq;
  private long baseMicros;
  private long packNanos;
  private long unpackNanos;
  private long segments;
  private long writes;

  /**
   * @param baseEveryMicros as {@code tidemark.link.base-every}
   * @param ackMicros how long a segment takes to be acknowledged
   */
  PackingRun(int level, int knownBlocks, long baseEveryMicros, long ackMicros) {
    this.level = level;
    this.knownBlocks = knownBlocks;
    this.baseEveryMicros = baseEveryMicros;
    this.ackMicros = ackMicros;
  }

  /**
   * What it took.
   *
   * @param lineBytes packed segments and their frames
   */
  record Result(
      PackCounts counts,
      long segments,
      long writes,
      long lineBytes,
      double packSeconds,
      double unpackSeconds) {}

  Result run(Trace trace) throws IOException {
    base = new byte[Math.toIntExact(trace.sizeBytes())];
    byte[] source = new byte[base.length];
    KnownContent known = new KnownContent(knownBlocks);
    SimilarContent similar = new SimilarContent(knownBlocks);
    try (SegmentPacker packer = new SegmentPacker(level)) {
      trace.forEach(
          (meta, data, measured) -> {
            advance(meta.lastTime().micros());
            pack(packer, meta, data, known, similar, measured);
            late.add(new Late(meta, data));
            Trace.apply(meta, data, source);
          });
    }
    advance(Long.MAX_VALUE);
    if (!Arrays.equals(base, source)) {
      throw new IllegalStateException("the model went astray");
    }
    return new Result(
        counts,
        segments,
        writes,
        counts.sentBytes() + segments * FRAME_BYTES,
        packNanos / 1e9,
        unpackNanos / 1e9);
  }

  private void advance(long micros) {
    if (micros - baseMicros <= baseEveryMicros) {
      return;
    }
    while (!late.isEmpty()
        && (micros == Long.MAX_VALUE
            || late.peek().meta().lastTime().micros() + ackMicros <= micros)) {
      Late first = late.remove();
      Trace.apply(first.meta(), first.data(), base);
      baseSeq = first.meta().lastSeq().value();
    }
    baseMicros = micros;
  }

  private void pack(
      SegmentPacker packer,
      SegmentMeta meta,
      byte[] data,
      KnownContent known,
      SimilarContent similar,
      boolean measured) {
    byte[] previous = new byte[data.length];
    for (int i = 0; i < meta.count(); i++) {
      if (!meta.zero(i)) {
        System.arraycopy(
            base,
            Math.toIntExact(meta.offset(i)),
            previous,
            (int) meta.dataPosition(i),
            (int) meta.length(i));
      }
    }
    long begun = cpuNanos();
    long[] blocks = similar.lookUp(meta, data, previous);
    SegmentPacker.Packed packed =
        packer.pack(
            meta,
            data,
            previous,
            baseSeq,
            known,
            baseSeq == 0 ? null : new SegmentPacker.Similar(blocks, like(meta, blocks)));
    long done = cpuNanos();
    unpack(packed.bytes(), data);
    if (measured) {
      packNanos += done - begun;
      unpackNanos += cpuNanos() - done;
      counts.add(packed.counts());
      segments++;
      writes += meta.count();
    }
  }

  private byte[] like(SegmentMeta meta, long[] blocks) {
    byte[] content = new byte[Math.toIntExact(meta.dataBytes())];
    for (SegmentPacker.Read read : SegmentPacker.reads(meta, blocks)) {
      System.arraycopy(base, (int) read.offset(), content, read.position(), read.length());
    }
    return content;
  }

  /** References to older points are not followed here: the base's content stands for them. */
  private void unpack(byte[] packed, byte[] data) {
    PackedSegment segment = PackedSegment.read(packed);
    byte[] older = new byte[data.length];
    for (PackedSegment.Need need : segment.needs()) {
      if (need.seq() == segment.baseSeq()) {
        System.arraycopy(base, (int) need.offset(), older, need.position(), need.length());
      } else {
        System.arraycopy(data, need.position(), older, need.position(), need.length());
      }
    }
    if (!Arrays.equals(segment.unpack(older), data)) {
      throw new IllegalStateException("unpacked to something else (B2)");
    }
  }

  private static long cpuNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }
}
