package io.tidemark.imageserver;

import io.tidemark.index.MappedExtent;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.overlay.BlockState;
import io.tidemark.overlay.Overlay;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One recovery point as a disk; with an overlay it is writable. */
final class ImageExport implements NbdExport, LiveContent {
  static final int REQUEST_BYTES_MAX = 32 * 1024 * 1024;
  static final int BLOCK_BYTES_PREFERRED = 4096;

  /** Of a BLOCK_STATUS, no more than this is looked up at once; clients ask on from there. */
  static final long STATUS_BYTES_MAX = 256L << 20;

  static final int STATUS_RUNS_MAX = 16 * 1024;

  /** What a BLOCK_STATUS counts for in the window of bytes held. */
  private static final long STATUS_COST_BYTES = 1 << 20;

  /** Reads at least this long are looked up first, so that holes are sent as holes. */
  private static final long SPARSE_READ_BYTES_MIN = 64 * 1024;

  private static final Logger LOG = LoggerFactory.getLogger(ImageExport.class);

  private final NbdExportInfo info;
  private final PointReader reader;
  private final Optional<Overlay> overlay;
  private final ByteWindow window;
  private final CompletableFuture<Void> idle = new CompletableFuture<>();
  private final AtomicLong failures = new AtomicLong();
  private final AtomicInteger clients = new AtomicInteger();
  private final AtomicLong changes = new AtomicLong();
  private volatile String problem;
  private int underWay;
  private boolean closed;

  ImageExport(
      String name,
      String description,
      PointReader reader,
      Optional<Overlay> overlay,
      ByteWindow window) {
    this.info =
        new NbdExportInfo(
            name,
            description,
            reader.sizeBytes(),
            overlay.isEmpty(),
            1,
            BLOCK_BYTES_PREFERRED,
            REQUEST_BYTES_MAX);
    this.reader = reader;
    this.overlay = overlay;
    this.window = window;
  }

  @Override
  public NbdExportInfo info() {
    return info;
  }

  @Override
  public void clientEntered() {
    clients.incrementAndGet();
  }

  @Override
  public void clientLeft() {
    clients.decrementAndGet();
  }

  /** Connections now. */
  int clients() {
    return clients.get();
  }

  long overlayBytes() {
    return overlay.map(Overlay::dataBytes).orElse(0L);
  }

  Optional<Overlay> overlay() {
    return overlay;
  }

  /** Requests that ended in EIO. */
  long failures() {
    return failures.get();
  }

  /** The newest reason for an EIO. */
  Optional<String> problem() {
    return Optional.ofNullable(problem);
  }

  @Override
  public long sizeBytes() {
    return info.sizeBytes();
  }

  @Override
  public long changes() {
    return changes.get();
  }

  @Override
  public CompletionStage<ByteBuffer> read(long offset, int length) {
    if (overlay.isEmpty()) {
      return reader.read(offset, length);
    }
    ByteBuffer into = ByteBuffer.allocate(length);
    return overlay.get().read(into, offset).thenApply(done -> into.rewind());
  }

  /** Refuses new requests with ESHUTDOWN; completes when none is under way any more. */
  CompletionStage<Void> shutDown() {
    synchronized (this) {
      closed = true;
      if (underWay > 0) {
        return idle;
      }
    }
    idle.complete(null);
    return idle;
  }

  @Override
  public void handle(NbdRequest request) {
    if (!enter()) {
      request.fail(NbdError.ESHUTDOWN, "the image " + info.name() + " is closed");
      return;
    }
    long cost =
        switch (request.command()) {
          case READ, WRITE -> request.range().length();
          case BLOCK_STATUS -> STATUS_COST_BYTES;
          default -> 0;
        };
    window.acquire(cost, () -> carryOut(request, cost));
  }

  private synchronized boolean enter() {
    if (!closed) {
      underWay++;
    }
    return !closed;
  }

  private void carryOut(NbdRequest request, long cost) {
    CompletionStage<Runnable> work;
    try {
      work =
          switch (request.command()) {
            case READ -> read(request);
            case WRITE -> changed(request, o -> o.write(start(request), pieces(request)));
            case TRIM -> changed(request, o -> o.zero(request.range(), false));
            case WRITE_ZEROES -> writeZeroes(request);
            case FLUSH -> flush().thenApply(done -> request::succeed);
            case CACHE -> CompletableFuture.completedStage(request::succeed);
            case BLOCK_STATUS -> status(request);
          };
    } catch (RuntimeException e) {
      work = CompletableFuture.failedStage(e);
    }
    work.whenComplete((reply, failure) -> finish(request, cost, reply, failure));
  }

  private void finish(NbdRequest request, long cost, Runnable reply, Throwable failure) {
    try {
      if (failure == null) {
        reply.run();
      } else {
        fail(request, failure);
      }
    } finally {
      window.release(cost);
      boolean last;
      synchronized (this) {
        underWay--;
        last = closed && underWay == 0;
      }
      if (last) {
        idle.complete(null);
      }
    }
  }

  private void fail(NbdRequest request, Throwable failure) {
    Throwable cause = Failures.cause(failure);
    if (LocalFiles.diskFull(cause)) {
      problem = "the node's disk is full: the overlay cannot grow";
      request.fail(NbdError.ENOSPC, problem);
      return;
    }
    if (cause instanceof UnsupportedOperationException) {
      request.fail(NbdError.ENOTSUP, cause.getMessage());
      return;
    }
    String message =
        cause instanceof Refusal refusal
            ? refusal.code() + ": " + refusal.getMessage()
            : String.valueOf(cause.getMessage());
    problem = message;
    if (failures.getAndIncrement() == 0) {
      LOG.error("image {}: {} {} failed", info.name(), request.command(), request.range(), cause);
    } else {
      LOG.warn("image {}: {} {}: {}", info.name(), request.command(), request.range(), message);
    }
    request.fail(NbdError.EIO, message);
  }

  private static long start(NbdRequest request) {
    return request.range().offset();
  }

  private static List<ByteBuffer> pieces(NbdRequest request) {
    return request.payload().pieces();
  }

  private interface Change {
    CompletionStage<Void> on(Overlay overlay);
  }

  private CompletionStage<Runnable> changed(NbdRequest request, Change change) {
    changes.incrementAndGet();
    CompletionStage<Void> done = change.on(overlay.orElseThrow());
    CompletionStage<Void> durable = request.fua() ? done.thenCompose(v -> flush()) : done;
    return durable.thenApply(v -> request::succeed);
  }

  private CompletionStage<Void> flush() {
    return overlay.map(Overlay::flush).orElse(CompletableFuture.completedStage(null));
  }

  private CompletionStage<Runnable> writeZeroes(NbdRequest request) {
    if (request.noHole() && request.fastZero()) {
      return CompletableFuture.failedStage(
          new UnsupportedOperationException("allocated zeroes are as slow as data here"));
    }
    return changed(request, o -> o.zero(request.range(), request.noHole()));
  }

  private CompletionStage<Runnable> read(NbdRequest request) {
    ByteRange range = request.range();
    if (range.length() < SPARSE_READ_BYTES_MIN) {
      return fill(request).thenApply(data -> () -> request.succeedRead(data, List.of()));
    }
    return allocation(range)
        .thenCompose(
            runs -> {
              List<ByteRange> holes = holes(range.offset(), runs);
              return fill(request)
                  .<Runnable>thenApply(data -> () -> request.succeedRead(data, holes));
            });
  }

  private CompletionStage<ByteBuffer> fill(NbdRequest request) {
    ByteRange range = request.range();
    ByteBuffer into = request.readBuffer();
    CompletionStage<Void> filled =
        overlay.isPresent()
            ? overlay.get().read(into, range.offset())
            : reader
                .read(range.offset(), (int) range.length())
                .thenAccept(data -> into.duplicate().put(data));
    return filled.thenApply(done -> into);
  }

  private static List<ByteRange> holes(long offset, List<Allocation> runs) {
    List<ByteRange> holes = new ArrayList<>();
    long at = offset;
    for (Allocation run : runs) {
      if (run.zero()) {
        holes.add(new ByteRange(at, run.length()));
      }
      at += run.length();
    }
    return holes;
  }

  private CompletionStage<Runnable> status(NbdRequest request) {
    ByteRange range = request.range();
    ByteRange asked = new ByteRange(range.offset(), Math.min(range.length(), STATUS_BYTES_MAX));
    return allocation(asked)
        .thenApply(
            runs -> {
              int count = request.reqOne() ? 1 : Math.min(runs.size(), STATUS_RUNS_MAX);
              return () -> request.succeedStatus(runs.subList(0, count));
            });
  }

  /** Runs of equal allocation that cover the range. */
  private CompletionStage<List<Allocation>> allocation(ByteRange range) {
    Runs runs = new Runs();
    if (overlay.isEmpty()) {
      return baseAllocation(range, runs).thenApply(done -> runs.list);
    }
    CompletionStage<Void> chain = CompletableFuture.completedStage(null);
    for (Overlay.Run run : overlay.get().runs(range)) {
      chain =
          run.state() == BlockState.BASE
              ? chain.thenCompose(done -> baseAllocation(run.range(), runs))
              : chain.thenRun(() -> runs.add(run));
    }
    return chain.thenApply(done -> runs.list);
  }

  private CompletionStage<Void> baseAllocation(ByteRange range, Runs into) {
    return reader
        .extents(range)
        .thenAccept(
            extents -> {
              long at = range.offset();
              for (MappedExtent extent : extents) {
                into.add(extent.offset() - at, true, true);
                into.add(extent.length(), false, extent.zero());
                at = extent.end();
              }
              into.add(range.end() - at, true, true);
            });
  }

  /** Joins neighbours of equal allocation. */
  private static final class Runs {
    private final List<Allocation> list = new ArrayList<>();

    void add(Overlay.Run run) {
      boolean zero = run.state() == BlockState.ZERO;
      add(run.range().length(), zero, zero);
    }

    void add(long length, boolean hole, boolean zero) {
      if (length == 0) {
        return;
      }
      int last = list.size() - 1;
      if (last >= 0 && list.get(last).hole() == hole && list.get(last).zero() == zero) {
        list.set(last, new Allocation(list.get(last).length() + length, hole, zero));
      } else {
        list.add(new Allocation(length, hole, zero));
      }
    }
  }
}
