package io.tidemark.taplink;

import io.tidemark.capture.ContentHashes;
import io.tidemark.journal.ContentRun;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.TapOrder;
import io.tidemark.position.ByteRange;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.UUID;

/**
 * The messages of the tap link; numbers are big-endian, texts are a u16 length and UTF-8. The
 * layout of each is in docs/tap-protocol.md.
 */
sealed interface LinkMessage {
  int TEXT_BYTES_MAX = 500;

  FrameType type();

  /** The checked part of its frame. */
  ByteBuffer encode();

  /** Tap to node, first: who it is and what it speaks. */
  record Hello(
      int versionFrom, int versionTo, UUID tapId, long sizeBytes, String volume, String address)
      implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.HELLO;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(type().checkedBytesMax() + 256);
      out.putShort((short) versionFrom).putShort((short) versionTo);
      putUuid(out, tapId).putLong(sizeBytes);
      putText(out, volume);
      putText(out, address);
      return out.flip();
    }

    static Hello decode(ByteBuffer in) {
      return new Hello(
          in.getShort() & 0xffff,
          in.getShort() & 0xffff,
          uuid(in),
          in.getLong(),
          text(in),
          text(in));
    }
  }

  /** Node to tap: let in, under these terms. */
  record Welcome(
      int version, SessionGrant grant, int windowBytes, int segmentBytesMax, int segmentWritesMax)
      implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.WELCOME;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(type().checkedBytesMax());
      out.putShort((short) version);
      putUuid(out, grant.volume().value()).putLong(grant.sizeBytes());
      out.putLong(grant.epoch().value()).putInt(grant.session());
      out.putLong(grant.head().value()).putLong(grant.headTime().micros());
      boolean leased = grant.leased() && version >= ProtocolVersion.V4.code();
      out.put(
          (byte) ((grant.syncOpen() ? 1 : 0) | (grant.synchronous() ? 2 : 0) | (leased ? 4 : 0)));
      out.putInt(windowBytes).putInt(segmentBytesMax).putInt(segmentWritesMax);
      if (version >= ProtocolVersion.V3.code()) {
        out.putInt(grant.sinceSession());
      }
      if (version >= ProtocolVersion.V4.code()) {
        out.putInt(grant.ownSession());
      }
      return out.flip();
    }

    static Welcome decode(ByteBuffer in) {
      int version = in.getShort() & 0xffff;
      VolumeId volume = new VolumeId(uuid(in));
      long size = in.getLong();
      Epoch epoch = new Epoch(in.getLong());
      int session = in.getInt();
      WriteSeq head = new WriteSeq(in.getLong());
      MicroTime headTime = new MicroTime(in.getLong());
      byte flags = in.get();
      int windowBytes = in.getInt();
      int segmentBytesMax = in.getInt();
      int segmentWritesMax = in.getInt();
      int since = version >= ProtocolVersion.V3.code() ? in.getInt() : 0;
      int own = version >= ProtocolVersion.V4.code() ? in.getInt() : SessionGrant.OLDER_NODE;
      boolean syncOpen = (flags & 1) != 0;
      boolean synchronous = (flags & 2) != 0;
      boolean leased = version >= ProtocolVersion.V4.code() && (flags & 4) != 0;
      SessionGrant grant =
          new SessionGrant(
              volume,
              size,
              epoch,
              session,
              head,
              headTime,
              syncOpen,
              synchronous,
              since,
              own,
              leased);
      Welcome welcome = new Welcome(version, grant, windowBytes, segmentBytesMax, segmentWritesMax);
      if (welcome.windowBytes < 1 || welcome.segmentBytesMax < 1 || welcome.segmentWritesMax < 1) {
        throw new IllegalArgumentException("a window or segment of no size");
      }
      return welcome;
    }
  }

  /** Tap to node: writes; the frame's data follows. */
  record Segment(SegmentMeta meta, ByteBuffer encoded) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.SEGMENT;
    }

    @Override
    public ByteBuffer encode() {
      return encoded.duplicate();
    }

    static Segment decode(ByteBuffer in) {
      ByteBuffer whole = in.duplicate();
      return new Segment(SegmentMeta.decode(in), whole);
    }
  }

  /** Another site's node to a node: writes, packed against what the volume's journal holds. */
  record Packed(ByteBuffer bytes) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.PACKED;
    }

    @Override
    public ByteBuffer encode() {
      return bytes.duplicate();
    }

    static Packed decode(ByteBuffer in) {
      return new Packed(rest(in));
    }
  }

  /** Tap to node: writes that were not captured. */
  record Gap(long first, long last, long timeMicros, String reason) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.GAP;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(type().checkedBytesMax());
      out.putLong(first).putLong(last).putLong(timeMicros);
      putText(out, reason);
      return out.flip();
    }

    static Gap decode(ByteBuffer in) {
      Gap gap = new Gap(in.getLong(), in.getLong(), in.getLong(), text(in));
      if (gap.first < 1 || gap.last < gap.first || gap.timeMicros < 0) {
        throw new IllegalArgumentException("no such gap: " + gap.first + ".." + gap.last);
      }
      return gap;
    }
  }

  /** Tap to node: everything the gap may have missed was sent. */
  record SyncDone(long differentBytes) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.SYNC_DONE;
    }

    @Override
    public ByteBuffer encode() {
      return ByteBuffer.allocate(8).putLong(differentBytes).flip();
    }

    static SyncDone decode(ByteBuffer in) {
      return new SyncDone(in.getLong());
    }
  }

  /** Tap to node: what does the journal hold there? */
  record HashesRequest(int id, ByteRange range, int blockBytes) implements LinkMessage {
    static final int BLOCK_BYTES_MIN = 4096;

    @Override
    public FrameType type() {
      return FrameType.HASHES_REQUEST;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(24).putInt(id);
      return out.putLong(range.offset()).putLong(range.length()).putInt(blockBytes).flip();
    }

    int blocks() {
      return (int) ((range.length() + blockBytes - 1) / blockBytes);
    }

    static HashesRequest decode(ByteBuffer in) {
      HashesRequest request =
          new HashesRequest(in.getInt(), new ByteRange(in.getLong(), in.getLong()), in.getInt());
      if (request.blockBytes < BLOCK_BYTES_MIN
          || request.range.length() < 1
          || request.range.length() > 64L << 20
          || 4 + 32L * request.blocks() > FrameType.HASHES.checkedBytesMax()) {
        throw new IllegalArgumentException("hashes of " + request.range + " are over the limit");
      }
      return request;
    }
  }

  /** Node to tap: the answer to the request of that id. */
  record Hashes(int id, ByteBuffer hashes) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.HASHES;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(4 + hashes.remaining()).putInt(id);
      return out.put(hashes.duplicate()).flip();
    }

    static Hashes decode(ByteBuffer in) {
      return new Hashes(in.getInt(), rest(in));
    }
  }

  /** Node to tap, from version 2 on: what does the backing store hold there? */
  record ContentHashesRequest(int id, ByteRange range, int blockBytes) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.CONTENT_HASHES_REQUEST;
    }

    @Override
    public ByteBuffer encode() {
      return new HashesRequest(id, range, blockBytes).encode();
    }

    static ContentHashesRequest decode(ByteBuffer in) {
      HashesRequest same = HashesRequest.decode(in);
      return new ContentHashesRequest(same.id(), same.range(), same.blockBytes());
    }
  }

  /** Tap to node: the answer to the request of that id. */
  record ContentHashesAnswer(int id, ContentHashes content) implements LinkMessage {
    private static final int HEAD_BYTES = 13;

    @Override
    public FrameType type() {
      return FrameType.CONTENT_HASHES;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer hashes = content.hashes().duplicate();
      ByteBuffer out = ByteBuffer.allocate(HEAD_BYTES + hashes.remaining());
      out.putInt(id).put((byte) content.state().ordinal()).putLong(content.seq().value());
      return out.put(hashes).flip();
    }

    static ContentHashesAnswer decode(ByteBuffer in) {
      int id = in.getInt();
      int state = in.get();
      WriteSeq seq = new WriteSeq(in.getLong());
      ByteBuffer hashes = rest(in);
      if (state < 0 || state >= ContentHashes.State.values().length) {
        throw new IllegalArgumentException("no such state of content: " + state);
      }
      return new ContentHashesAnswer(
          id, new ContentHashes(ContentHashes.State.values()[state], seq, hashes));
    }
  }

  /** Tap to node, from version 4 on: how does the journal's content of the range begin? */
  record ContentRequest(int id, ByteRange range) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.CONTENT_REQUEST;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(20).putInt(id);
      return out.putLong(range.offset()).putLong(range.length()).flip();
    }

    static ContentRequest decode(ByteBuffer in) {
      ContentRequest request =
          new ContentRequest(in.getInt(), new ByteRange(in.getLong(), in.getLong()));
      if (request.range.length() < 1 || request.range.length() > ContentRun.RANGE_BYTES_MAX) {
        throw new IllegalArgumentException("content of " + request.range + " is over the limit");
      }
      return request;
    }
  }

  /**
   * Node to tap: the answer to the request of that id.
   *
   * @param run empty when it cannot be read, {@code why} then says why
   */
  record Content(int id, Optional<ContentRun> run, String why) implements LinkMessage {
    static Content of(int id, ContentRun run) {
      return new Content(id, Optional.of(run), "");
    }

    static Content failed(int id, String why) {
      return new Content(id, Optional.empty(), why);
    }

    @Override
    public FrameType type() {
      return FrameType.CONTENT;
    }

    @Override
    public ByteBuffer encode() {
      if (run.isEmpty()) {
        ByteBuffer out = ByteBuffer.allocate(14 + TEXT_BYTES_MAX).putInt(id).putLong(0);
        putText(out, why);
        return out.flip();
      }
      ByteBuffer bytes = run.get().bytes().duplicate();
      ByteBuffer out = ByteBuffer.allocate(12 + bytes.remaining()).putInt(id);
      return out.putLong(run.get().length()).put(bytes).flip();
    }

    static Content decode(ByteBuffer in) {
      int id = in.getInt();
      long length = in.getLong();
      return length == 0 ? failed(id, text(in)) : of(id, new ContentRun(length, rest(in)));
    }
  }

  /**
   * Node to tap, from version 3 on: an order to be carried out.
   *
   * @param leftMicros until its deadline; not positive: not to be begun
   */
  record Order(long id, int kind, long leftMicros, ByteBuffer body) implements LinkMessage {
    private static final int HEAD_BYTES = 17;

    @Override
    public FrameType type() {
      return FrameType.ORDER;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(HEAD_BYTES + body.remaining());
      out.putLong(id).put((byte) kind).putLong(leftMicros);
      return out.put(body.duplicate()).flip();
    }

    static Order decode(ByteBuffer in) {
      return new Order(in.getLong(), in.get() & 0xff, in.getLong(), rest(in));
    }
  }

  /** Tap to node: how the order of that id went; no code when it was carried out. */
  record OrderDone(long id, Optional<ErrorCode> refused, String message, ByteBuffer body)
      implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.ORDER_DONE;
    }

    static OrderDone of(long id, byte[] body) {
      return new OrderDone(id, Optional.empty(), "", ByteBuffer.wrap(body));
    }

    static OrderDone of(long id, Refusal refusal) {
      return new OrderDone(
          id, Optional.of(refusal.code()), refusal.getMessage(), ByteBuffer.allocate(0));
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(12 + TEXT_BYTES_MAX + body.remaining());
      out.putLong(id).putShort((short) refused.map(Refused::wire).orElse(0).intValue());
      putText(out, message);
      return out.put(body.duplicate()).flip();
    }

    static OrderDone decode(ByteBuffer in) {
      long id = in.getLong();
      int code = in.getShort() & 0xffff;
      String message = text(in);
      ByteBuffer body = rest(in);
      if (body.remaining() > TapOrder.BODY_BYTES_MAX) {
        throw new IllegalArgumentException("an answer of " + body.remaining() + " bytes");
      }
      return new OrderDone(
          id, code == 0 ? Optional.empty() : Optional.of(Refused.code(code)), message, body);
    }
  }

  /** Tap to node, every second. */
  record Status(TapStatus status) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.STATUS;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(41);
      out.put(
          (byte)
              switch (status.mode()) {
                case CONTINUOUS -> 0;
                case SPILLING -> 1;
                case COLLAPSED -> 2;
                case RESYNCING -> 3;
                case FILLING -> 4;
              });
      out.putLong(status.pendingBytes()).putLong(status.pendingWrites());
      out.putLong(status.oldestPendingMicros());
      return out.putLong(status.syncDoneBytes()).putLong(status.syncTotalBytes()).flip();
    }

    static Status decode(ByteBuffer in) {
      TapStatus.Mode mode =
          switch (in.get()) {
            case 0 -> TapStatus.Mode.CONTINUOUS;
            case 1 -> TapStatus.Mode.SPILLING;
            case 2 -> TapStatus.Mode.COLLAPSED;
            case 3 -> TapStatus.Mode.RESYNCING;
            case 4 -> TapStatus.Mode.FILLING;
            default -> throw new IllegalArgumentException("no such mode");
          };
      return new Status(
          new TapStatus(
              mode, in.getLong(), in.getLong(), in.getLong(), in.getLong(), in.getLong()));
    }
  }

  /** Node to tap: so many SEGMENT, GAP and SYNC_DONE of this connection are journaled. */
  record Ack(long commands, long seq) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.ACK;
    }

    @Override
    public ByteBuffer encode() {
      return ByteBuffer.allocate(16).putLong(commands).putLong(seq).flip();
    }

    static Ack decode(ByteBuffer in) {
      return new Ack(in.getLong(), in.getLong());
    }
  }

  /** Node to tap, last: the session is refused or over. */
  record Refused(ErrorCode code, boolean retryable, String message) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.REFUSED;
    }

    static Refused of(Refusal refusal) {
      boolean retryable =
          switch (refusal.code()) {
            case BUSY, NOT_ACKNOWLEDGED, CORRUPT, FAILED, HOLD_TIMEOUT -> true;
            default -> false;
          };
      return new Refused(refusal.code(), retryable, refusal.getMessage());
    }

    Refusal refusal() {
      return new Refusal(code, message);
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(type().checkedBytesMax());
      out.putShort((short) wire(code)).put((byte) (retryable ? 1 : 0));
      putText(out, message);
      return out.flip();
    }

    static Refused decode(ByteBuffer in) {
      return new Refused(code(in.getShort() & 0xffff), in.get() != 0, text(in));
    }

    private static int wire(ErrorCode code) {
      return switch (code) {
        case NOT_FOUND -> 1;
        case ALREADY_EXISTS -> 2;
        case INVALID -> 3;
        case DARK_INTERVAL -> 4;
        case BEYOND_HORIZON -> 5;
        case BEYOND_HEAD -> 6;
        case FENCED -> 7;
        case BUSY -> 8;
        case HOLD_TIMEOUT -> 9;
        case NOT_ACKNOWLEDGED -> 10;
        case UNAUTHENTICATED -> 11;
        case FORBIDDEN -> 12;
        case LIMIT -> 13;
        case CORRUPT -> 14;
        case FAILED -> 15;
        case UNREADABLE -> 16;
        case NOT_SYNCHRONIZED -> 17;
        case SECOND_PRIMARY -> 18;
        case LEASE_EXPIRED -> 19;
      };
    }

    /** A code of a newer node is some failure. */
    private static ErrorCode code(int wire) {
      for (ErrorCode code : ErrorCode.values()) {
        if (wire(code) == wire) {
          return code;
        }
      }
      return ErrorCode.FAILED;
    }
  }

  /** Either way: are you there? */
  record Ping(long stamp) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.PING;
    }

    @Override
    public ByteBuffer encode() {
      return ByteBuffer.allocate(8).putLong(stamp).flip();
    }

    static Ping decode(ByteBuffer in) {
      return new Ping(in.getLong());
    }
  }

  /** The answer to a PING, with its stamp. */
  record Pong(long stamp) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.PONG;
    }

    @Override
    public ByteBuffer encode() {
      return ByteBuffer.allocate(8).putLong(stamp).flip();
    }

    static Pong decode(ByteBuffer in) {
      return new Pong(in.getLong());
    }
  }

  /** Either way, last: the link is closed on purpose. */
  record Bye(String reason) implements LinkMessage {
    @Override
    public FrameType type() {
      return FrameType.BYE;
    }

    @Override
    public ByteBuffer encode() {
      ByteBuffer out = ByteBuffer.allocate(type().checkedBytesMax());
      putText(out, reason);
      return out.flip();
    }

    static Bye decode(ByteBuffer in) {
      return new Bye(text(in));
    }
  }

  /** Reads the checked part of a frame. */
  static LinkMessage decode(FrameParser.Frame frame) throws LinkProtocolException {
    ByteBuffer in = frame.checked().duplicate();
    try {
      LinkMessage message =
          switch (frame.type()) {
            case HELLO -> Hello.decode(in);
            case WELCOME -> Welcome.decode(in);
            case SEGMENT -> Segment.decode(in);
            case GAP -> Gap.decode(in);
            case SYNC_DONE -> SyncDone.decode(in);
            case HASHES_REQUEST -> HashesRequest.decode(in);
            case HASHES -> Hashes.decode(in);
            case STATUS -> Status.decode(in);
            case ACK -> Ack.decode(in);
            case REFUSED -> Refused.decode(in);
            case PING -> Ping.decode(in);
            case PONG -> Pong.decode(in);
            case BYE -> Bye.decode(in);
            case CONTENT_HASHES_REQUEST -> ContentHashesRequest.decode(in);
            case CONTENT_HASHES -> ContentHashesAnswer.decode(in);
            case ORDER -> Order.decode(in);
            case ORDER_DONE -> OrderDone.decode(in);
            case PACKED -> Packed.decode(in);
            case CONTENT_REQUEST -> ContentRequest.decode(in);
            case CONTENT -> Content.decode(in);
          };
      if (in.hasRemaining()) {
        throw new LinkProtocolException(in.remaining() + " bytes too many in " + frame.type());
      }
      if (message instanceof Segment segment && segment.meta.dataBytes() != frame.dataBytes()) {
        throw new LinkProtocolException(
            "a segment of %d data bytes came with %d"
                .formatted(segment.meta.dataBytes(), frame.dataBytes()));
      }
      return message;
    } catch (BufferUnderflowException | IllegalArgumentException | ArithmeticException e) {
      throw new LinkProtocolException("no valid " + frame.type() + ": " + e.getMessage(), e);
    }
  }

  /** The whole frame, but for a segment's data. */
  default ByteBuffer frame() {
    return FrameParser.encode(type(), encode(), 0);
  }

  private static ByteBuffer rest(ByteBuffer in) {
    ByteBuffer rest = in.slice();
    in.position(in.limit());
    return rest;
  }

  private static ByteBuffer putUuid(ByteBuffer out, UUID id) {
    return out.putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits());
  }

  private static UUID uuid(ByteBuffer in) {
    return new UUID(in.getLong(), in.getLong());
  }

  private static void putText(ByteBuffer out, String text) {
    byte[] bytes = String.valueOf(text).getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, TEXT_BYTES_MAX);
    while (length < bytes.length && length > 0 && (bytes[length] & 0xc0) == 0x80) {
      length--; // never cut a character in two
    }
    out.putShort((short) length).put(bytes, 0, length);
  }

  private static String text(ByteBuffer in) {
    int length = in.getShort() & 0xffff;
    if (length > TEXT_BYTES_MAX) {
      throw new IllegalArgumentException("a text of " + length + " bytes");
    }
    byte[] bytes = new byte[length];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
