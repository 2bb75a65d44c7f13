package io.tidemark.nbd.connection;

import io.tidemark.nbd.slab.Slab;
import io.tidemark.nbd.slab.SlabPool;

/**
 * Where the data of READs is put, each behind room for its reply's header, so that a batch of
 * replies is one run of memory. For the reading thread alone.
 */
final class ReadSpace {
  private final SlabPool pool;
  private final int headerBytes;
  private Slab slab;
  private int used;

  /**
   * @param headerBytes room left in front of the data of each READ
   */
  ReadSpace(SlabPool pool, int headerBytes) {
    this.pool = pool;
    this.headerBytes = headerBytes;
    this.slab = pool.take(SlabPool.SMALL_BYTES);
  }

  int headerBytes() {
    return headerBytes;
  }

  /** Gives the request a buffer of that length. */
  void lend(PendingRequest request, int length) {
    int bytes = headerBytes + length;
    if (bytes > SlabPool.LARGE_BYTES) {
      Slab own = pool.take(length);
      request.readInto(own, headerBytes, own.view(headerBytes, length));
      return;
    }
    if (slab.soleOwner()) {
      slab.startAgain();
      used = 0;
    }
    if (slab.capacity() - used < bytes) {
      slab.release();
      slab = pool.take(SlabPool.LARGE_BYTES);
      used = 0;
    }
    slab.retain();
    int start = used + headerBytes;
    used += bytes;
    request.readInto(slab, start, slab.view(start, length));
  }

  void close() {
    slab.release();
  }
}
