package io.tidemark.taprollback;

import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;

/**
 * The body of a ROLLBACK order: {@code u8} what, {@code u64} run, and the rest as each says. The
 * answer to each is a {@code u64}: the newest seq that is known to be journaled.
 */
public sealed interface RollbackOrder {
  /** Bytes of one WRITE, at most: with its header it fits an order. */
  int DATA_BYTES_MAX = 32 << 10;

  /** Bytes of an answer. */
  int ANSWER_BYTES = Long.BYTES;

  /** Names the rollback, so that a stranger's or an older one's orders are not carried out. */
  long run();

  /**
   * 1: shuts the volume to clients and waits until everything is journaled. Said again it changes
   * nothing.
   *
   * @param force {@code u8}, 1 although clients are connected
   */
  record Begin(long run, boolean force) implements RollbackOrder {}

  /**
   * 2: writes.
   *
   * @param offset {@code u64}
   * @param data the rest, 1 to {@link #DATA_BYTES_MAX} bytes
   */
  record Write(long run, long offset, ByteBuffer data) implements RollbackOrder {}

  /**
   * 3: makes a range read back as zeroes.
   *
   * @param range {@code u64} offset, {@code u64} length
   */
  record Zero(long run, ByteRange range) implements RollbackOrder {}

  /** 4: syncs the backing store and waits until everything is journaled. */
  record Sync(long run) implements RollbackOrder {}

  /** 5: lets clients in again, whatever was written. */
  record End(long run) implements RollbackOrder {}

  /** The bytes. */
  default byte[] encode() {
    int more = this instanceof Write write ? write.data().remaining() : 0;
    ByteBuffer out = ByteBuffer.allocate(1 + 3 * Long.BYTES + more);
    out.put(code()).putLong(run());
    if (this instanceof Begin begin) {
      out.put((byte) (begin.force() ? 1 : 0));
    } else if (this instanceof Write write) {
      out.putLong(write.offset()).put(write.data().duplicate());
    } else if (this instanceof Zero zero) {
      out.putLong(zero.range().offset()).putLong(zero.range().length());
    }
    byte[] bytes = new byte[out.position()];
    out.flip().get(bytes);
    return bytes;
  }

  private byte code() {
    if (this instanceof Begin) {
      return 1;
    }
    if (this instanceof Write) {
      return 2;
    }
    if (this instanceof Zero) {
      return 3;
    }
    return (byte) (this instanceof Sync ? 4 : 5);
  }

  /** Refuses with {@code INVALID} what is none. */
  static RollbackOrder decode(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    try {
      int code = in.get();
      long run = in.getLong();
      RollbackOrder order =
          switch (code) {
            case 1 -> new Begin(run, in.get() != 0);
            case 2 -> write(run, in);
            case 3 -> new Zero(run, new ByteRange(in.getLong(), in.getLong()));
            case 4 -> new Sync(run);
            case 5 -> new End(run);
            default -> throw new Refusal(ErrorCode.INVALID, "no step of a rollback: " + code);
          };
      if (!in.hasRemaining()) {
        return order;
      }
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      throw new Refusal(ErrorCode.INVALID, "the order's body is no step of a rollback", e);
    }
    throw new Refusal(ErrorCode.INVALID, "the order's body is longer than its step");
  }

  private static Write write(long run, ByteBuffer in) {
    long offset = in.getLong();
    int length = in.remaining();
    if (length < 1 || length > DATA_BYTES_MAX) {
      throw new Refusal(
          ErrorCode.INVALID, "%d bytes; a step writes 1 to %d".formatted(length, DATA_BYTES_MAX));
    }
    ByteBuffer data = in.slice();
    in.position(in.limit());
    return new Write(run, offset, data);
  }

  /** The answer. */
  static byte[] answer(long seq) {
    return ByteBuffer.allocate(ANSWER_BYTES).putLong(seq).array();
  }

  /** The seq in an answer; refuses with {@code CORRUPT} what is none. */
  static long seq(byte[] answer) {
    if (answer.length != ANSWER_BYTES) {
      throw new Refusal(
          ErrorCode.CORRUPT, "the tap answered a rollback with %d bytes".formatted(answer.length));
    }
    return ByteBuffer.wrap(answer).getLong();
  }
}
