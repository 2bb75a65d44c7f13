package io.tidemark.nbd.connection;

import io.tidemark.nbd.protocol.Negotiated;
import io.tidemark.nbd.slab.MemoryBudget;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Completed requests on their way to the client. The reading thread writes what it completed itself
 * together with whatever others completed meanwhile; while it waits for the client, the writing
 * thread does. Nobody else ever waits for the socket (N3).
 */
final class Outbox {
  /** The reading thread answers at the latest after so many bytes or requests of a batch. */
  private static final long BATCH_BYTES_MAX = 64 << 10;

  private static final int BATCH_REQUESTS_MAX = 16;

  /** One system call carries no more than this. */
  private static final long WRITE_BYTES_MAX = 512 << 10;

  private final Thread reader = Thread.currentThread();
  private final String name;
  private final Gather gather;
  private final Replies replies;
  private final MemoryBudget budget;
  private final Runnable onBroken;

  private final AtomicReference<PendingRequest> elsewhere = new AtomicReference<>();
  private volatile boolean readerWaits;
  private volatile Thread writer;
  private volatile boolean closed;

  // For the reading thread alone.
  private final ArrayDeque<PendingRequest> idle = new ArrayDeque<>();
  private PendingRequest mineFirst;
  private PendingRequest mineLast;
  private int mineCount;
  private long mineBytes;
  private long begun;
  private long begunBytes;

  // Guarded by the lock.
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition progress = lock.newCondition();
  private volatile PendingRequest returned;
  private volatile long replied;
  private volatile long repliedBytes;
  private boolean broken;
  private volatile long writingSinceNanos;

  /**
   * To be made by the reading thread.
   *
   * @param onBroken run once when the client cannot be written to any more
   */
  Outbox(String name, Negotiated negotiated, MemoryBudget budget, Runnable onBroken) {
    this.name = name;
    this.gather = new Gather(negotiated.transport());
    this.replies = new Replies(negotiated, gather);
    this.budget = budget;
    this.onBroken = onBroken;
  }

  /** A request object for the reading thread. */
  PendingRequest next(Connection connection) {
    PendingRequest request = idle.pollLast();
    if (request == null && returned != null) {
      lock.lock();
      try {
        takeReturned();
      } finally {
        lock.unlock();
      }
      request = idle.pollLast();
    }
    return request == null ? new PendingRequest(connection) : request;
  }

  private void takeReturned() {
    while (returned != null) {
      idle.addLast(returned);
      PendingRequest next = returned.next;
      returned.next = null;
      returned = next;
    }
  }

  /** The reading thread counts a request that it begins. */
  void begin(long bytes) {
    begun++;
    begunBytes += bytes;
  }

  /** Requests without a written reply; for the reading thread. */
  long inFlight() {
    return begun - replied;
  }

  long inFlightBytes() {
    return begunBytes - repliedBytes;
  }

  boolean isReader() {
    return Thread.currentThread() == reader;
  }

  /** Takes a completed request, on any thread. */
  void completed(PendingRequest request) {
    if (isReader()) {
      if (mineLast == null) {
        mineFirst = request;
      } else {
        mineLast.next = request;
      }
      mineLast = request;
      mineCount++;
      mineBytes += request.range().length();
      return;
    }
    PendingRequest head;
    do {
      head = elsewhere.get();
      request.next = head;
    } while (!elsewhere.compareAndSet(head, request));
    if (readerWaits) {
      wakeWriter();
    }
  }

  /** For the reading thread after each request: answers when enough has come together. */
  void answerWhenFull() throws IOException {
    if (mineCount >= BATCH_REQUESTS_MAX || mineBytes >= BATCH_BYTES_MAX) {
      flush();
    }
  }

  /** The reading thread is about to wait for the client. */
  void beforeWaiting() throws IOException {
    if (mineFirst != null || elsewhere.get() != null) {
      flush();
    }
    readerWaits = true;
    if (elsewhere.get() != null) {
      wakeWriter();
    }
  }

  void afterWaiting() {
    readerWaits = false;
  }

  /** Writes what is completed; waits for the client if it must. */
  void flush() throws IOException {
    lock.lock();
    try {
      PendingRequest first = null;
      if (isReader()) {
        first = mineFirst;
        mineFirst = null;
        mineLast = null;
        mineCount = 0;
        mineBytes = 0;
      }
      write(first, elsewhere.getAndSet(null));
    } finally {
      lock.unlock();
    }
  }

  private void write(PendingRequest first, PendingRequest second) throws IOException {
    IOException failure = null;
    PendingRequest unsent = null;
    PendingRequest request = first == null ? second : first;
    PendingRequest rest = first == null ? null : second;
    while (request != null) {
      if (!broken) {
        try {
          replies.add(request);
        } catch (IOException e) {
          failure = breakOff(e);
        }
      }
      PendingRequest next = request.next;
      request.next = unsent;
      unsent = request;
      request = next;
      if (request == null) {
        request = rest;
        rest = null;
      }
      if (request == null || gather.bytes() >= WRITE_BYTES_MAX) {
        if (!broken) {
          try {
            writingSinceNanos = System.nanoTime();
            gather.write();
          } catch (IOException e) {
            failure = breakOff(e);
          } finally {
            writingSinceNanos = 0;
          }
        }
        sent(unsent);
        unsent = null;
      }
    }
    if (failure != null && isReader()) {
      throw failure;
    }
  }

  private IOException breakOff(IOException e) {
    broken = true;
    onBroken.run();
    return e;
  }

  private void sent(PendingRequest sent) {
    int count = 0;
    long bytes = 0;
    PendingRequest request = sent;
    boolean mine = isReader();
    while (request != null) {
      PendingRequest next = request.next;
      request.next = null;
      request.replied();
      count++;
      bytes += request.countedBytes;
      if (mine) {
        idle.addLast(request);
      } else {
        request.next = returned;
        returned = request;
      }
      request = next;
    }
    if (bytes > 0) {
      budget.giveBack(bytes);
    }
    replied += count;
    repliedBytes += bytes;
    if (!mine) {
      progress.signal();
    }
  }

  /**
   * The reading thread waits until fewer than {@code requests} requests and at most {@code bytes}
   * bytes are in flight.
   *
   * @return false when the deadline passed first
   */
  boolean awaitBelow(long requests, long bytes, long deadlineNanos) throws IOException {
    beforeWaiting();
    lock.lock();
    try {
      while (inFlight() >= requests || inFlightBytes() > bytes) {
        long left = deadlineNanos - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        progress.awaitNanos(left);
      }
      return true;
    } catch (InterruptedException e) {
      throw new IOException("the reading thread was told to stop", e);
    } finally {
      lock.unlock();
      afterWaiting();
    }
  }

  /** When the write that is going on began, {@code System.nanoTime()}; 0 when there is none. */
  long writingSinceNanos() {
    return writingSinceNanos;
  }

  private void wakeWriter() {
    Thread now = writer;
    if (now == null) {
      now = startWriter();
    }
    LockSupport.unpark(now);
  }

  private synchronized Thread startWriter() {
    if (writer == null) {
      Thread thread = new Thread(this::writeForOthers, name + "-w");
      thread.setDaemon(true);
      writer = thread;
      thread.start();
    }
    return writer;
  }

  private void writeForOthers() {
    while (!closed || elsewhere.get() != null || begun != replied) {
      if (elsewhere.get() == null) {
        LockSupport.park(this);
      } else {
        try {
          flush();
        } catch (IOException e) {
          throw new IllegalStateException("only the reading thread is told of broken clients", e);
        }
      }
    }
  }

  /**
   * The reading thread leaves: what is completed is not answered any more, only given back; from
   * now on the writing thread sees to that, and ends once nothing is in flight any more.
   */
  void close() {
    lock.lock();
    try {
      broken = true;
      flush();
    } catch (IOException e) {
      throw new IllegalStateException("nothing is written to a client that is gone", e);
    } finally {
      lock.unlock();
    }
    readerWaits = true;
    closed = true;
    if (inFlight() > 0) {
      wakeWriter();
    } else {
      LockSupport.unpark(writer);
    }
  }
}
