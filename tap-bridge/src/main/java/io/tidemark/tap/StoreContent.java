package io.tidemark.tap;

import io.tidemark.backing.BackingStore;
import io.tidemark.backing.RangeLocks;
import io.tidemark.capture.BackingContent;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** A backing store as capture needs it, under the locks of the export that writes it. */
final class StoreContent implements BackingContent {
  private static final int RUNS_MAX = 1024;

  private final BackingStore store;
  private final RangeLocks locks;

  StoreContent(BackingStore store, RangeLocks locks) {
    this.store = store;
    this.locks = locks;
  }

  @Override
  public void read(long offset, ByteBuffer into) throws IOException {
    store.read(into, offset);
  }

  @Override
  public List<ByteRange> allocated() throws IOException {
    List<ByteRange> allocated = new ArrayList<>();
    long at = 0;
    while (at < store.sizeBytes()) {
      ByteRange rest = new ByteRange(at, store.sizeBytes() - at);
      for (Allocation run : store.allocation(rest, RUNS_MAX)) {
        if (!run.zero()) {
          allocated.add(new ByteRange(at, run.length()));
        }
        at += run.length();
      }
    }
    return allocated;
  }

  @Override
  public void sync() throws IOException {
    store.sync();
  }

  @Override
  public RangeLock lock(ByteRange range) {
    locks.lock(range);
    return () -> locks.unlock(range);
  }
}
