package io.tidemark.backing;

import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/** A real backing store below, on which chosen calls fail the way an operating system fails. */
final class FaultyStore implements BackingStore {
  private final BackingStore below;
  volatile NbdError reads;
  volatile NbdError writes;
  volatile NbdError syncs;
  volatile boolean slowZeroes;

  FaultyStore(BackingStore below) {
    this.below = below;
  }

  private static void fail(NbdError error) throws IOException {
    if (error != null) {
      throw new BackingException(error, "injected", null);
    }
  }

  @Override
  public long sizeBytes() {
    return below.sizeBytes();
  }

  @Override
  public void read(ByteBuffer into, long offset) throws IOException {
    fail(reads);
    below.read(into, offset);
  }

  @Override
  public void write(ByteBuffer from, long offset) throws IOException {
    fail(writes);
    below.write(from, offset);
  }

  @Override
  public boolean zeroesFast() {
    return !slowZeroes;
  }

  @Override
  public void zero(ByteRange range, boolean keepAllocated) throws IOException {
    fail(writes);
    below.zero(range, keepAllocated);
  }

  @Override
  public void sync() throws IOException {
    fail(syncs);
    below.sync();
  }

  @Override
  public void prefetch(ByteRange range) throws IOException {
    below.prefetch(range);
  }

  @Override
  public List<Allocation> allocation(ByteRange range, int runsMax) throws IOException {
    return below.allocation(range, runsMax);
  }

  @Override
  public void close() throws IOException {
    below.close();
  }
}
