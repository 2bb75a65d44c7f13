package io.tidemark.fill;

import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A volume that is served while its backing store is filled: what a request needs of unfilled
 * blocks is filled first, on a few threads of its own, then the request is carried out as ever.
 * Once all is filled it only passes on.
 */
public final class FillExport implements NbdExport, AutoCloseable {
  /** Requests that wait for the journal at once; more wait for them. */
  private static final int THREADS = 8;

  private static final int IDLE_SECONDS = 10;
  private static final Logger log = LoggerFactory.getLogger(FillExport.class);

  private final NbdExport export;
  private final Filler filler;
  private final ThreadPoolExecutor waiting;

  public FillExport(NbdExport export, Filler filler) {
    this.export = export;
    this.filler = filler;
    this.waiting =
        new ThreadPoolExecutor(
            THREADS,
            THREADS,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(), // holds requests in flight, whose number is limited
            task -> {
              Thread thread = new Thread(task, "tidemark-unfilled-" + export.info().name());
              thread.setDaemon(true);
              return thread;
            });
    waiting.allowCoreThreadTimeOut(true);
  }

  @Override
  public NbdExportInfo info() {
    return export.info();
  }

  @Override
  public void handle(NbdRequest request) {
    if (filler.done() || request.command() == NbdRequest.Command.FLUSH) {
      export.handle(request);
      return;
    }
    filler.asked();
    if (request.command() == NbdRequest.Command.BLOCK_STATUS) {
      status(request);
      return;
    }
    List<ByteRange> needed = needed(request);
    if (needed.isEmpty()) {
      export.handle(request);
      return;
    }
    try {
      waiting.execute(() -> fillAndHandle(request, needed));
    } catch (RejectedExecutionException e) {
      request.fail(NbdError.ESHUTDOWN, "the tap stops");
    }
  }

  /** Where nothing is filled yet, there may be data. */
  private void status(NbdRequest request) {
    ByteRange range = request.range();
    Optional<ByteRange> first = filler.map().unfilled(range, range.length());
    if (first.isEmpty()) {
      export.handle(request);
    } else {
      request.succeedStatus(List.of(new Allocation(range.length(), false, false)));
    }
  }

  /** A change needs the blocks that it leaves a part of; whatever is to be kept is, first (W5). */
  private List<ByteRange> needed(NbdRequest request) {
    ByteRange range = request.range();
    List<ByteRange> touched = new ArrayList<>();
    boolean changes =
        switch (request.command()) {
          case WRITE, TRIM, WRITE_ZEROES -> true;
          default -> false;
        };
    Optional<ByteRange> inner = changes ? filler.map().inner(range) : Optional.empty();
    if (inner.isEmpty() || filler.keeps(range)) {
      touched.add(range);
    } else {
      touched.add(new ByteRange(range.offset(), inner.get().offset() - range.offset()));
      touched.add(new ByteRange(inner.get().end(), range.end() - inner.get().end()));
    }
    touched.removeIf(part -> filler.map().filled(part));
    return touched;
  }

  private void fillAndHandle(NbdRequest request, List<ByteRange> needed) {
    try {
      for (ByteRange part : needed) {
        filler.ensure(part);
      }
    } catch (IOException | RuntimeException e) {
      log.warn("{}: {} of {}: {}", info().name(), request.command(), request.range(), e.toString());
      request.fail(NbdError.EIO, "content that is not filled yet cannot be had from the journal");
      return;
    }
    export.handle(request);
  }

  @Override
  public void clientEntered() {
    export.clientEntered();
  }

  @Override
  public void clientLeft() {
    export.clientLeft();
  }

  /** After the filler: who waits is told so; nothing new is begun. */
  @Override
  public void close() {
    waiting.shutdown();
    boolean interrupted = false;
    while (!waiting.isTerminated()) {
      try {
        if (!waiting.awaitTermination(1, TimeUnit.SECONDS)) {
          log.info("{}: requests wait for the journal", info().name());
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
