package io.tidemark.order;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;

/**
 * Those steps of a ROLLBACK order that shut a volume to clients and open it again; a failover uses
 * them without writing anything in between.
 */
public final class Gate {
  private static final byte BEGIN = 1;
  private static final byte END = 5;

  private Gate() {}

  /**
   * Lets no client in any more, ends those that are in, and waits until everything is journaled.
   * Said again it changes nothing; the tap opens by itself ten minutes after it was said last.
   *
   * @param run who shuts it
   */
  public static byte[] shut(long run) {
    return ByteBuffer.allocate(2 + Long.BYTES).put(BEGIN).putLong(run).put((byte) 1).array();
  }

  /** Lets clients in again. */
  public static byte[] open(long run) {
    return ByteBuffer.allocate(1 + Long.BYTES).put(END).putLong(run).array();
  }

  /**
   * The newest seq that is known to be journaled, from the tap's answer.
   *
   * @throws Refusal {@code CORRUPT} for another answer
   */
  public static long seq(byte[] answer) {
    if (answer.length != Long.BYTES) {
      throw new Refusal(
          ErrorCode.CORRUPT, "the tap answered with %d bytes".formatted(answer.length));
    }
    return ByteBuffer.wrap(answer).getLong();
  }
}
