package io.tidemark.nbd;

import io.tidemark.capture.Payload;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.util.List;

/** One request of the transmission phase, to be completed exactly once. */
public interface NbdRequest {
  /** What the client asks for. */
  enum Command {
    READ,
    WRITE,
    FLUSH,
    TRIM,
    CACHE,
    WRITE_ZEROES,
    BLOCK_STATUS
  }

  /**
   * A run of equal allocation in the context {@code base:allocation}.
   *
   * @param length bytes
   * @param hole whether nothing is allocated there
   * @param zero whether it reads back as zeroes
   */
  record Allocation(long length, boolean hole, boolean zero) {}

  Command command();

  ByteRange range();

  boolean fua();

  /** WRITE_ZEROES: the range must stay allocated. */
  boolean noHole();

  /** WRITE_ZEROES: fail with ENOTSUP unless it is much faster than writing. */
  boolean fastZero();

  /** READ: one piece in the reply, not several. */
  boolean dontFragment();

  /** BLOCK_STATUS: one extent is enough. */
  boolean reqOne();

  /** The data of a WRITE; empty otherwise. The request holds a reference until it completes. */
  Payload payload();

  /**
   * A direct buffer of {@code range().length()} bytes for a READ to fill, owned by the request;
   * hand it back through {@link #succeedRead}.
   */
  ByteBuffer readBuffer();

  /** A change, a flush or a cache hint is done. */
  void succeed();

  /**
   * A READ is done.
   *
   * @param data all bytes of the range, position to limit
   * @param holes parts of the range that read back as zeroes, in offset order and relative to the
   *     volume; may be sent as holes when the client negotiated structured replies
   */
  void succeedRead(ByteBuffer data, List<ByteRange> holes);

  /** A BLOCK_STATUS is done: runs from the start of the range, the last may pass its end. */
  void succeedStatus(List<Allocation> runs);

  void fail(NbdError error, String message);
}
