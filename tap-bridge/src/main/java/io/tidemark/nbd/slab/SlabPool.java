package io.tidemark.nbd.slab;

import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Slabs by size class (powers of two). Keeps free slabs up to a bound and lets the rest go to the
 * garbage collector; taking one never waits (S3).
 */
public final class SlabPool {
  /** A quiet client's slab: small enough to stay in the processor's cache. */
  public static final int SMALL_BYTES = 64 << 10;

  /** A busy client's slab. */
  public static final int LARGE_BYTES = 1 << 20;

  /** The longest run one slab can hold: the largest payload of a request. */
  public static final int RUN_BYTES_MAX = 32 << 20;

  /** Room beside a run of a full power of two: headers, and a split on a page border. */
  private static final int SLACK_BYTES = 8 << 10;

  private static final int CLASS_MIN = 16;
  private static final int CLASS_MAX = 25;

  private final long freeBytesMax;
  private final ArrayDeque<Slab>[] free;
  private final AtomicLong lentBytes = new AtomicLong();
  private long freeBytes;

  /**
   * @param freeBytesMax how many bytes of free slabs are kept for the next user
   */
  @SuppressWarnings({"unchecked", "rawtypes"})
  public SlabPool(long freeBytesMax) {
    this.freeBytesMax = freeBytesMax;
    this.free = new ArrayDeque[CLASS_MAX - CLASS_MIN + 1];
    for (int i = 0; i < free.length; i++) {
      free[i] = new ArrayDeque<>();
    }
  }

  /** A slab with room for a run of that many bytes; the caller holds its only reference. */
  public Slab take(int runBytes) {
    if (runBytes > RUN_BYTES_MAX) {
      throw new IllegalArgumentException("no slab holds " + runBytes + " bytes");
    }
    int bits = 32 - Integer.numberOfLeadingZeros(Math.max(runBytes, 1) - 1);
    int sizeClass = Math.max(bits, CLASS_MIN) - CLASS_MIN;
    Slab slab;
    synchronized (this) {
      slab = free[sizeClass].pollLast();
      if (slab != null) {
        freeBytes -= slab.capacity();
      }
    }
    if (slab == null) {
      slab = new Slab(this, sizeClass, (1 << (sizeClass + CLASS_MIN)) + SLACK_BYTES);
    }
    lentBytes.addAndGet(slab.capacity());
    slab.lend();
    return slab;
  }

  void giveBack(Slab slab) {
    lentBytes.addAndGet(-slab.capacity());
    synchronized (this) {
      if (freeBytes + slab.capacity() <= freeBytesMax) {
        free[slab.sizeClass()].addLast(slab);
        freeBytes += slab.capacity();
      }
    }
  }

  /** Bytes of slabs in use, by connections and by capture. */
  public long lentBytes() {
    return lentBytes.get();
  }
}
