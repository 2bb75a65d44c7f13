package io.tidemark.capture;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The memory that all volumes of a tap together may hold for unjournaled writes (C3), and the slabs
 * for what capture has to copy: small writes out of sparsely used receive buffers, spilled records
 * read back, blocks of a resynchronisation.
 */
public final class CaptureMemory {
  private static final int SLAB_BYTES = 256 << 10;
  private static final int FREE_SLABS_MAX = 32;

  private final long bytesMax;
  private final AtomicLong used = new AtomicLong();
  private final ArrayDeque<ByteBuffer> free = new ArrayDeque<>();
  private Slab current;

  public CaptureMemory(long bytesMax) {
    this.bytesMax = bytesMax;
  }

  public long bytesMax() {
    return bytesMax;
  }

  public long usedBytes() {
    return used.get();
  }

  /** Whether less than half is left, so that new writes should go to disk. */
  boolean tight() {
    return used.get() > bytesMax / 2;
  }

  boolean tryTake(long bytes) {
    if (used.addAndGet(bytes) <= bytesMax) {
      return true;
    }
    used.addAndGet(-bytes);
    return false;
  }

  /** For what must be held whatever the bound: its holder is bounded in another way. */
  void take(long bytes) {
    used.addAndGet(bytes);
  }

  void give(long bytes) {
    used.addAndGet(-bytes);
  }

  /** A payload of its own memory, to be filled through {@link Copy#buffer}. */
  Copy allocate(int bytes) {
    if (bytes > SLAB_BYTES / 2) {
      return new Copy(new Slab(ByteBuffer.allocateDirect(bytes), false), 0, bytes);
    }
    synchronized (free) {
      if (current == null || current.memory.capacity() - current.position < bytes) {
        if (current != null) {
          current.release();
        }
        ByteBuffer memory = free.poll();
        current = new Slab(memory == null ? ByteBuffer.allocateDirect(SLAB_BYTES) : memory, true);
      }
      int position = current.position;
      current.position += bytes;
      current.holders.incrementAndGet();
      return new Copy(current, position, bytes);
    }
  }

  /** Memory for several payloads that come together, to be filled and cut by one thread. */
  Block block() {
    synchronized (free) {
      ByteBuffer memory = free.poll();
      return new Block(
          new Slab(memory == null ? ByteBuffer.allocateDirect(SLAB_BYTES) : memory, true));
    }
  }

  Copy copyOf(List<ByteBuffer> pieces, int bytes) {
    Copy copy = allocate(bytes);
    ByteBuffer into = copy.buffer();
    for (ByteBuffer piece : pieces) {
      into.put(piece.duplicate());
    }
    return copy;
  }

  /** Freed when its last payload is released and it is no longer filled. */
  private final class Slab {
    final ByteBuffer memory;
    final boolean pooled;
    final AtomicInteger holders = new AtomicInteger(1);
    int position;

    Slab(ByteBuffer memory, boolean pooled) {
      this.memory = memory;
      this.pooled = pooled;
    }

    void release() {
      if (holders.decrementAndGet() == 0 && pooled) {
        synchronized (free) {
          if (free.size() < FREE_SLABS_MAX) {
            free.push(memory);
          }
        }
      }
    }
  }

  /** One slab, filled at once; its payloads keep it after its maker has released it. */
  final class Block {
    private final Slab slab;

    private Block(Slab slab) {
      this.slab = slab;
    }

    /** All of the memory. */
    ByteBuffer buffer() {
      return slab.memory.duplicate().clear();
    }

    /** The payload that lies at {@code position}. */
    Copy payload(int position, int length) {
      slab.holders.incrementAndGet();
      return new Copy(slab, position, length);
    }

    void release() {
      slab.release();
    }
  }

  /** A payload that pins no more memory than it has data, or hardly more. */
  static final class Copy implements Payload {
    private final Slab slab;
    private final ByteBuffer bytes;
    private final AtomicInteger references = new AtomicInteger(1);

    private Copy(Slab slab, int position, int length) {
      this.slab = slab;
      this.bytes = slab.memory.slice(position, length);
    }

    /** The memory, to be filled before anyone else sees the payload. */
    ByteBuffer buffer() {
      return bytes.duplicate();
    }

    @Override
    public List<ByteBuffer> pieces() {
      return List.of(bytes);
    }

    @Override
    public int length() {
      return bytes.capacity();
    }

    @Override
    public int heldBytes() {
      return bytes.capacity();
    }

    @Override
    public void retain() {
      references.incrementAndGet();
    }

    @Override
    public void release() {
      if (references.decrementAndGet() == 0) {
        slab.release();
      }
    }
  }
}
