package io.tidemark.extent;

import java.util.Arrays;

/** Variable-length integers: 7 bits a byte, low first; signed ones zigzag. */
public final class Varints {
  private Varints() {}

  /** A growing buffer to write to; not thread-safe. */
  public static final class Out {
    private byte[] bytes;
    private int length;

    public Out(int capacity) {
      bytes = new byte[Math.max(16, capacity)];
    }

    public int length() {
      return length;
    }

    public void clear() {
      length = 0;
    }

    public byte[] toBytes() {
      return Arrays.copyOf(bytes, length);
    }

    private void ensure(int more) {
      if (bytes.length - length < more) {
        bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, length + more));
      }
    }

    public Out varint(long value) {
      ensure(10);
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        bytes[length++] = (byte) (rest | 0x80);
        rest >>>= 7;
      }
      bytes[length++] = (byte) rest;
      return this;
    }

    public Out zigzag(long value) {
      return varint((value << 1) ^ (value >> 63));
    }

    /** Big-endian. */
    public Out u32(int value) {
      ensure(4);
      for (int shift = 24; shift >= 0; shift -= 8) {
        bytes[length++] = (byte) (value >>> shift);
      }
      return this;
    }

    /** Big-endian. */
    public Out u64(long value) {
      return u32((int) (value >>> 32)).u32((int) value);
    }

    public Out bytes(byte[] source, int from, int count) {
      ensure(count);
      System.arraycopy(source, from, bytes, length, count);
      length += count;
      return this;
    }
  }

  /**
   * Reads what {@link Out} wrote. A read past the end throws {@link IndexOutOfBoundsException}, a
   * malformed value {@link IllegalArgumentException}. Not thread-safe.
   */
  public static final class In {
    private final byte[] bytes;
    private int at;

    public In(byte[] bytes, int from) {
      this.bytes = bytes;
      this.at = from;
    }

    public int at() {
      return at;
    }

    public void seek(int position) {
      at = position;
    }

    public int remaining() {
      return bytes.length - at;
    }

    public long varint() {
      byte b = bytes[at++];
      if (b >= 0) {
        return b;
      }
      long value = b & 0x7f;
      for (int shift = 7; shift < 64; shift += 7) {
        b = bytes[at++];
        value |= (b & 0x7fL) << shift;
        if (b >= 0) {
          return value;
        }
      }
      throw new IllegalArgumentException("a varint of more than ten bytes");
    }

    public long zigzag() {
      long value = varint();
      return (value >>> 1) ^ -(value & 1);
    }

    /** A count or size that must lie in {@code [0, max]}. */
    public int bounded(int max, String what) {
      long value = varint();
      if (value < 0 || value > max) {
        throw new IllegalArgumentException(value + " " + what + " exceed the limit of " + max);
      }
      return (int) value;
    }

    public int u32() {
      int value = 0;
      for (int i = 0; i < 4; i++) {
        value = value << 8 | (bytes[at++] & 0xff);
      }
      return value;
    }

    public long u64() {
      return (long) u32() << 32 | (u32() & 0xffff_ffffL);
    }
  }
}
