package io.tidemark.capture;

import io.tidemark.position.WriteSeq;
import java.nio.ByteBuffer;

/**
 * What the backing store holds in a range, as the tap found it.
 *
 * @param state whether there are hashes; without them the other two say nothing
 * @param seq the newest seq given to any write: each block held its content once that write was
 *     captured, and everything up to it is journaled
 * @param hashes 32 bytes of SHA-256 a block
 */
public record ContentHashes(State state, WriteSeq seq, ByteBuffer hashes) {
  /** Bytes of one block's hash. */
  public static final int HASH_BYTES = 32;

  /** What came of a question for content; the order is that of the wire. */
  public enum State {
    /** Nothing was written or waiting to be journaled from the first block to the last. */
    IDLE,
    /** Something was. */
    BUSY,
    /** The backing store could not be read. */
    UNREADABLE
  }

  /** An answer without hashes. */
  public static ContentHashes none(State state) {
    return new ContentHashes(state, WriteSeq.BASE, ByteBuffer.allocate(0));
  }
}
