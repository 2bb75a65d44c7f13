package io.tidemark.capture;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * The data of one write where it was received: reference-counted, never copied on the way to the
 * tap link. The receiver holds the first reference; capture retains its own.
 */
public interface Payload {
  /**
   * The bytes in order, in direct buffers; the caller must duplicate before it moves a position.
   */
  List<ByteBuffer> pieces();

  /** Bytes in all pieces. */
  int length();

  /**
   * Bytes of pooled memory that stay occupied while this payload is the only one retained there;
   * what capture counts against its bound.
   */
  int heldBytes();

  void retain();

  /** Gives one reference back; the memory is reused after the last. */
  void release();
}
