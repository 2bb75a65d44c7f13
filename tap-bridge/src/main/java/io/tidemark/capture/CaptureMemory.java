package io.tidemark.capture;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
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

  /**
   * Slabs that are kept for reuse: direct memory comes back late when it is left to the collector.
   */
  private static final int FREE_SLABS_MIN = 32;

  private final long bytesMax;
  private final int freeSlabsMax;
  private final AtomicLong used = new AtomicLong();
  private final AtomicLong pinned = new AtomicLong();
  private final ArrayDeque<ByteBuffer> free = new ArrayDeque<>();
  private Slab current;

  public CaptureMemory(long bytesMax) {
    this.bytesMax = bytesMax;
    this.freeSlabsMax = Math.toIntExact(Math.max(FREE_SLABS_MIN, bytesMax / 2 / SLAB_BYTES));
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

  /** Counts receive memory that writes keep beside their own; negative when they let it go. */
  void pin(long bytes) {
    pinned.addAndGet(bytes);
  }

  /** Whether the writes of all volumes pin so much that they must be copied out at once. */
  boolean crowded() {
    return pinned.get() > bytesMax / 2;
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

  /** A payload of its own memory, to be filled through {@link Copy#buffers}. */
  Copy allocate(int bytes) {
    List<Slab> slabs = new ArrayList<>();
    List<ByteBuffer> pieces = new ArrayList<>();
    try {
      synchronized (free) {
        int left = bytes;
        while (left >= SLAB_BYTES) {
          Slab slab = slab();
          slabs.add(slab);
          pieces.add(slab.memory.slice(0, SLAB_BYTES));
          left -= SLAB_BYTES;
        }
        if (left > 0) {
          fillFrom(left, slabs, pieces);
        }
      }
    } catch (OutOfMemoryError e) {
      slabs.forEach(Slab::release);
      throw e;
    }
    return new Copy(slabs, pieces, bytes);
  }

  private void fillFrom(int bytes, List<Slab> slabs, List<ByteBuffer> pieces) {
    if (current == null || SLAB_BYTES - current.position < bytes) {
      Slab next = slab();
      if (current != null) {
        current.release();
      }
      current = next;
    }
    pieces.add(current.memory.slice(current.position, bytes));
    current.position += bytes;
    current.holders.incrementAndGet();
    slabs.add(current);
  }

  private Slab slab() {
    ByteBuffer memory = free.poll();
    return new Slab(memory == null ? ByteBuffer.allocateDirect(SLAB_BYTES) : memory);
  }

  /** Memory for several payloads that come together, to be filled and cut by one thread. */
  Block block() {
    synchronized (free) {
      return new Block(slab());
    }
  }

  Copy copyOf(List<ByteBuffer> pieces, int bytes) {
    Copy copy = allocate(bytes);
    copy.fill(pieces);
    return copy;
  }

  /** Freed when its last payload is released and it is no longer filled. */
  private final class Slab {
    final ByteBuffer memory;
    final AtomicInteger holders = new AtomicInteger(1);
    int position;

    Slab(ByteBuffer memory) {
      this.memory = memory;
    }

    void release() {
      if (holders.decrementAndGet() == 0) {
        synchronized (free) {
          if (free.size() < freeSlabsMax) {
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
      return new Copy(List.of(slab), List.of(slab.memory.slice(position, length)), length);
    }

    void release() {
      slab.release();
    }
  }

  /** A payload that pins no more memory than it has data, or hardly more. */
  static final class Copy implements Payload {
    private final List<Slab> slabs;
    private final List<ByteBuffer> pieces;
    private final int length;
    private final AtomicInteger references = new AtomicInteger(1);

    private Copy(List<Slab> slabs, List<ByteBuffer> pieces, int length) {
      this.slabs = slabs;
      this.pieces = List.copyOf(pieces);
      this.length = length;
    }

    /** The memory, to be filled before anyone else sees the payload. */
    List<ByteBuffer> buffers() {
      return pieces.stream().map(ByteBuffer::duplicate).toList();
    }

    private void fill(List<ByteBuffer> sources) {
      Iterator<ByteBuffer> targets = buffers().iterator();
      ByteBuffer into = ByteBuffer.allocate(0);
      for (ByteBuffer source : sources) {
        ByteBuffer from = source.duplicate();
        while (from.hasRemaining()) {
          if (!into.hasRemaining()) {
            into = targets.next();
          }
          int count = Math.min(into.remaining(), from.remaining());
          into.put(from.slice(from.position(), count));
          from.position(from.position() + count);
        }
      }
    }

    @Override
    public List<ByteBuffer> pieces() {
      return pieces;
    }

    @Override
    public int length() {
      return length;
    }

    @Override
    public int heldBytes() {
      return length;
    }

    @Override
    public void retain() {
      references.incrementAndGet();
    }

    @Override
    public void release() {
      if (references.decrementAndGet() == 0) {
        slabs.forEach(Slab::release);
      }
    }
  }
}
