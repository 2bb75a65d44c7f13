package io.tidemark.fill;

import io.tidemark.capture.BackingContent;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/** A store that is being filled, as capture compares it: what it reads is filled first (W1). */
public final class FillContent implements BackingContent {
  private final BackingContent store;
  private final Filler filler;

  public FillContent(BackingContent store, Filler filler) {
    this.store = store;
    this.filler = filler;
  }

  /** Not under the lock of a range that is not filled: filling takes it. */
  @Override
  public void read(long offset, ByteBuffer into) throws IOException {
    filler.ensure(new ByteRange(offset, into.remaining()));
    store.read(offset, into);
  }

  @Override
  public List<ByteRange> allocated() throws IOException {
    return store.allocated();
  }

  @Override
  public void sync() throws IOException {
    store.sync();
  }

  @Override
  public RangeLock lock(ByteRange range) throws InterruptedException {
    return store.lock(range);
  }

  @Override
  public long unfilledBytes() {
    return filler.unfilledBytes();
  }
}
