package io.tidemark.wan;

import com.github.luben.zstd.ZstdException;
import io.tidemark.extent.Varints;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Makes a segment small for the line.
 *
 * <pre>
 *   u8     version: 1, or 2 when there are pieces like other blocks
 *   u8     kind of the segment (0 live, 1 sync)
 *   u8     shift of offsets and lengths (0 or 9)
 *   varint base: the position whose content is referred to
 *   varint first seq
 *   varint first time, microseconds since 1970
 *   varint number of writes
 *   varint chunk bytes
 *   varint number of chunks
 *   u32    CRC-32C of each chunk, big-endian
 *   section columns:
 *     per write  varint time - previous time
 *     per write  zigzag (offset - end of the previous write) &gt;&gt; shift
 *     per write  varint (length &gt;&gt; shift) &lt;&lt; 1 | (1 when it is zeroes and has no data)
 *     runs of pieces, u8 kind ({@link PieceKind}), varint number
 *     per reference  zigzag seq - previous reference's seq, zigzag block - previous reference's block - 1
 *     per piece like another block  zigzag block - the previous such block - 1
 *   section differences: the exclusive or of each such piece with what it replaces
 *   section compressed: each such piece
 *   section raw: each such piece
 *   groups of 16 pieces with dictionaries: varint stored length, the pieces as they are when that is
 *     their length, else a zstd frame whose dictionary is what they replace, one after the other
 *
 *   section: varint length, varint stored length, bytes: as they are when both lengths are equal, else
 *     one zstd frame
 * </pre>
 *
 * zstd frames have neither magic number nor content size nor checksum. Pieces are cut at multiples
 * of 4096 of the volume, in the order of writes. What a piece replaces is the piece that an earlier
 * write of the segment wrote to the very same range, else the volume's content at the base; only
 * the latter serves as a dictionary. The dictionary of a piece like another block is that block at
 * the base. Not thread-safe.
 */
public final class SegmentPacker implements AutoCloseable {
  /** W2: bytes beyond the data, at most, of a segment without writes or chunks. */
  public static final int OVERHEAD_BYTES_MAX = 128;

  /** W2: what a write adds to that, at most. */
  public static final int OVERHEAD_BYTES_A_WRITE_MAX = 28;

  static final int VERSION = 1;

  /** With {@link PieceKind#SIMILAR}. */
  static final int VERSION_SIMILAR = 2;

  static final int GROUP_PIECES = 16;
  static final int SECTOR_SHIFT = 9;

  /** Compressed to more than this share of itself, in 1/256, is not worth the trouble. */
  private static final int WORTHWHILE = 248;

  /** What it takes to say which block a piece is like. */
  private static final int SIMILAR_BYTES = 3;

  private final Codec codec;
  private byte[] exclusive = new byte[Pieces.PIECE_BYTES];

  /**
   * @param level of zstd, 1 to 19; 3 is a good one for lines below a gigabit
   */
  public SegmentPacker(int level) {
    this.codec = new Codec(level);
  }

  /** A packed segment and what became of its data. */
  public record Packed(byte[] bytes, PackCounts counts) {}

  /**
   * Blocks that some pieces may resemble.
   *
   * @param blocks of each piece, or -1, as {@link SimilarContent#lookUp} gives them
   * @param content those blocks as of the base, each where the piece is in the segment's data
   */
  public record Similar(long[] blocks, byte[] content) {}

  /** {@code length} bytes at {@code offset} of the volume, to be put at {@code position}. */
  public record Read(long offset, int length, int position) {}

  /** What the content of {@link Similar} is read by. */
  public static List<Read> reads(SegmentMeta meta, long[] blocks) {
    Pieces pieces = new Pieces(meta);
    List<Read> reads = new ArrayList<>();
    for (int i = 0; i < pieces.count; i++) {
      if (blocks[i] >= 0 && pieces.whole(i)) {
        long offset = blocks[i] * Pieces.PIECE_BYTES;
        Read last = reads.isEmpty() ? null : reads.get(reads.size() - 1);
        if (last != null
            && last.offset + last.length == offset
            && last.position + last.length == pieces.positions[i]) {
          reads.set(
              reads.size() - 1,
              new Read(last.offset, last.length + Pieces.PIECE_BYTES, last.position));
        } else {
          reads.add(new Read(offset, Pieces.PIECE_BYTES, pieces.positions[i]));
        }
      }
    }
    return reads;
  }

  /** Packs without regard to other blocks than those written: version 1. */
  public Packed pack(
      SegmentMeta meta, byte[] data, byte[] previous, long baseSeq, KnownContent known) {
    return pack(meta, data, previous, baseSeq, known, null);
  }

  /**
   * Packs.
   *
   * @param data of the whole segment
   * @param previous the content of each write's range as of {@code baseSeq}, laid out like {@code
   *     data}
   * @param baseSeq a position that the target has acknowledged, before the segment
   * @param known what was sent before on this link; the segment's blocks are added; null for none
   * @param similar what pieces may resemble; null for nothing, or where the target knows version 1
   *     only
   */
  public Packed pack(
      SegmentMeta meta,
      byte[] data,
      byte[] previous,
      long baseSeq,
      KnownContent known,
      Similar similar) {
    if (data.length != meta.dataBytes()
        || previous.length != data.length
        || baseSeq < 0
        || baseSeq >= meta.firstSeq().value()) {
      throw new IllegalArgumentException(
          "%s with %d bytes, %d older ones and base %d"
              .formatted(meta, data.length, previous.length, baseSeq));
    }
    Pieces pieces = new Pieces(meta);
    PieceKind[] kinds = new PieceKind[pieces.count];
    KnownContent.Place[] places = new KnownContent.Place[pieces.count];
    PackCounts counts = new PackCounts();
    long[] seqs = known == null ? null : seqs(meta, pieces);
    for (int i = 0; i < pieces.count; i++) {
      kinds[i] = choose(pieces, i, data, previous, similar);
      if (known != null && refers(kinds[i]) && pieces.whole(i)) {
        ByteBuffer hash = known.hash(data, pieces.positions[i], pieces.lengths[i]);
        places[i] = known.find(hash, baseSeq);
        if (places[i] != null) {
          kinds[i] = PieceKind.REFERENCE;
        } else {
          known.put(hash, seqs[i], pieces.offsets[i] / Pieces.PIECE_BYTES);
        }
      }
      counts.piece(kinds[i], pieces.lengths[i]);
    }
    Varints.Out out = new Varints.Out(data.length / 2 + 256);
    boolean resembles = Arrays.asList(kinds).contains(PieceKind.SIMILAR);
    head(out, meta, baseSeq, resembles ? VERSION_SIMILAR : VERSION);
    section(out, columns(meta, kinds, places, similar));
    counts.head(out.length());
    counts.line(PieceKind.DIFFERENCE, section(out, differences(pieces, kinds, data, previous)));
    counts.line(
        PieceKind.COMPRESSED, section(out, gather(pieces, kinds, PieceKind.COMPRESSED, data)));
    counts.line(PieceKind.RAW, section(out, gather(pieces, kinds, PieceKind.RAW, data)));
    int from = out.length();
    groups(
        out, pieces, kinds, data, resembles ? merged(pieces, kinds, previous, similar) : previous);
    share(counts, out.length() - from);
    return new Packed(out.toBytes(), counts);
  }

  /** What pieces with dictionaries took: those like other blocks share the groups of the others. */
  private static void share(PackCounts counts, long bytes) {
    long similar = counts.dataBytes(PieceKind.SIMILAR);
    long all = similar + counts.dataBytes(PieceKind.DICTIONARY);
    long part = all == 0 ? 0 : bytes * similar / all;
    counts.line(PieceKind.SIMILAR, part);
    counts.line(PieceKind.DICTIONARY, bytes - part);
  }

  /** The dictionary of each piece that has one. */
  private static byte[] merged(Pieces pieces, PieceKind[] kinds, byte[] previous, Similar similar) {
    byte[] all = previous.clone();
    for (int i = 0; i < pieces.count; i++) {
      if (kinds[i] == PieceKind.SIMILAR) {
        int at = pieces.positions[i];
        System.arraycopy(similar.content, at, all, at, pieces.lengths[i]);
      }
    }
    return all;
  }

  static boolean guided(PieceKind kind) {
    return kind == PieceKind.DICTIONARY || kind == PieceKind.SIMILAR;
  }

  /** A difference of a few bytes is smaller than a reference, and cheaper for the target. */
  private static boolean refers(PieceKind kind) {
    return guided(kind) || kind == PieceKind.COMPRESSED || kind == PieceKind.RAW;
  }

  private static long[] seqs(SegmentMeta meta, Pieces pieces) {
    long[] seqs = new long[pieces.count];
    int write = 0;
    for (int i = 0; i < pieces.count; i++) {
      while (meta.zero(write)
          || meta.dataPosition(write) + meta.length(write) <= pieces.positions[i]) {
        write++;
      }
      seqs[i] = meta.seq(write);
    }
    return seqs;
  }

  private PieceKind choose(
      Pieces pieces, int piece, byte[] data, byte[] previous, Similar similar) {
    int at = pieces.positions[piece];
    int length = pieces.lengths[piece];
    if (zero(data, at, length)) {
      return PieceKind.ZERO;
    }
    boolean inside = pieces.earlier[piece] >= 0;
    byte[] older = inside ? data : previous;
    int olderAt = inside ? pieces.positions[pieces.earlier[piece]] : at;
    int changed = difference(data, at, older, olderAt, length);
    if (changed == 0) {
      return PieceKind.SAME;
    }
    if (changed * 8 <= length) {
      return PieceKind.DIFFERENCE;
    }
    boolean resembles = similar != null && similar.blocks[piece] >= 0 && pieces.whole(piece);
    return smallest(
        data, at, older, olderAt, length, changed, inside, resembles ? similar.content : null);
  }

  private PieceKind smallest(
      byte[] data,
      int at,
      byte[] older,
      int olderAt,
      int length,
      int changed,
      boolean inside,
      byte[] similar) {
    int best = length * WORTHWHILE / 256;
    PieceKind kind = PieceKind.RAW;
    int compressed = codec.compress(data, at, length);
    if (compressed < best) {
      best = compressed;
      kind = PieceKind.COMPRESSED;
    }
    if (similar != null) {
      int like = guided(data, at, similar, at, length) + SIMILAR_BYTES;
      if (like < best) {
        best = like;
        kind = PieceKind.SIMILAR;
      }
    }
    if (zero(older, olderAt, length)) {
      return kind;
    }
    if (changed * 2 <= length) {
      int different = codec.compress(exclusive, 0, length);
      if (different < best) {
        best = different;
        kind = PieceKind.DIFFERENCE;
      }
    }
    if (!inside && guided(data, at, older, olderAt, length) < best) {
      kind = PieceKind.DICTIONARY;
    }
    return kind;
  }

  private int guided(byte[] data, int at, byte[] older, int olderAt, int length) {
    try {
      return codec.compress(data, at, length, Arrays.copyOfRange(older, olderAt, olderAt + length));
    } catch (ZstdException e) {
      return Integer.MAX_VALUE / 2; // begins like a trained dictionary and is none
    }
  }

  /** The number of bytes that differ; leaves the exclusive or in {@link #exclusive}. */
  private int difference(byte[] data, int at, byte[] older, int olderAt, int length) {
    if (Arrays.mismatch(data, at, at + length, older, olderAt, olderAt + length) < 0) {
      return 0;
    }
    int changed = 0;
    for (int i = 0; i < length; i++) {
      byte x = (byte) (data[at + i] ^ older[olderAt + i]);
      exclusive[i] = x;
      changed += x == 0 ? 0 : 1;
    }
    return changed;
  }

  private static boolean zero(byte[] bytes, int at, int length) {
    for (int i = at; i < at + length; i++) {
      if (bytes[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private static void head(Varints.Out out, SegmentMeta meta, long baseSeq, int version) {
    byte[] first = {(byte) version, (byte) meta.kind().code(), (byte) shift(meta)};
    out.bytes(first, 0, first.length);
    out.varint(baseSeq).varint(meta.firstSeq().value()).varint(meta.firstTime().micros());
    out.varint(meta.count()).varint(meta.chunkBytes()).varint(meta.chunkCount());
    for (int i = 0; i < meta.chunkCount(); i++) {
      out.u32(meta.chunkCrc(i));
    }
  }

  private static int shift(SegmentMeta meta) {
    long all = 0;
    for (int i = 0; i < meta.count(); i++) {
      all |= meta.offset(i) | meta.length(i);
    }
    return (all & ((1 << SECTOR_SHIFT) - 1)) == 0 ? SECTOR_SHIFT : 0;
  }

  private static byte[] columns(
      SegmentMeta meta, PieceKind[] kinds, KnownContent.Place[] places, Similar similar) {
    int shift = shift(meta);
    Varints.Out out = new Varints.Out(meta.count() * 8 + 64);
    for (int i = 0; i < meta.count(); i++) {
      out.varint(i == 0 ? 0 : meta.timeMicros(i) - meta.timeMicros(i - 1));
    }
    long end = 0;
    for (int i = 0; i < meta.count(); i++) {
      out.zigzag((meta.offset(i) - end) >> shift);
      end = meta.offset(i) + meta.length(i);
    }
    for (int i = 0; i < meta.count(); i++) {
      out.varint(meta.length(i) >> shift << 1 | (meta.zero(i) ? 1 : 0));
    }
    int from = 0;
    while (from < kinds.length) {
      int to = from;
      while (to < kinds.length && kinds[to] == kinds[from]) {
        to++;
      }
      out.varint(kinds[from].ordinal()).varint(to - from);
      from = to;
    }
    long seq = 0;
    long block = 0;
    for (KnownContent.Place place : places) {
      if (place != null) {
        out.zigzag(place.seq() - seq).zigzag(place.block() - block - 1);
        seq = place.seq();
        block = place.block();
      }
    }
    block = 0;
    for (int i = 0; i < kinds.length; i++) {
      if (kinds[i] == PieceKind.SIMILAR) {
        out.zigzag(similar.blocks[i] - block - 1);
        block = similar.blocks[i];
      }
    }
    return out.toBytes();
  }

  private byte[] differences(Pieces pieces, PieceKind[] kinds, byte[] data, byte[] previous) {
    byte[] all = gather(pieces, kinds, PieceKind.DIFFERENCE, data);
    int position = 0;
    for (int i = 0; i < pieces.count; i++) {
      if (kinds[i] == PieceKind.DIFFERENCE) {
        boolean inside = pieces.earlier[i] >= 0;
        byte[] older = inside ? data : previous;
        int at = pieces.positions[inside ? pieces.earlier[i] : i];
        for (int k = 0; k < pieces.lengths[i]; k++) {
          all[position + k] ^= older[at + k];
        }
        position += pieces.lengths[i];
      }
    }
    return all;
  }

  private static byte[] gather(Pieces pieces, PieceKind[] kinds, PieceKind kind, byte[] data) {
    byte[] all = new byte[length(pieces, kinds, kind)];
    int position = 0;
    for (int i = 0; i < pieces.count; i++) {
      if (kinds[i] == kind) {
        System.arraycopy(data, pieces.positions[i], all, position, pieces.lengths[i]);
        position += pieces.lengths[i];
      }
    }
    return all;
  }

  static int length(Pieces pieces, PieceKind[] kinds, PieceKind kind) {
    int length = 0;
    for (int i = 0; i < pieces.count; i++) {
      length += kinds[i] == kind ? pieces.lengths[i] : 0;
    }
    return length;
  }

  /** Gives the bytes that it took. */
  private int section(Varints.Out out, byte[] bytes) {
    int from = out.length();
    int stored = bytes.length == 0 ? 0 : codec.compress(bytes, 0, bytes.length);
    if (stored < bytes.length) {
      out.varint(bytes.length).varint(stored).bytes(codec.scratch(), 0, stored);
    } else {
      out.varint(bytes.length).varint(bytes.length).bytes(bytes, 0, bytes.length);
    }
    return out.length() - from;
  }

  private void groups(
      Varints.Out out, Pieces pieces, PieceKind[] kinds, byte[] data, byte[] previous) {
    int next = 0;
    while (next < pieces.count) {
      Group group = new Group(pieces, kinds, next);
      if (group.length > 0) {
        byte[] bytes = group.gather(pieces, kinds, data);
        int stored = codec.compress(bytes, 0, group.length, group.gather(pieces, kinds, previous));
        if (stored < group.length) {
          out.varint(stored).bytes(codec.scratch(), 0, stored);
        } else {
          out.varint(group.length).bytes(bytes, 0, group.length);
        }
      }
      next = group.next;
    }
  }

  /** The next pieces with dictionaries that go into one frame. */
  static final class Group {
    final int from;
    final int next;
    final int length;

    Group(Pieces pieces, PieceKind[] kinds, int from) {
      int at = from;
      int taken = 0;
      int bytes = 0;
      while (at < pieces.count && taken < GROUP_PIECES) {
        if (guided(kinds[at])) {
          taken++;
          bytes += pieces.lengths[at];
        }
        at++;
      }
      this.from = from;
      this.next = at;
      this.length = bytes;
    }

    byte[] gather(Pieces pieces, PieceKind[] kinds, byte[] source) {
      byte[] all = new byte[length];
      int position = 0;
      for (int i = from; i < next; i++) {
        if (guided(kinds[i])) {
          System.arraycopy(source, pieces.positions[i], all, position, pieces.lengths[i]);
          position += pieces.lengths[i];
        }
      }
      return all;
    }

    void scatter(Pieces pieces, PieceKind[] kinds, byte[] all, byte[] target) {
      int position = 0;
      for (int i = from; i < next; i++) {
        if (guided(kinds[i])) {
          System.arraycopy(all, position, target, pieces.positions[i], pieces.lengths[i]);
          position += pieces.lengths[i];
        }
      }
    }
  }

  @Override
  public void close() {
    codec.close();
  }
}
