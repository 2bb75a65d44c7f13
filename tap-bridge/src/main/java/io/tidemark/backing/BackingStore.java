package io.tidemark.backing;

import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * What holds the bytes of a live volume: a file or a block device. Thread-safe; overlapping changes
 * are the caller's to order. Every method throws {@link BackingException} for what the operating
 * system refuses.
 */
public interface BackingStore extends Closeable {
  /** Bytes it can hold now. */
  long sizeBytes();

  /** Fills the buffer from its position to its limit with what is at the offset. */
  void read(ByteBuffer into, long offset) throws IOException;

  /** Writes the buffer from its position to its limit. */
  void write(ByteBuffer from, long offset) throws IOException;

  /** Whether {@link #zero} is done without writing zeroes, as far as is known. */
  boolean zeroesFast();

  /**
   * Makes the range read back as zeroes.
   *
   * @param keepAllocated whether space must stay reserved for it; else it is given back
   */
  void zero(ByteRange range, boolean keepAllocated) throws IOException;

  /** Returns once all that was written before is on stable storage. */
  void sync() throws IOException;

  /** Asks for the range to be brought into memory; a hint. */
  void prefetch(ByteRange range) throws IOException;

  /**
   * Which parts are allocated, from the start of the range.
   *
   * @param runsMax how many runs are wanted at most; they may then end before the range does
   * @return at least one run, none of them empty or past the end of the range
   */
  List<Allocation> allocation(ByteRange range, int runsMax) throws IOException;
}
