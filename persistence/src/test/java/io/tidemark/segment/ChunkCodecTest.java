package io.tidemark.segment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ChunkCodecTest {
  private static final VolumeId VOLUME =
      new VolumeId(UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"));
  private static final SegmentRef REF = new SegmentRef(VOLUME, SegmentRef.number(2, 3));

  private static int crc(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  private static byte[] encode(byte[] raw, ChunkCodec.Compression compression) {
    ByteBuffer row =
        ChunkCodec.encode(REF, 5, new ByteBuffer[] {ByteBuffer.wrap(raw)}, crc(raw), compression);
    return Arrays.copyOf(row.array(), row.remaining());
  }

  private static byte[] decode(byte[] row) {
    ByteBuffer raw = ChunkCodec.decode(REF, 5, ByteBuffer.wrap(row));
    byte[] bytes = new byte[raw.remaining()];
    raw.get(bytes);
    return bytes;
  }

  private static byte[] compressible(int length) {
    byte[] raw = new byte[length];
    new Random(7).nextBytes(raw);
    Arrays.fill(raw, length / 4, length, (byte) 3);
    return raw;
  }

  /** Stored rows of version 1, read by today's code. */
  @Test
  void shouldReadGoldenRows() {
    byte[] tides = "tides".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    assertEquals(GOLDEN_RAW, HexFormat.of().formatHex(encode(tides, ChunkCodec.Compression.ZSTD)));
    byte[] stored = HexFormat.of().parseHex(GOLDEN_RAW);
    assertEquals("tides", new String(decode(stored), java.nio.charset.StandardCharsets.US_ASCII));
    byte[] zeroes = decode(HexFormat.of().parseHex(GOLDEN_ZSTD));
    assertEquals(4096, zeroes.length);
    assertTrue(ByteBuffer.wrap(zeroes).equals(ByteBuffer.allocate(4096)));
  }

  private static final String GOLDEN_RAW =
      "744301000000000556ed501e00112233445566778899aabbccddeeff000000020000000300000005"
          + "adcbf0b97469646573";
  private static final String GOLDEN_ZSTD =
      "744301010000100098f9418900112233445566778899aabbccddeeff000000020000000300000005"
          + "fe43562a28b52ffd60000f4d00001000000100fbf70116";

  @ParameterizedTest
  @EnumSource(ChunkCodec.Compression.class)
  void shouldReadBackEveryLength(ChunkCodec.Compression compression) {
    for (int length : new int[] {0, 1, 511, 4096, 65_535, 65_536, ChunkCodec.CHUNK_BYTES_MAX}) {
      byte[] raw = compressible(length);
      assertTrue(Arrays.equals(raw, decode(encode(raw, compression))));
      byte[] random = new byte[length];
      new Random(8).nextBytes(random);
      byte[] row = encode(random, compression);
      assertTrue(row.length <= length + ChunkCodec.HEADER_BYTES);
      assertTrue(Arrays.equals(random, decode(row)));
    }
  }

  /** No damaged byte is ever served: each damage is refused, or without effect on the data. */
  @ParameterizedTest
  @EnumSource(ChunkCodec.Compression.class)
  void shouldNeverServeADamagedByte(ChunkCodec.Compression compression) {
    byte[] raw = compressible(3000);
    byte[] row = encode(raw, compression);
    int harmless = 0;
    for (int i = 0; i < row.length; i++) {
      for (int flip : new int[] {1, 0x80, 0xff}) {
        byte[] damaged = row.clone();
        damaged[i] ^= (byte) flip;
        try {
          assertTrue(Arrays.equals(raw, decode(damaged)), "byte " + i);
          harmless++;
          assertTrue(i >= ChunkCodec.HEADER_BYTES, "a damaged header was accepted at " + i);
        } catch (Refusal refusal) {
          assertEquals(ErrorCode.CORRUPT, refusal.code());
        }
      }
    }
    // Bits that zstd itself does not look at.
    assertTrue(harmless <= 3, harmless + " damages went unnoticed");
    for (int length = 0; length < row.length; length++) {
      byte[] cut = Arrays.copyOf(row, length);
      assertEquals(ErrorCode.CORRUPT, assertThrows(Refusal.class, () -> decode(cut)).code());
    }
  }

  @Test
  void shouldRefuseTheRowOfAnotherPlace() {
    ByteBuffer row = ByteBuffer.wrap(encode(compressible(100), ChunkCodec.Compression.ZSTD));
    SegmentRef otherSegment = new SegmentRef(VOLUME, REF.number() + 1);
    SegmentRef otherVolume = new SegmentRef(VolumeId.random(), REF.number());
    assertThrows(Refusal.class, () -> ChunkCodec.decode(REF, 6, row));
    assertThrows(Refusal.class, () -> ChunkCodec.decode(otherSegment, 5, row));
    assertThrows(Refusal.class, () -> ChunkCodec.decode(otherVolume, 5, row));
  }

  @Test
  void shouldRefuseDataThatTheTapDidNotSend() {
    byte[] raw = compressible(100);
    int crc = crc(raw);
    raw[50] ^= 1;
    ByteBuffer[] pieces = {ByteBuffer.wrap(raw)};
    Refusal refusal =
        assertThrows(
            Refusal.class,
            () -> ChunkCodec.encode(REF, 0, pieces, crc, ChunkCodec.Compression.ZSTD));
    assertEquals(ErrorCode.CORRUPT, refusal.code());
  }
}
