package io.tidemark.order;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;

/** The bodies of LEASE orders; numbers are big-endian, the answer is empty. */
public final class Leases {
  /** A promise is never longer, in microseconds. */
  public static final long LEASE_MICROS_MAX = 600_000_000L;

  private static final byte MARK = 1;
  private static final byte GRANT = 2;
  private static final byte OFF = 3;

  private Leases() {}

  /** What a LEASE order says. */
  public sealed interface Lease {}

  /**
   * A round begins: the tap notes its clock, and acknowledges nothing without a lease from now on.
   */
  public record Mark(long round) implements Lease {}

  /**
   * The round was granted.
   *
   * @param leaseMicros for how long, by the clock of who promised it
   */
  public record Grant(long round, long leaseMicros) implements Lease {}

  /** No lease is needed any more. */
  public record Off() implements Lease {}

  public static byte[] encode(Lease lease) {
    if (lease instanceof Mark mark) {
      return ByteBuffer.allocate(1 + Long.BYTES).put(MARK).putLong(mark.round()).array();
    }
    if (lease instanceof Grant grant) {
      return ByteBuffer.allocate(1 + 2 * Long.BYTES)
          .put(GRANT)
          .putLong(grant.round())
          .putLong(grant.leaseMicros())
          .array();
    }
    return new byte[] {OFF};
  }

  /**
   * @throws Refusal INVALID for other bytes, or a lease outside 1 to {@link #LEASE_MICROS_MAX}
   */
  public static Lease decode(byte[] body) {
    ByteBuffer in = ByteBuffer.wrap(body);
    byte kind = in.hasRemaining() ? in.get() : 0;
    if (kind == MARK && in.remaining() == Long.BYTES) {
      return new Mark(in.getLong());
    }
    if (kind == GRANT && in.remaining() == 2 * Long.BYTES) {
      Grant grant = new Grant(in.getLong(), in.getLong());
      if (grant.leaseMicros < 1 || grant.leaseMicros > LEASE_MICROS_MAX) {
        throw wrong("a lease of " + grant.leaseMicros + " microseconds");
      }
      return grant;
    }
    if (kind == OFF && !in.hasRemaining()) {
      return new Off();
    }
    throw wrong("kind " + kind + " with " + in.remaining() + " bytes more");
  }

  private static Refusal wrong(String what) {
    return new Refusal(ErrorCode.INVALID, "a LEASE order of " + what);
  }
}
