package io.tidemark.order;

import java.util.Optional;

/** What a tap can be ordered to do; the codes are those of docs/tap-protocol.md. */
public enum OrderKind {
  /** Withhold the replies to writes from now on, and say after which seq. */
  HOLD(1),

  /** End a hold, and attest it. */
  RELEASE(2),

  /** Make applications consistent on disk, before a hold. */
  QUIESCE(3),

  /** Let applications go on, after a hold. */
  THAW(4),

  /** Take the volume back to a recovery point. */
  ROLLBACK(5),

  /** Acknowledge writes only while there is a lease, and until when there is one. */
  LEASE(6);

  private final int code;

  OrderKind(int code) {
    this.code = code;
  }

  /** The value on the wire. */
  public int code() {
    return code;
  }

  /** The kind of that code, empty when this version knows none. */
  public static Optional<OrderKind> of(int code) {
    for (OrderKind kind : values()) {
      if (kind.code == code) {
        return Optional.of(kind);
      }
    }
    return Optional.empty();
  }
}
