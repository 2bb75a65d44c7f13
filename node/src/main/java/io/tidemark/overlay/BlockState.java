package io.tidemark.overlay;

/** Where the content of a block is. */
public enum BlockState {
  /** As in the recovery point. */
  BASE(0),
  /** In the overlay's data file. */
  DATA(1),
  /** All zeroes. */
  ZERO(2);

  private final int code;

  BlockState(int code) {
    this.code = code;
  }

  /** The value in stored records. */
  int code() {
    return code;
  }

  static BlockState of(int code) {
    for (BlockState state : values()) {
      if (state.code == code) {
        return state;
      }
    }
    throw new IllegalArgumentException("no block state " + code);
  }
}
