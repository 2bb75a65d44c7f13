package io.tidemark.nbd.connection;

import io.tidemark.nbd.protocol.Transport;
import io.tidemark.nbd.slab.Slab;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Bytes on their way out: headers written into a buffer of its own and parts of slabs, in order;
 * neighbours in memory become one run. For the holder of the outbox's lock alone.
 */
final class Gather {
  private static final int HEADER_SPACE_BYTES = 32 << 10;
  private static final int RUNS_MAX = 256;

  private final Transport transport;
  private final ByteBuffer headers = ByteBuffer.allocateDirect(HEADER_SPACE_BYTES);
  private final ByteBuffer[] runs = new ByteBuffer[RUNS_MAX];

  /** Views of the header space, one for each place in {@code runs}. */
  private final ByteBuffer[] headerViews = new ByteBuffer[RUNS_MAX];

  private int count;
  private long bytes;
  private int headersFrom;
  private Slab lastSlab;
  private int lastEnd;

  Gather(Transport transport) {
    this.transport = transport;
  }

  /** The header space, with room for that many bytes to be put next. */
  ByteBuffer headers(int wanted) throws IOException {
    if (headers.remaining() < wanted || count >= RUNS_MAX - 1) {
      write();
    }
    if (lastSlab != null) {
      endSlabRun();
    }
    return headers;
  }

  /** Appends a part of a slab; the caller keeps the slab until {@link #write}. */
  void add(Slab slab, int from, int length) throws IOException {
    if (slab == lastSlab && from == lastEnd) {
      runs[count - 1].limit(from + length);
      lastEnd = from + length;
      bytes += length;
      return;
    }
    if (count >= RUNS_MAX - 2) {
      write();
    }
    endHeaderRun();
    runs[count++] = slab.memory().duplicate().limit(from + length).position(from);
    lastSlab = slab;
    lastEnd = from + length;
    bytes += length;
  }

  private void endSlabRun() {
    lastSlab = null;
    headersFrom = headers.position();
  }

  private void endHeaderRun() {
    int end = headers.position();
    if (end > headersFrom) {
      if (headerViews[count] == null) {
        headerViews[count] = headers.duplicate();
      }
      runs[count] = headerViews[count].limit(end).position(headersFrom);
      count++;
      headersFrom = end;
    }
  }

  /** Bytes waiting to be written. */
  long bytes() {
    return bytes + headers.position();
  }

  void write() throws IOException {
    endHeaderRun();
    if (count > 0) {
      transport.write(runs, count);
      for (int i = 0; i < count; i++) {
        runs[i] = null;
      }
    }
    count = 0;
    bytes = 0;
    lastSlab = null;
    headers.clear();
    headersFrom = 0;
  }
}
