package io.tidemark.backing;

import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.Payload;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;

/**
 * A capture that keeps every change in the order in which it heard of it, and checks that the calls
 * for one request come in the order that is promised.
 */
final class RecordingSink implements CaptureSink {
  record Change(ByteRange range, byte[] data) {}

  private final List<Change> changes = new ArrayList<>();
  private final List<Payload> retained = new ArrayList<>();
  private final ConcurrentHashMap<ByteRange, Integer> marked = new ConcurrentHashMap<>();
  private final ExecutorService journal;
  private int flushes;
  private int failures;
  private long heldBytes;
  volatile boolean refuseMarks;

  /**
   * @param journal where replies are run, as in sync mode; null for async mode
   */
  RecordingSink(ExecutorService journal) {
    this.journal = journal;
  }

  @Override
  public void beforeWrite(ByteRange range) throws IOException {
    if (refuseMarks) {
      throw new IOException("the activity log is full");
    }
    marked.merge(range, 1, Integer::sum);
  }

  private void unmark(ByteRange range) {
    if (marked.merge(range, -1, Integer::sum) < 0) {
      throw new IllegalStateException("a change without beforeWrite: " + range);
    }
  }

  @Override
  public void wrote(ByteRange range, Payload payload, Runnable reply) {
    unmark(range);
    payload.retain();
    byte[] data = new byte[payload.length()];
    int at = 0;
    for (ByteBuffer piece : payload.pieces()) {
      int n = piece.remaining();
      piece.duplicate().get(data, at, n);
      at += n;
    }
    if (data.length != range.length()) {
      throw new IllegalStateException("payload of another length");
    }
    synchronized (this) {
      changes.add(new Change(range, data));
      heldBytes += payload.heldBytes();
      retained.add(payload);
      if (retained.size() > 200) {
        retained.forEach(Payload::release);
        retained.clear();
      }
    }
    answer(reply);
  }

  @Override
  public void zeroed(ByteRange range, Runnable reply) {
    unmark(range);
    synchronized (this) {
      changes.add(new Change(range, null));
    }
    answer(reply);
  }

  private void answer(Runnable reply) {
    if (journal == null) {
      reply.run();
    } else {
      journal.execute(reply);
    }
  }

  @Override
  public synchronized void failed(ByteRange range) {
    unmark(range);
    failures++;
  }

  @Override
  public synchronized void flushed() {
    flushes++;
  }

  synchronized int flushes() {
    return flushes;
  }

  synchronized int failures() {
    return failures;
  }

  synchronized int changes() {
    return changes.size();
  }

  synchronized long heldBytes() {
    return heldBytes;
  }

  synchronized void releaseAll() {
    retained.forEach(Payload::release);
    retained.clear();
  }

  /** The disk as the changes say it is. */
  synchronized byte[] replay(int size) {
    byte[] disk = new byte[size];
    for (Change change : changes) {
      int at = (int) change.range().offset();
      if (change.data() == null) {
        java.util.Arrays.fill(disk, at, at + (int) change.range().length(), (byte) 0);
      } else {
        System.arraycopy(change.data(), 0, disk, at, change.data().length);
      }
    }
    return disk;
  }
}
