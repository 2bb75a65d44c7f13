package io.tidemark.order;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Arrays;

/**
 * What a tap is to do.
 *
 * @param id never given to two different orders of a volume; an order said again has the same
 * @param deadlineMicros by the site's clock; later it is not begun (O3)
 * @param body as its kind says, at most {@link #BODY_BYTES_MAX}; not to be changed
 */
public record TapOrder(long id, OrderKind kind, long deadlineMicros, byte[] body) {
  /** Of an order, and of its answer. */
  public static final int BODY_BYTES_MAX = 64 << 10;

  /** Orders of one session that may be open at once. */
  public static final int OPEN_MAX = 64;

  public TapOrder {
    if (body.length > BODY_BYTES_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "an order of %d bytes; at most %d are allowed".formatted(body.length, BODY_BYTES_MAX));
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TapOrder that
        && id == that.id
        && kind == that.kind
        && deadlineMicros == that.deadlineMicros
        && Arrays.equals(body, that.body);
  }

  @Override
  public int hashCode() {
    return Long.hashCode(id);
  }

  @Override
  public String toString() {
    return "TapOrder[%s %d, %d bytes]".formatted(kind, id, body.length);
  }
}
