package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/** A backing store in memory with one lock for all ranges, and the write path in front of it. */
public final class ModelDisk implements BackingContent {
  private final byte[] bytes;
  private final ReentrantLock lock = new ReentrantLock();

  public ModelDisk(int size) {
    this(new byte[size]);
  }

  public ModelDisk(byte[] content) {
    bytes = content;
  }

  public int size() {
    return bytes.length;
  }

  public byte[] copy() {
    lock.lock();
    try {
      return bytes.clone();
    } finally {
      lock.unlock();
    }
  }

  /** As the tap's write path does it. */
  public void write(CaptureSink sink, long offset, Payload payload, Runnable reply)
      throws IOException {
    ByteRange range = new ByteRange(offset, payload.length());
    lock.lock();
    try {
      sink.beforeWrite(range);
      ByteBuffer into = ByteBuffer.wrap(bytes).position((int) offset);
      payload.pieces().forEach(piece -> into.put(piece.duplicate()));
      sink.wrote(range, payload, reply);
    } finally {
      lock.unlock();
    }
  }

  public void zero(CaptureSink sink, long offset, int length, Runnable reply) throws IOException {
    ByteRange range = new ByteRange(offset, length);
    lock.lock();
    try {
      sink.beforeWrite(range);
      java.util.Arrays.fill(bytes, (int) offset, (int) offset + length, (byte) 0);
      sink.zeroed(range, reply);
    } finally {
      lock.unlock();
    }
  }

  /** A write that the backing store fails after it took half of it. */
  public void fail(CaptureSink sink, long offset, byte[] data) throws IOException {
    ByteRange range = new ByteRange(offset, data.length);
    lock.lock();
    try {
      sink.beforeWrite(range);
      System.arraycopy(data, 0, bytes, (int) offset, data.length / 2);
      sink.failed(range);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void read(long offset, ByteBuffer into) {
    into.put(bytes, (int) offset, into.remaining());
  }

  @Override
  public List<ByteRange> allocated() {
    for (byte b : bytes) {
      if (b != 0) {
        return List.of(new ByteRange(0, bytes.length));
      }
    }
    return List.of();
  }

  @Override
  public void sync() {}

  @Override
  public RangeLock lock(ByteRange range) throws InterruptedException {
    lock.lockInterruptibly();
    return lock::unlock;
  }
}
