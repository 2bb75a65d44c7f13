package io.tidemark.index;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import io.tidemark.extent.FencePage;
import io.tidemark.extent.MapBlock;
import io.tidemark.extent.Varints;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.function.Function;
import java.util.zip.CRC32C;

/**
 * The frame around every stored block of a node, all integers big-endian:
 *
 * <pre>
 *   u32 magic "TMIX"
 *   u8  version = 1
 *   u8  kind (1 header, 2 fences, 3 map, 4 runs)
 *   u16 zero
 *   u64 node id
 *   u32 block number
 *   u32 size of the content before compression
 *   u32 CRC-32C of the 24 bytes above and of everything below
 *   content, one zstd frame
 * </pre>
 *
 * Block 0 is the header's first piece. The checksum covers the node id and the block number, so a
 * block that turns up in another's place is detected like a damaged one.
 */
final class NodeFormat {
  static final int HEADER = 1;
  static final int FENCES = 2;
  static final int MAP = 3;
  static final int RUNS = 4;

  /** Content of one block, at most. */
  static final int CONTENT_BYTES_MAX = 256 << 10;

  /** A header, at most; it is cut into pieces of one block each. */
  static final int HEADER_BYTES_MAX = 16 << 20;

  private static final int MAGIC = 0x544d4958;
  private static final int VERSION = 1;
  private static final int CRC_AT = 24;
  private static final int CONTENT_AT = 28;
  private static final int ZSTD_LEVEL = 1;

  private NodeFormat() {}

  static byte[] frame(int kind, long nodeId, int block, byte[] content) {
    if (content.length > CONTENT_BYTES_MAX) {
      throw new IllegalArgumentException(
          "a block of %d bytes exceeds the limit of %d"
              .formatted(content.length, CONTENT_BYTES_MAX));
    }
    byte[] packed = Zstd.compress(content, ZSTD_LEVEL);
    ByteBuffer out = ByteBuffer.allocate(CONTENT_AT + packed.length);
    out.putInt(MAGIC).put((byte) VERSION).put((byte) kind).putShort((short) 0);
    out.putLong(nodeId).putInt(block).putInt(content.length);
    out.putInt(crc(out.array(), packed, 0));
    out.put(packed);
    return out.array();
  }

  private static int crc(byte[] prefix, byte[] content, int contentAt) {
    CRC32C crc = new CRC32C();
    crc.update(prefix, 0, CRC_AT);
    crc.update(content, contentAt, content.length - contentAt);
    return (int) crc.getValue();
  }

  /** The content of a stored block; refuses with {@code CORRUPT} when it is not that block. */
  static byte[] content(int kind, long nodeId, int block, byte[] stored) {
    if (stored.length < CONTENT_AT) {
      throw corrupt(nodeId, block, "it is cut short", null);
    }
    ByteBuffer in = ByteBuffer.wrap(stored);
    if (in.getInt() != MAGIC) {
      throw corrupt(nodeId, block, "it has no index block's magic", null);
    }
    if (in.getInt(CRC_AT) != crc(stored, stored, CONTENT_AT)) {
      throw corrupt(nodeId, block, "its checksum does not match", null);
    }
    int version = in.get();
    if (version != VERSION) {
      throw corrupt(nodeId, block, "it is of unknown version " + version, null);
    }
    if (in.get() != kind || in.getShort() != 0 || in.getLong() != nodeId || in.getInt() != block) {
      throw corrupt(nodeId, block, "another block is in its place", null);
    }
    int size = in.getInt();
    if (size < 0 || size > CONTENT_BYTES_MAX) {
      throw corrupt(nodeId, block, "its content exceeds the limit", null);
    }
    try {
      byte[] content = new byte[size];
      long got = Zstd.decompressByteArray(content, 0, size, stored, CONTENT_AT, packed(stored));
      if (got != size) {
        throw corrupt(nodeId, block, "its content is cut short", null);
      }
      return content;
    } catch (ZstdException e) {
      throw corrupt(nodeId, block, "its content does not decompress", e);
    }
  }

  private static int packed(byte[] stored) {
    return stored.length - CONTENT_AT;
  }

  static MapBlock mapBlock(long nodeId, int block, byte[] stored) {
    return decoded(nodeId, block, content(MAP, nodeId, block, stored), MapBlock::new);
  }

  static FencePage fencePage(long nodeId, int block, byte[] stored) {
    return decoded(
        nodeId,
        block,
        content(FENCES, nodeId, block, stored),
        bytes -> FencePage.decode(new Varints.In(bytes, 0)));
  }

  /** Decodes content whose checksum was right: what fails now was written wrong. */
  static <T> T decoded(long nodeId, int block, byte[] content, Function<byte[], T> decode) {
    try {
      return decode.apply(content);
    } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
      throw corrupt(nodeId, block, "its content is malformed", e);
    }
  }

  static Refusal corrupt(long nodeId, int block, String what, Throwable cause) {
    return new Refusal(
        ErrorCode.CORRUPT,
        "block %d of index node %d cannot be used: %s; the index can be rebuilt from the journal"
            .formatted(block, nodeId, what),
        cause);
  }
}
