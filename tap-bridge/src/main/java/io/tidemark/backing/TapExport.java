package io.tidemark.backing;

import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.FencedException;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.nbd.protocol.NbdLimits;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The protected volume as an NBD export: carries requests out on the backing store and tells
 * capture of every change, in an order that explains the bytes (B1, B2). With {@link
 * CaptureSink#none()} it is a plain file server.
 *
 * <p>The backing store and the sink belong to whoever made them and outlive the export.
 */
public final class TapExport implements NbdExport, AutoCloseable {
  /** Announced as the preferred block: the page of the backing store's cache. */
  public static final int BLOCK_BYTES_PREFERRED = 4096;

  /** Shorter reads are not worth two system calls to find their holes. */
  private static final int SPARSE_READ_BYTES_MIN = 64 << 10;

  private static final int IDLE_SECONDS = 10;

  /** The log tells of failing requests no more often than this. */
  private static final int LOG_SECONDS = 10;

  private static final Logger LOG = LoggerFactory.getLogger(TapExport.class);

  private final NbdExportInfo info;
  private final BackingStore store;
  private final CaptureSink sink;
  private final RangeLocks locks;
  private final ThreadPoolExecutor flusher;
  private final FlushGate flushes;
  private final AtomicLong failures = new AtomicLong();
  private final AtomicLong lastLogNanos = new AtomicLong();

  /**
   * @param sizeBytes the volume's size; what the backing store holds beyond it is never touched
   * @throws Refusal INVALID when the backing store is smaller, or the size is not a positive
   *     multiple of 512
   */
  public TapExport(
      String name,
      String description,
      long sizeBytes,
      boolean readOnly,
      BackingStore store,
      CaptureSink sink) {
    this(name, description, sizeBytes, readOnly, store, sink, new RangeLocks());
  }

  /**
   * As above, with locks that others take, too, to keep writes off a range.
   *
   * @param locks held around every change
   */
  public TapExport(
      String name,
      String description,
      long sizeBytes,
      boolean readOnly,
      BackingStore store,
      CaptureSink sink,
      RangeLocks locks) {
    if (sizeBytes <= 0 || sizeBytes % 512 != 0) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a volume of " + sizeBytes + " bytes: give a positive multiple of 512");
    }
    if (store.sizeBytes() < sizeBytes) {
      throw new Refusal(
          ErrorCode.INVALID,
          "volume "
              + Refusal.printable(name)
              + " has "
              + sizeBytes
              + " bytes, its backing store only "
              + store.sizeBytes()
              + "; enlarge the backing store");
    }
    this.info =
        new NbdExportInfo(
            name,
            description,
            sizeBytes,
            readOnly,
            1,
            BLOCK_BYTES_PREFERRED,
            NbdLimits.PAYLOAD_BYTES_MAX);
    this.locks = locks;
    this.store = store;
    this.sink = sink;
    this.flusher =
        new ThreadPoolExecutor(
            1,
            1,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "flush-" + name);
              thread.setDaemon(true);
              return thread;
            });
    flusher.allowCoreThreadTimeOut(true);
    this.flushes = new FlushGate(store, sink, flusher);
  }

  @Override
  public NbdExportInfo info() {
    return info;
  }

  @Override
  public void handle(NbdRequest request) {
    switch (request.command()) {
      case READ -> read(request);
      case WRITE -> write(request);
      case TRIM -> zero(request, false);
      case WRITE_ZEROES -> writeZeroes(request);
      case FLUSH -> flush(request);
      case CACHE -> cache(request);
      case BLOCK_STATUS -> status(request);
    }
  }

  private void read(NbdRequest request) {
    ByteRange range = request.range();
    ByteBuffer buffer = request.readBuffer();
    List<ByteRange> holes = List.of();
    try {
      store.read(buffer, range.offset());
      buffer.flip();
      if (buffer.remaining() >= SPARSE_READ_BYTES_MIN && !request.dontFragment()) {
        holes = holes(range);
      }
    } catch (IOException e) {
      failed(request, e);
      return;
    }
    request.succeedRead(buffer, holes);
  }

  private List<ByteRange> holes(ByteRange range) throws IOException {
    List<Allocation> runs = store.allocation(range, NbdLimits.READ_CHUNKS_MAX);
    if (runs.size() == 1 && !runs.get(0).zero()) {
      return List.of();
    }
    List<ByteRange> holes = new ArrayList<>();
    long at = range.offset();
    for (Allocation run : runs) {
      if (run.zero()) {
        holes.add(new ByteRange(at, run.length()));
      }
      at += run.length();
    }
    return holes;
  }

  private void write(NbdRequest request) {
    DurableReply durable = request.fua() ? new DurableReply(request) : null;
    if (writeInOrder(request, durable) && durable != null) {
      flushes.flush(durable); // the range is free again: a sync may take long
    }
  }

  /** Returns whether the backing store took the write; answers the request itself if not. */
  private boolean writeInOrder(NbdRequest request, DurableReply durable) {
    ByteRange range = request.range();
    locks.lock(range);
    try {
      if (!mark(request)) {
        return false;
      }
      try {
        long at = range.offset();
        for (ByteBuffer piece : request.payload().pieces()) {
          // Nobody else has the payload yet, so its buffers may be moved and put back.
          int start = piece.position();
          store.write(piece, at);
          piece.position(start);
          at += piece.remaining();
        }
      } catch (IOException e) {
        sink.failed(range);
        failed(request, e);
        return false;
      } catch (RuntimeException e) {
        sink.failed(range);
        throw e;
      }
      sink.wrote(range, request.payload(), durable == null ? new Reply(request) : durable);
      return true;
    } finally {
      locks.unlock(range);
    }
  }

  /** Marks the range for capture; answers the request itself when that fails. */
  private boolean mark(NbdRequest request) {
    try {
      sink.beforeWrite(request.range());
      return true;
    } catch (FencedException e) {
      request.fail(NbdError.ESHUTDOWN, e.getMessage());
      return false;
    } catch (IOException e) {
      logFailure(request, e);
      request.fail(NbdError.EIO, "the tap's activity log cannot be written");
      return false;
    }
  }

  private void writeZeroes(NbdRequest request) {
    if (request.fastZero() && !store.zeroesFast()) {
      request.fail(NbdError.ENOTSUP, "this backing store has no fast way to zero");
      return;
    }
    zero(request, request.noHole());
  }

  private void zero(NbdRequest request, boolean keepAllocated) {
    DurableReply durable = request.fua() ? new DurableReply(request) : null;
    if (zeroInOrder(request, keepAllocated, durable) && durable != null) {
      flushes.flush(durable);
    }
  }

  private boolean zeroInOrder(NbdRequest request, boolean keepAllocated, DurableReply durable) {
    ByteRange range = request.range();
    locks.lock(range);
    try {
      if (!mark(request)) {
        return false;
      }
      try {
        store.zero(range, keepAllocated);
      } catch (IOException e) {
        sink.failed(range);
        failed(request, e);
        return false;
      } catch (RuntimeException e) {
        sink.failed(range);
        throw e;
      }
      sink.zeroed(range, durable == null ? new Reply(request) : durable);
      return true;
    } finally {
      locks.unlock(range);
    }
  }

  private void flush(NbdRequest request) {
    flushes.flush(
        failure -> {
          if (failure == null) {
            request.succeed();
          } else {
            failed(request, failure);
          }
        });
  }

  private void cache(NbdRequest request) {
    try {
      store.prefetch(request.range());
    } catch (IOException e) {
      failed(request, e);
      return;
    }
    request.succeed();
  }

  private void status(NbdRequest request) {
    List<Allocation> runs;
    try {
      int runsMax = request.reqOne() ? 1 : NbdLimits.STATUS_RUNS_MAX;
      runs = store.allocation(request.range(), runsMax);
    } catch (IOException e) {
      failed(request, e);
      return;
    }
    request.succeedStatus(runs);
  }

  private void failed(NbdRequest request, IOException cause) {
    NbdError error = cause instanceof BackingException e ? e.error() : NbdError.EIO;
    logFailure(request, cause);
    request.fail(error, "the backing store failed, see the tap's log");
  }

  /** A dead disk fails every request: one line in a while tells as much as thousands. */
  private void logFailure(NbdRequest request, IOException cause) {
    long count = failures.incrementAndGet();
    long now = System.nanoTime();
    long last = lastLogNanos.get();
    boolean due = count == 1 || now - last > TimeUnit.SECONDS.toNanos(LOG_SECONDS);
    if (due && lastLogNanos.compareAndSet(last, now)) {
      LOG.warn(
          "{}: {} of {} failed, {} failures so far: {}",
          info.name(),
          request.command(),
          request.range(),
          count,
          cause.getMessage());
      LOG.debug("{}: where it failed", info.name(), cause);
    }
  }

  /** Ends the export's own thread; requests must have ended before. */
  @Override
  public void close() {
    flusher.shutdown();
  }

  /** The answer to a change. */
  private record Reply(NbdRequest request) implements CaptureSink.Answer {
    @Override
    public void run() {
      request.succeed();
    }

    @Override
    public void refuse(String reason) {
      request.fail(NbdError.ESHUTDOWN, reason);
    }
  }

  /**
   * The answer to a FUA: given once capture lets the client be answered and the data is durable,
   * whichever comes last.
   */
  private final class DurableReply implements CaptureSink.Answer, FlushGate.Done {
    private final NbdRequest request;
    private final AtomicInteger open = new AtomicInteger(2);
    private volatile IOException failure;
    private volatile String refused;

    DurableReply(NbdRequest request) {
      this.request = request;
    }

    @Override
    public void run() {
      settle();
    }

    @Override
    public void refuse(String reason) {
      refused = reason;
      settle();
    }

    @Override
    public void flushed(IOException cause) {
      failure = cause;
      settle();
    }

    private void settle() {
      if (open.decrementAndGet() > 0) {
        return;
      }
      if (refused != null) {
        request.fail(NbdError.ESHUTDOWN, refused);
      } else if (failure == null) {
        request.succeed();
      } else {
        failed(request, failure);
      }
    }
  }
}
