package io.tidemark.taplink;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * Cuts a stream of bytes into frames, however it arrives. Every header is checked before anything
 * is kept for its body; data is passed on in the buffers in which it came. Not thread-safe.
 */
final class FrameParser {
  static final int MAGIC = 0x5444544c; // "TDTL"
  static final int HEADER_BYTES = 24;

  /** Frame length limit: the longest segment. */
  static final int BODY_BYTES_MAX =
      FrameType.SEGMENT.checkedBytesMax() + FrameType.SEGMENT.dataBytesMax();

  /** A frame as it came. */
  record Frame(FrameType type, int version, ByteBuffer checked, List<ByteBuffer> data) {
    /** Bytes that it took on the wire. */
    long bytes() {
      return HEADER_BYTES + checked.remaining() + dataBytes();
    }

    long dataBytes() {
      return data.stream().mapToLong(ByteBuffer::remaining).sum();
    }
  }

  /** What a frame's header says. */
  record Header(FrameType type, int version, int bodyBytes, int checkedBytes, int bodyCrc) {}

  /** Refuses a frame by its header, before its body is read. */
  @FunctionalInterface
  interface HeaderCheck {
    void check(Header header) throws LinkProtocolException;
  }

  private final LinkEnd peer;
  private final HeaderCheck check;
  private final ArrayDeque<ByteBuffer> received = new ArrayDeque<>();
  private long available;
  private Header header;

  /**
   * @param peer the end whose frames are parsed
   */
  FrameParser(LinkEnd peer, HeaderCheck check) {
    this.peer = peer;
    this.check = check;
  }

  /** Adds received bytes; the buffer is the parser's from now on. */
  void feed(ByteBuffer bytes) {
    if (bytes.hasRemaining()) {
      received.add(bytes);
      available += bytes.remaining();
    }
  }

  /** The next whole frame, or null when more bytes are needed. */
  Frame next() throws LinkProtocolException {
    if (header == null) {
      if (available < HEADER_BYTES) {
        return null;
      }
      header = header(copy(HEADER_BYTES));
      check.check(header);
    }
    if (available < header.bodyBytes()) {
      return null;
    }
    Header complete = header;
    header = null;
    ByteBuffer checked = copy(complete.checkedBytes());
    CRC32C crc = new CRC32C();
    crc.update(checked.duplicate());
    if ((int) crc.getValue() != complete.bodyCrc()) {
      throw new LinkProtocolException("a frame of " + complete.type() + " is damaged");
    }
    List<ByteBuffer> data = slices(complete.bodyBytes() - complete.checkedBytes());
    return new Frame(complete.type(), complete.version(), checked, data);
  }

  private Header header(ByteBuffer in) throws LinkProtocolException {
    CRC32C crc = new CRC32C();
    crc.update(in.duplicate().limit(HEADER_BYTES - 4));
    if (in.getInt(0) != MAGIC) {
      throw new LinkProtocolException("no frame of the tap link begins here");
    }
    if (in.getInt(HEADER_BYTES - 4) != (int) crc.getValue()) {
      throw new LinkProtocolException("a frame's header is damaged");
    }
    int version = in.get(4) & 0xff;
    FrameType type = FrameType.of(in.get(5) & 0xff);
    int flags = in.getShort(6);
    int bodyBytes = in.getInt(8);
    int checkedBytes = in.getInt(12);
    if (type == null || !type.from(peer)) {
      throw new LinkProtocolException(
          "frame type " + (in.get(5) & 0xff) + " is none of the peer's");
    }
    if (flags != 0) {
      throw new LinkProtocolException("unknown flags " + flags + " in a frame of " + type);
    }
    if (checkedBytes < 0
        || checkedBytes > type.checkedBytesMax()
        || bodyBytes < checkedBytes
        || bodyBytes - checkedBytes > type.dataBytesMax()) {
      throw new LinkProtocolException(
          "a frame of %s has %d body bytes, %d of them checked: over its limits"
              .formatted(type, bodyBytes, checkedBytes));
    }
    return new Header(type, version, bodyBytes, checkedBytes, in.getInt(16));
  }

  private ByteBuffer copy(int bytes) {
    ByteBuffer whole = ByteBuffer.allocate(bytes);
    for (ByteBuffer piece : slices(bytes)) {
      whole.put(piece);
    }
    return whole.flip();
  }

  private List<ByteBuffer> slices(int bytes) {
    List<ByteBuffer> out = new ArrayList<>();
    int missing = bytes;
    while (missing > 0) {
      ByteBuffer first = received.peekFirst();
      int take = Math.min(missing, first.remaining());
      out.add(first.slice(first.position(), take));
      first.position(first.position() + take);
      if (!first.hasRemaining()) {
        received.pollFirst();
      }
      missing -= take;
    }
    available -= bytes;
    return out;
  }

  /**
   * The header and checked part of a frame, ready to be written before its data.
   *
   * @param dataBytes bytes of data that follow
   */
  static ByteBuffer encode(FrameType type, ByteBuffer checked, long dataBytes) {
    CRC32C crc = new CRC32C();
    crc.update(checked.duplicate());
    int checkedBytes = checked.remaining();
    ByteBuffer out = ByteBuffer.allocate(HEADER_BYTES + checkedBytes);
    out.putInt(MAGIC).put((byte) ProtocolVersion.V1.code()).put((byte) type.code());
    out.putShort((short) 0);
    out.putInt(Math.toIntExact(checkedBytes + dataBytes)).putInt(checkedBytes);
    out.putInt((int) crc.getValue());
    CRC32C headerCrc = new CRC32C();
    headerCrc.update(out.duplicate().flip());
    out.putInt((int) headerCrc.getValue());
    return out.put(checked.duplicate()).flip();
  }
}
