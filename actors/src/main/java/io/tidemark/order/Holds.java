package io.tidemark.order;

import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;

/** The bodies of HOLD and RELEASE and of their answers; numbers are big-endian. */
public final class Holds {
  /** A tap holds no longer, whatever it is asked. */
  public static final int LIMIT_MICROS_MAX = 5_000_000;

  private Holds() {}

  /**
   * HOLD.
   *
   * @param owner by which the hold is released
   * @param limitMicros the tap ends the hold by itself after so long
   */
  public record Hold(long owner, int limitMicros) {
    public byte[] encode() {
      return ByteBuffer.allocate(12).putLong(owner).putInt(limitMicros).array();
    }

    /**
     * @throws Refusal INVALID for other bytes, or a limit outside 1 to {@link #LIMIT_MICROS_MAX}
     */
    public static Hold decode(byte[] body) {
      ByteBuffer in = checked(body, 12);
      Hold hold = new Hold(in.getLong(), in.getInt());
      if (hold.limitMicros < 1 || hold.limitMicros > LIMIT_MICROS_MAX) {
        throw new Refusal(
            ErrorCode.INVALID,
            "a hold lasts from 1 to %d microseconds, not %d"
                .formatted(LIMIT_MICROS_MAX, hold.limitMicros));
      }
      return hold;
    }
  }

  /**
   * The answer to HOLD: replies to all writes after the mark are withheld from now on.
   *
   * @param mark newest seq given to a write when the hold began
   * @param time timestamp of that moment, not before the mark's write nor after any later one
   */
  public record Held(WriteSeq mark, MicroTime time) {
    public byte[] encode() {
      return ByteBuffer.allocate(16).putLong(mark.value()).putLong(time.micros()).array();
    }

    /** Refuses other bytes by INVALID. */
    public static Held decode(byte[] body) {
      ByteBuffer in = checked(body, 16);
      return new Held(new WriteSeq(in.getLong()), new MicroTime(in.getLong()));
    }
  }

  /** RELEASE of the owner's hold. */
  public record Release(long owner) {
    public byte[] encode() {
      return ByteBuffer.allocate(8).putLong(owner).array();
    }

    /** Refuses other bytes by INVALID. */
    public static Release decode(byte[] body) {
      return new Release(checked(body, 8).getLong());
    }
  }

  /**
   * The answer to RELEASE: what the tap attests.
   *
   * @param unbroken whether the hold lasted until this release
   * @param heldMicros how long replies were withheld; 0 when there was no such hold
   * @param withheld how many replies
   */
  public record Released(boolean unbroken, long heldMicros, int withheld) {
    public byte[] encode() {
      ByteBuffer out = ByteBuffer.allocate(13).put((byte) (unbroken ? 1 : 0));
      return out.putLong(heldMicros).putInt(withheld).array();
    }

    /** Refuses other bytes by INVALID. */
    public static Released decode(byte[] body) {
      ByteBuffer in = checked(body, 13);
      return new Released(in.get() == 1, in.getLong(), in.getInt());
    }
  }

  private static ByteBuffer checked(byte[] body, int bytes) {
    if (body.length != bytes) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a body of %d bytes instead of %d".formatted(body.length, bytes),
          new BufferUnderflowException());
    }
    return ByteBuffer.wrap(body);
  }
}
