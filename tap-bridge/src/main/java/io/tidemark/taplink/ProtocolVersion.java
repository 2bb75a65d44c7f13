package io.tidemark.taplink;

import java.util.Optional;

/** Versions of the tap link; a tap offers a range and the node chooses the newest it knows. */
public enum ProtocolVersion {
  /** The first: segments, gaps, hashes and credits as docs/tap-protocol.md describes them. */
  V1(1),

  /** The node may ask for hashes of the backing store's content, too. */
  V2(2),

  /** The node may give orders, and tells since which session the volume has been this tap's. */
  V3(3),

  /**
   * The tap may ask for content, to fill its backing store, and learns whose the history is; the
   * node may say that the tap needs a lease to acknowledge writes; between sites, packed segments
   * may have pieces like other blocks.
   */
  V4(4);

  private final int code;

  ProtocolVersion(int code) {
    this.code = code;
  }

  /** The value on the wire. */
  public int code() {
    return code;
  }

  static ProtocolVersion newest() {
    return values()[values().length - 1];
  }

  /** The newest version of ours in a peer's range. */
  static Optional<ProtocolVersion> choose(int from, int to) {
    for (int i = values().length - 1; i >= 0; i--) {
      if (values()[i].code >= from && values()[i].code <= to) {
        return Optional.of(values()[i]);
      }
    }
    return Optional.empty();
  }
}
