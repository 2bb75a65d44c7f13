package io.tidemark.taprollback;

import io.tidemark.capture.Payload;
import io.tidemark.capture.VolumeCapture;
import io.tidemark.nbd.NbdExport;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.OrderHandler;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out the steps of rollbacks of one volume, one after the other on a thread that there is
 * only meanwhile. A file beside the activity log keeps the volume shut when the tap ends in the
 * middle (R2), until the node goes on or the lease is over (R3).
 */
public final class RollbackOrders implements OrderHandler, AutoCloseable {
  /** So long after the node's last word clients are let in again. */
  public static final Duration LEASE = Duration.ofMinutes(10);

  /** There while a rollback is under way. */
  public static final String FILE_NAME = "rollback";

  /** Waiting to be journaled; more, and the next step waits. */
  static final long PENDING_BYTES_MAX = 8L << 20;

  private static final int THREAD_IDLE_SECONDS = 10;
  private static final Logger log = LoggerFactory.getLogger(RollbackOrders.class);

  private final String volume;
  private final NbdExport export;
  private final VolumeCapture capture;
  private final ExportGate gate;
  private final Path mark;
  private final ScheduledExecutorService watch;
  private final WriteBuffers buffers = new WriteBuffers();
  private final ThreadPoolExecutor worker;
  private OptionalLong run = OptionalLong.empty();

  /** The run of before the restart: its node may begin again or end it, nothing else. */
  private OptionalLong cutShort = OptionalLong.empty();

  private ScheduledFuture<?> lease;

  /**
   * @param export what the gate is in front of
   * @param directory where the volume's activity log is
   * @param watch ends the lease
   */
  public RollbackOrders(
      String volume,
      NbdExport export,
      VolumeCapture capture,
      Path directory,
      ScheduledExecutorService watch) {
    this.volume = volume;
    this.export = export;
    this.capture = capture;
    this.mark = directory.resolve(FILE_NAME);
    this.watch = watch;
    boolean marked = Files.exists(mark);
    this.gate = new ExportGate(export, marked);
    this.worker =
        new ThreadPoolExecutor(
            1,
            1,
            THREAD_IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(), // holds open orders, whose number is limited
            task -> {
              Thread thread = new Thread(task, "tidemark-rollback-" + volume);
              thread.setDaemon(true);
              return thread;
            });
    worker.allowCoreThreadTimeOut(true);
    if (marked) {
      log.warn("volume {}: a rollback was under way; waiting for the node to go on", volume);
      cutShort = markedRun();
      renew();
    }
  }

  /**
   * Lets a volume that is not served yet begin open, whatever was under way when its tap ended: its
   * epoch is over, and nobody goes on with it.
   */
  public static void forget(Path directory) throws IOException {
    Files.deleteIfExists(directory.resolve(FILE_NAME));
  }

  /** A new epoch began: nobody goes on with what shut the volume, and clients are let in. */
  public void epochOver() {
    worker.execute(
        () -> {
          if (run.isPresent() || Files.exists(mark)) {
            endOrOpen();
          }
        });
  }

  /** Empty when the mark cannot tell; then the lease ends what its node has given up. */
  private OptionalLong markedRun() {
    try {
      byte[] bytes = Files.readAllBytes(mark);
      return bytes.length == Long.BYTES
          ? OptionalLong.of(ByteBuffer.wrap(bytes).getLong())
          : OptionalLong.empty();
    } catch (IOException e) {
      log.warn("volume {}: cannot read {}", volume, mark, e);
      return OptionalLong.empty();
    }
  }

  /** At no moment is there no mark (R2). */
  private void mark(long marked) throws IOException {
    Path next = mark.resolveSibling(FILE_NAME + ".next");
    Files.write(next, ByteBuffer.allocate(Long.BYTES).putLong(marked).array());
    Files.move(next, mark, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Where clients enter. */
  public ExportGate gate() {
    return gate;
  }

  @Override
  public CompletionStage<byte[]> carryOut(long id, byte[] body, Duration left) {
    RollbackOrder order = RollbackOrder.decode(body);
    long deadline = System.nanoTime() + left.toNanos();
    return CompletableFuture.supplyAsync(() -> RollbackOrder.answer(step(order, deadline)), worker);
  }

  private long step(RollbackOrder order, long deadline) {
    try {
      if (order instanceof RollbackOrder.Begin begin) {
        begin(begin, deadline);
      } else {
        requireRun(order);
        renew();
        if (order instanceof RollbackOrder.Write write) {
          write(write, deadline);
        } else if (order instanceof RollbackOrder.Zero zero) {
          awaitRoom(deadline);
          carryOut(WriteStep.zero(zero.range()), deadline);
        } else if (order instanceof RollbackOrder.Sync) {
          carryOut(WriteStep.flush(), deadline);
          drain(deadline);
        } else {
          end();
        }
      }
      return capture.journaled().map(WriteSeq::value).orElse(0L);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the tap ends", e);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "the tap cannot write '" + mark + "': " + e.getMessage(), e);
    }
  }

  private void begin(RollbackOrder.Begin begin, long deadline)
      throws IOException, InterruptedException {
    if (run.isPresent() && run.getAsLong() != begin.run()) {
      throw new Refusal(
          ErrorCode.BUSY, "another rollback of '" + volume + "' is under way; wait for its end");
    }
    boolean again = run.isPresent();
    int clients = gate.shut(begin.force());
    if (clients > 0 && !begin.force()) {
      throw new Refusal(
          ErrorCode.BUSY,
          "%d %s connected to '%s': disconnect first, or force it, which fails all their requests"
              .formatted(clients, clients == 1 ? "client is" : "clients are", volume));
    }
    run = OptionalLong.of(begin.run());
    try {
      if (!again) {
        mark(begin.run());
      }
      cutShort = OptionalLong.empty();
      renew();
      drain(deadline);
    } catch (IOException | Refusal e) {
      if (!again) {
        end();
      }
      throw e;
    }
    if (!again) {
      log.warn("volume {}: a rollback begins, clients are kept out", volume);
    }
  }

  private void requireRun(RollbackOrder order) {
    OptionalLong known = order instanceof RollbackOrder.End && run.isEmpty() ? cutShort : run;
    if (known.isEmpty() || known.getAsLong() != order.run()) {
      throw new Refusal(
          ErrorCode.NOT_FOUND, "no such rollback is under way at the tap: it has to begin again");
    }
  }

  private void write(RollbackOrder.Write write, long deadline) throws InterruptedException {
    awaitRoom(deadline);
    Payload payload = buffers.hold(write.data(), left(deadline)).orElseThrow(this::tooSlow);
    carryOut(WriteStep.write(write.offset(), payload), deadline);
  }

  /** Goes no faster than the journal (R4). */
  private void awaitRoom(long deadline) throws InterruptedException {
    if (capture.status().pendingBytes() > PENDING_BYTES_MAX) {
      drain(deadline);
    }
  }

  private void drain(long deadline) throws InterruptedException {
    if (!capture.drain(left(deadline))) {
      throw tooSlow();
    }
  }

  private Refusal tooSlow() {
    return new Refusal(
        ErrorCode.NOT_ACKNOWLEDGED,
        "what '"
            + volume
            + "' has captured was not journaled in time; the tap is "
            + capture.status().mode());
  }

  private static Duration left(long deadline) {
    return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
  }

  private void carryOut(WriteStep step, long deadline) throws InterruptedException {
    if (step.range().end() > export.info().sizeBytes()) {
      step.fail(io.tidemark.nbd.NbdError.EINVAL, "it lies outside of the volume");
    } else {
      export.handle(step);
    }
    try {
      step.done().get(left(deadline).toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Refusal refusal ? refusal : new CompletionException(e);
    } catch (TimeoutException e) {
      throw new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the backing store did not answer in time", e);
    }
  }

  private void end() throws IOException {
    Files.deleteIfExists(mark);
    open();
    log.warn("volume {}: the rollback is over, clients are let in again", volume);
  }

  private void open() {
    run = OptionalLong.empty();
    cutShort = OptionalLong.empty();
    synchronized (this) {
      if (lease != null) {
        lease.cancel(false);
      }
      lease = null;
    }
    gate.open();
  }

  private synchronized void renew() {
    if (lease != null) {
      lease.cancel(false);
    }
    lease =
        watch.schedule(
            () -> worker.execute(this::leaseOver), LEASE.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void leaseOver() {
    log.error(
        "volume {}: the node did not go on with a rollback; clients are let in to a mixture of two"
            + " points: roll it back again",
        volume);
    endOrOpen();
  }

  private void endOrOpen() {
    try {
      end();
    } catch (IOException e) {
      log.error("volume {}: cannot delete {}", volume, mark, e);
      open();
    }
  }

  /** After the link: what is under way is finished, what waits is not begun. */
  @Override
  public void close() {
    synchronized (this) {
      if (lease != null) {
        lease.cancel(false);
      }
    }
    worker.getQueue().clear();
    worker.shutdown();
  }
}
