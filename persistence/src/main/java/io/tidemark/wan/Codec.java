package io.tidemark.wan;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdCompressCtx;
import com.github.luben.zstd.ZstdDecompressCtx;

/**
 * zstd frames without what the format already says: no magic, length or checksum. Not thread-safe.
 */
final class Codec implements AutoCloseable {
  private final ZstdCompressCtx plain;
  private final ZstdCompressCtx guided;
  private final ZstdDecompressCtx plainBack = new ZstdDecompressCtx().setMagicless(true);
  private final ZstdDecompressCtx guidedBack = new ZstdDecompressCtx().setMagicless(true);
  private byte[] scratch = new byte[0];

  Codec(int level) {
    plain = context(level);
    guided = context(level);
  }

  private static ZstdCompressCtx context(int level) {
    return new ZstdCompressCtx()
        .setLevel(level)
        .setMagicless(true)
        .setChecksum(false)
        .setContentSize(false)
        .setDictID(false);
  }

  /** Compresses into the scratch memory; gives the length. */
  int compress(byte[] data, int from, int length) {
    reserve(length);
    return plain.compressByteArray(scratch, 0, scratch.length, data, from, length);
  }

  /**
   * The same with a dictionary.
   *
   * @throws com.github.luben.zstd.ZstdException when the dictionary cannot serve as one
   */
  int compress(byte[] data, int from, int length, byte[] dictionary) {
    reserve(length);
    guided.loadDict(dictionary);
    return guided.compressByteArray(scratch, 0, scratch.length, data, from, length);
  }

  private void reserve(int length) {
    int bound = Math.toIntExact(Zstd.compressBound(length));
    if (scratch.length < bound) {
      scratch = new byte[bound];
    }
  }

  /** What the last compression made, from 0. */
  byte[] scratch() {
    return scratch;
  }

  /**
   * @throws com.github.luben.zstd.ZstdException when it is damaged
   */
  int decompress(byte[] into, int at, int length, byte[] stored, int from, int storedLength) {
    return plainBack.decompressByteArray(into, at, length, stored, from, storedLength);
  }

  /**
   * @throws com.github.luben.zstd.ZstdException when it is damaged or the dictionary is another
   */
  int decompress(
      byte[] into,
      int at,
      int length,
      byte[] stored,
      int from,
      int storedLength,
      byte[] dictionary) {
    guidedBack.loadDict(dictionary);
    return guidedBack.decompressByteArray(into, at, length, stored, from, storedLength);
  }

  @Override
  public void close() {
    plain.close();
    guided.close();
    plainBack.close();
    guidedBack.close();
  }
}
