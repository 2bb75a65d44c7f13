package io.tidemark.wan;

import com.github.luben.zstd.ZstdException;
import io.tidemark.extent.Varints;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * A segment as it came from the line ({@link SegmentPacker} has the format): first says what older
 * content it needs, then makes the data from it. Not thread-safe.
 */
public final class PackedSegment {
  private final SegmentMeta meta;
  private final long baseSeq;
  private final Pieces pieces;
  private final PieceKind[] kinds;
  private final List<Need> needs;
  private final byte[] packed;
  private final int bodyAt;

  /**
   * Content that must be at hand to unpack: {@code length} bytes of the volume at {@code offset} as
   * of {@code seq}, to be put at {@code position} of an array as long as the segment's data.
   */
  public record Need(long seq, long offset, int length, int position) {}

  private PackedSegment(
      SegmentMeta meta,
      long baseSeq,
      Pieces pieces,
      PieceKind[] kinds,
      List<Need> needs,
      byte[] packed,
      int bodyAt) {
    this.meta = meta;
    this.baseSeq = baseSeq;
    this.pieces = pieces;
    this.kinds = kinds;
    this.needs = needs;
    this.packed = packed;
    this.bodyAt = bodyAt;
  }

  /**
   * Reads the head.
   *
   * @throws Refusal {@code CORRUPT} when the bytes are no packed segment, are cut short, or exceed
   *     a limit of {@link SegmentMeta}
   */
  public static PackedSegment read(byte[] packed) {
    try (Codec codec = new Codec(1)) {
      return read(packed, codec);
    } catch (IllegalArgumentException
        | ArithmeticException
        | IndexOutOfBoundsException
        | NegativeArraySizeException
        | ZstdException e) {
      throw corrupt("cannot be read: " + e.getMessage(), e);
    }
  }

  private static PackedSegment read(byte[] packed, Codec codec) {
    if (packed[0] != SegmentPacker.VERSION && packed[0] != SegmentPacker.VERSION_SIMILAR) {
      throw new IllegalArgumentException("version " + packed[0] + " is unknown");
    }
    SegmentKind kind = SegmentKind.of(packed[1]);
    int shift = packed[2];
    if (shift != 0 && shift != SegmentPacker.SECTOR_SHIFT) {
      throw new IllegalArgumentException("shift " + shift);
    }
    Varints.In in = new Varints.In(packed, 3);
    long baseSeq = in.varint();
    long firstSeq = in.varint();
    long firstTime = in.varint();
    if (baseSeq < 0 || baseSeq >= firstSeq) {
      throw new IllegalArgumentException("seq " + firstSeq + " on base " + baseSeq);
    }
    int count = in.bounded(SegmentMeta.WRITES_MAX, "writes");
    int chunkBytes = in.bounded(SegmentMeta.DATA_BYTES_MAX, "chunk bytes");
    if (chunkBytes == 0) {
      throw new IllegalArgumentException("chunks of no bytes");
    }
    int[] crcs = new int[in.bounded(in.remaining() / 4, "chunks")];
    for (int i = 0; i < crcs.length; i++) {
      crcs[i] = in.u32();
    }
    // A write takes at most 30 bytes of columns, a piece 2 for its kind and 20 for a reference.
    byte[] columns = section(in, packed, SegmentMeta.DATA_BYTES_MAX, codec);
    Varints.In column = new Varints.In(columns, 0);
    SegmentMeta meta =
        writes(
                column,
                new SegmentMeta.Builder(kind, new WriteSeq(firstSeq), chunkBytes),
                count,
                firstTime,
                shift)
            .build(crcs);
    Pieces pieces = new Pieces(meta);
    PieceKind[] kinds = kinds(column, pieces.count);
    List<Need> needs = needs(column, baseSeq, pieces, kinds);
    if (column.remaining() != 0) {
      throw new IllegalArgumentException("columns with " + column.remaining() + " bytes too many");
    }
    return new PackedSegment(meta, baseSeq, pieces, kinds, needs, packed, in.at());
  }

  private static SegmentMeta.Builder writes(
      Varints.In in, SegmentMeta.Builder builder, int count, long firstTime, int shift) {
    if (count > in.remaining() / 3) {
      throw new IllegalArgumentException("cut short");
    }
    long[] times = new long[count];
    long[] jumps = new long[count];
    long time = firstTime;
    for (int i = 0; i < count; i++) {
      time += in.varint();
      times[i] = time;
    }
    for (int i = 0; i < count; i++) {
      jumps[i] = in.zigzag() << shift;
    }
    long end = 0;
    for (int i = 0; i < count; i++) {
      long coded = in.varint();
      long offset = end + jumps[i];
      long length = (coded >>> 1) << shift;
      boolean zero = (coded & 1) != 0;
      if (!zero && length > SegmentMeta.DATA_BYTES_MAX) {
        throw new IllegalArgumentException("a write of " + length + " bytes");
      }
      builder.add(times[i], offset, length, zero);
      end = offset + length;
    }
    return builder;
  }

  private static PieceKind[] kinds(Varints.In in, int count) {
    PieceKind[] kinds = new PieceKind[count];
    int at = 0;
    while (at < count) {
      PieceKind kind = PieceKind.of(in.bounded(PieceKind.values().length - 1, "as kind"));
      int run = in.bounded(count - at, "pieces in a run");
      if (run == 0) {
        throw new IllegalArgumentException("a run of no pieces");
      }
      Arrays.fill(kinds, at, at + run, kind);
      at += run;
    }
    return kinds;
  }

  private static List<Need> needs(Varints.In in, long baseSeq, Pieces pieces, PieceKind[] kinds) {
    List<Need> needs = new ArrayList<>();
    long[] places = new long[pieces.count];
    long[] seqs = new long[pieces.count];
    places(in, baseSeq, pieces, kinds, seqs, places);
    for (int i = 0; i < pieces.count; i++) {
      if (kinds[i] == PieceKind.REFERENCE || kinds[i] == PieceKind.SIMILAR) {
        add(
            needs,
            new Need(
                seqs[i], places[i] * Pieces.PIECE_BYTES, Pieces.PIECE_BYTES, pieces.positions[i]));
      } else if (replaces(kinds[i]) && pieces.earlier[i] < 0) {
        add(needs, new Need(baseSeq, pieces.offsets[i], pieces.lengths[i], pieces.positions[i]));
      } else if (kinds[i] == PieceKind.DICTIONARY) {
        throw new IllegalArgumentException("a dictionary inside the segment");
      }
    }
    return List.copyOf(needs);
  }

  /** Where pieces refer to: references first, then those like other blocks. */
  private static void places(
      Varints.In in, long baseSeq, Pieces pieces, PieceKind[] kinds, long[] seqs, long[] places) {
    long seq = 0;
    long block = 0;
    for (int i = 0; i < pieces.count; i++) {
      if (kinds[i] == PieceKind.REFERENCE) {
        seq += in.zigzag();
        block += in.zigzag() + 1;
        check(pieces, i, seq, block, baseSeq);
        seqs[i] = seq;
        places[i] = block;
      }
    }
    block = 0;
    for (int i = 0; i < pieces.count; i++) {
      if (kinds[i] == PieceKind.SIMILAR) {
        block += in.zigzag() + 1;
        check(pieces, i, baseSeq, block, baseSeq);
        seqs[i] = baseSeq;
        places[i] = block;
      }
    }
  }

  private static void check(Pieces pieces, int piece, long seq, long block, long baseSeq) {
    if (seq < 1 || seq > baseSeq || block < 0 || block > Long.MAX_VALUE / Pieces.PIECE_BYTES) {
      throw new IllegalArgumentException(
          "a reference to block " + block + " as of " + seq + " on base " + baseSeq);
    }
    if (!pieces.whole(piece)) {
      throw new IllegalArgumentException("a reference for a part of a block");
    }
  }

  private static boolean replaces(PieceKind kind) {
    return kind == PieceKind.SAME || kind == PieceKind.DIFFERENCE || kind == PieceKind.DICTIONARY;
  }

  private static void add(List<Need> needs, Need next) {
    Need last = needs.isEmpty() ? null : needs.get(needs.size() - 1);
    if (last != null
        && last.seq == next.seq
        && last.offset + last.length == next.offset
        && last.position + last.length == next.position) {
      needs.set(
          needs.size() - 1,
          new Need(last.seq, last.offset, last.length + next.length, last.position));
    } else {
      needs.add(next);
    }
  }

  private static byte[] section(Varints.In in, byte[] packed, int lengthMax, Codec codec) {
    int length = in.bounded(lengthMax, "bytes in a section");
    int stored = in.bounded(Math.min(length, in.remaining()), "stored bytes");
    byte[] bytes = new byte[length];
    if (stored == length) {
      System.arraycopy(packed, in.at(), bytes, 0, length);
    } else {
      int unpacked = codec.decompress(bytes, 0, length, packed, in.at(), stored);
      if (unpacked != length) {
        throw new IllegalArgumentException(unpacked + " bytes in a section, expected " + length);
      }
    }
    in.seek(in.at() + stored);
    return bytes;
  }

  public SegmentMeta meta() {
    return meta;
  }

  /** The position that the target must have journaled to unpack it. */
  public long baseSeq() {
    return baseSeq;
  }

  /** What {@link #unpack} needs, in order of position, disjoint. */
  public List<Need> needs() {
    return needs;
  }

  /**
   * Makes the segment's data.
   *
   * @param older as long as the segment's data, with every need in its place; anything elsewhere
   * @throws Refusal {@code CORRUPT} when the packed bytes are damaged, or the result does not match
   *     the tap's checksums (W1)
   */
  public byte[] unpack(byte[] older) {
    if (older.length != meta.dataBytes()) {
      throw new IllegalArgumentException(older.length + " older bytes for " + meta);
    }
    try (Codec codec = new Codec(1)) {
      byte[] data = unpack(older, codec);
      check(data);
      return data;
    } catch (IllegalArgumentException | IndexOutOfBoundsException | ZstdException e) {
      throw corrupt("of " + meta + " cannot be unpacked: " + e.getMessage(), e);
    }
  }

  private byte[] unpack(byte[] older, Codec codec) {
    byte[] data = new byte[older.length];
    Varints.In in = new Varints.In(packed, bodyAt);
    byte[] differences = section(in, packed, data.length, codec);
    byte[] compressed = section(in, packed, data.length, codec);
    byte[] raw = section(in, packed, data.length, codec);
    groups(in, codec, older, data);
    if (in.remaining() != 0) {
      throw new IllegalArgumentException(in.remaining() + " bytes too many");
    }
    int difference = 0;
    int plain = 0;
    int asIs = 0;
    for (int i = 0; i < pieces.count; i++) {
      int at = pieces.positions[i];
      int length = pieces.lengths[i];
      boolean inside = pieces.earlier[i] >= 0;
      byte[] replaced = inside ? data : older;
      int replacedAt = inside ? pieces.positions[pieces.earlier[i]] : at;
      switch (kinds[i]) {
        case ZERO, DICTIONARY, SIMILAR -> {}
        case SAME -> System.arraycopy(replaced, replacedAt, data, at, length);
        case REFERENCE -> System.arraycopy(older, at, data, at, length);
        case DIFFERENCE -> {
          for (int k = 0; k < length; k++) {
            data[at + k] = (byte) (differences[difference + k] ^ replaced[replacedAt + k]);
          }
          difference += length;
        }
        case COMPRESSED -> {
          System.arraycopy(compressed, plain, data, at, length);
          plain += length;
        }
        case RAW -> {
          System.arraycopy(raw, asIs, data, at, length);
          asIs += length;
        }
      }
    }
    if (difference != differences.length || plain != compressed.length || asIs != raw.length) {
      throw new IllegalArgumentException("sections of another segment");
    }
    return data;
  }

  private void groups(Varints.In in, Codec codec, byte[] older, byte[] data) {
    int next = 0;
    while (next < pieces.count) {
      SegmentPacker.Group group = new SegmentPacker.Group(pieces, kinds, next);
      if (group.length > 0) {
        int stored = in.bounded(Math.min(group.length, in.remaining()), "stored bytes of a group");
        byte[] bytes = new byte[group.length];
        if (stored == group.length) {
          System.arraycopy(packed, in.at(), bytes, 0, stored);
        } else {
          byte[] dictionary = group.gather(pieces, kinds, older);
          int unpacked =
              codec.decompress(bytes, 0, bytes.length, packed, in.at(), stored, dictionary);
          if (unpacked != bytes.length) {
            throw new IllegalArgumentException(unpacked + " bytes in a group");
          }
        }
        in.seek(in.at() + stored);
        group.scatter(pieces, kinds, bytes, data);
      }
      next = group.next;
    }
  }

  private void check(byte[] data) {
    CRC32C crc = new CRC32C();
    for (int i = 0; i < meta.chunkCount(); i++) {
      crc.reset();
      crc.update(data, i * meta.chunkBytes(), meta.chunkLength(i));
      if ((int) crc.getValue() != meta.chunkCrc(i)) {
        throw corrupt(
            "of %s unpacks to chunk %d with CRC %08x, the tap sent %08x: the older content differs, or the line damaged it"
                .formatted(meta, i, (int) crc.getValue(), meta.chunkCrc(i)),
            null);
      }
    }
  }

  private static Refusal corrupt(String what, Throwable cause) {
    return new Refusal(ErrorCode.CORRUPT, "a packed segment " + what, cause);
  }
}
