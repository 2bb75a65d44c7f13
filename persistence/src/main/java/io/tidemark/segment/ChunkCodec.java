package io.tidemark.segment;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdCompressCtx;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * The stored form of one chunk: self-describing, checksummed, bound to its place.
 *
 * <pre>
 *   u16 magic 0x7443          u8 version = 1     u8 codec (0 raw, 1 zstd)
 *   u32 raw length            u32 CRC-32C of the raw data, as the tap computed it
 *   u64, u64 volume           u64 segment number u32 chunk number
 *   u32 CRC-32C of the header above
 *   stored data to the end of the row
 * </pre>
 *
 * Big-endian. The place is part of the row, so that a row found in the place of another is refused
 * although its own checksum is right (S1).
 */
public final class ChunkCodec {
  /** Raw bytes of a chunk, at most. */
  public static final int CHUNK_BYTES_MAX = 1 << 20;

  /** Bytes before the stored data. */
  public static final int HEADER_BYTES = 44;

  private static final short MAGIC = 0x7443;
  private static final byte VERSION = 1;
  private static final byte CODEC_RAW = 0;
  private static final byte CODEC_ZSTD = 1;
  private static final int ZSTD_LEVEL = 1;

  /** Whether chunks are compressed where that makes them smaller. */
  public enum Compression {
    ZSTD,
    NONE
  }

  /** Native contexts and scratch memory of a thread, reused from chunk to chunk. */
  private static final class Scratch {
    private final ZstdCompressCtx compressor = new ZstdCompressCtx().setLevel(ZSTD_LEVEL);
    private final ZstdDecompressCtx decompressor = new ZstdDecompressCtx();
    private final CRC32C crc = new CRC32C();
    private byte[] raw = new byte[0];
    private byte[] stored = new byte[0];

    private void reserve(int rawLength) {
      if (raw.length < rawLength || stored.length == 0) {
        raw = new byte[rawLength];
        stored = new byte[HEADER_BYTES + (int) Zstd.compressBound(rawLength)];
      }
    }
  }

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  private ChunkCodec() {}

  /**
   * Makes the row of one chunk.
   *
   * @param pieces the chunk's raw data; consumed
   * @param crc of the raw data, as the tap computed it
   * @return a new heap buffer that nobody else refers to
   * @throws Refusal {@code CORRUPT} when the data does not match {@code crc}
   */
  public static ByteBuffer encode(
      SegmentRef ref, int chunk, ByteBuffer[] pieces, int crc, Compression compression) {
    int length = 0;
    for (ByteBuffer piece : pieces) {
      length += piece.remaining();
    }
    if (length > CHUNK_BYTES_MAX) {
      throw new IllegalArgumentException(length + " bytes are no chunk");
    }
    Scratch scratch = SCRATCH.get();
    scratch.reserve(length);
    int position = 0;
    for (ByteBuffer piece : pieces) {
      int size = piece.remaining();
      piece.get(scratch.raw, position, size);
      position += size;
    }
    int actual = crc(scratch.crc, scratch.raw, 0, length);
    if (actual != crc) {
      throw corrupt(ref, chunk, "arrived with CRC %08x, the tap sent %08x".formatted(actual, crc));
    }
    int stored = length;
    byte codec = CODEC_RAW;
    if (compression == Compression.ZSTD && length > 0) {
      int compressed =
          scratch.compressor.compressByteArray(
              scratch.stored,
              HEADER_BYTES,
              scratch.stored.length - HEADER_BYTES,
              scratch.raw,
              0,
              length);
      if (compressed < length) {
        stored = compressed;
        codec = CODEC_ZSTD;
      }
    }
    if (codec == CODEC_RAW) {
      System.arraycopy(scratch.raw, 0, scratch.stored, HEADER_BYTES, length);
    }
    header(ByteBuffer.wrap(scratch.stored), ref, chunk, codec, length, crc);
    ByteBuffer.wrap(scratch.stored)
        .putInt(
            HEADER_BYTES - Integer.BYTES,
            crc(scratch.crc, scratch.stored, 0, HEADER_BYTES - Integer.BYTES));
    return ByteBuffer.wrap(Arrays.copyOf(scratch.stored, HEADER_BYTES + stored));
  }

  private static void header(
      ByteBuffer out, SegmentRef ref, int chunk, byte codec, int rawLength, int crc) {
    out.putShort(MAGIC).put(VERSION).put(codec).putInt(rawLength).putInt(crc);
    out.putLong(ref.volume().value().getMostSignificantBits());
    out.putLong(ref.volume().value().getLeastSignificantBits());
    out.putLong(ref.number()).putInt(chunk);
  }

  /**
   * Reads a row back.
   *
   * @param row left unchanged
   * @return the raw data, a read-only heap buffer
   * @throws Refusal {@code CORRUPT} when any byte is wrong or the row belongs to another place
   */
  public static ByteBuffer decode(SegmentRef ref, int chunk, ByteBuffer row) {
    if (row.remaining() < HEADER_BYTES
        || row.remaining() > HEADER_BYTES + Zstd.compressBound(CHUNK_BYTES_MAX)) {
      throw corrupt(ref, chunk, "has a row of " + row.remaining() + " bytes");
    }
    byte[] stored = new byte[row.remaining()];
    row.duplicate().get(stored);
    ByteBuffer in = ByteBuffer.wrap(stored);
    Scratch scratch = SCRATCH.get();
    if (in.getInt(HEADER_BYTES - Integer.BYTES)
        != crc(scratch.crc, stored, 0, HEADER_BYTES - Integer.BYTES)) {
      throw corrupt(ref, chunk, "has a damaged header");
    }
    if (in.getShort() != MAGIC || in.get() != VERSION) {
      throw corrupt(ref, chunk, "has a header of an unknown version");
    }
    byte codec = in.get();
    int rawLength = in.getInt();
    int crc = in.getInt();
    requirePlace(ref, chunk, in);
    if (rawLength < 0 || rawLength > CHUNK_BYTES_MAX) {
      throw corrupt(ref, chunk, "claims to have " + rawLength + " bytes");
    }
    byte[] raw = unpack(scratch, ref, chunk, codec, stored, rawLength);
    int actual = crc(scratch.crc, raw, 0, rawLength);
    if (actual != crc) {
      throw corrupt(ref, chunk, "reads with CRC %08x, expected %08x".formatted(actual, crc));
    }
    return ByteBuffer.wrap(raw).asReadOnlyBuffer();
  }

  private static void requirePlace(SegmentRef ref, int chunk, ByteBuffer in) {
    boolean sameVolume =
        in.getLong() == ref.volume().value().getMostSignificantBits()
            & in.getLong() == ref.volume().value().getLeastSignificantBits();
    long number = in.getLong();
    int storedChunk = in.getInt();
    if (!sameVolume || number != ref.number() || storedChunk != chunk) {
      throw corrupt(
          ref,
          chunk,
          "holds chunk %d of segment %x of %s volume"
              .formatted(storedChunk, number, sameVolume ? "this" : "another"));
    }
  }

  private static byte[] unpack(
      Scratch scratch, SegmentRef ref, int chunk, byte codec, byte[] stored, int rawLength) {
    int storedLength = stored.length - HEADER_BYTES;
    if (codec == CODEC_RAW) {
      if (storedLength != rawLength) {
        throw corrupt(ref, chunk, "is %d bytes, expected %d".formatted(storedLength, rawLength));
      }
      return Arrays.copyOfRange(stored, HEADER_BYTES, stored.length);
    }
    if (codec != CODEC_ZSTD) {
      throw corrupt(ref, chunk, "is of the unknown codec " + codec);
    }
    byte[] raw = new byte[rawLength];
    try {
      int length =
          scratch.decompressor.decompressByteArray(
              raw, 0, rawLength, stored, HEADER_BYTES, storedLength);
      if (length != rawLength) {
        throw corrupt(ref, chunk, "unpacks to %d bytes, not %d".formatted(length, rawLength));
      }
    } catch (ZstdException e) {
      throw new Refusal(
          ErrorCode.CORRUPT, message(ref, chunk, "does not unpack: " + e.getMessage()), e);
    }
    return raw;
  }

  private static int crc(CRC32C crc, byte[] bytes, int from, int length) {
    crc.reset();
    crc.update(bytes, from, length);
    return (int) crc.getValue();
  }

  static Refusal corrupt(SegmentRef ref, int chunk, String what) {
    return new Refusal(ErrorCode.CORRUPT, message(ref, chunk, what));
  }

  private static String message(SegmentRef ref, int chunk, String what) {
    return "chunk %d of segment %d/%d of volume %s %s"
        .formatted(chunk, ref.session(), Integer.toUnsignedLong(ref.ordinal()), ref.volume(), what);
  }
}
