package io.tidemark.rollback;

import io.tidemark.image.VolumePoints.Located;
import io.tidemark.job.JobRegistry;
import io.tidemark.job.JobSummary;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.VolumeSummary;
import io.tidemark.taplink.LiveLink;
import io.tidemark.taprollback.RollbackOrder;
import io.tidemark.taprollback.RollbackOrders;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Rollback jobs of this node; each has a thread while it runs. */
public final class RollbackJobs implements Rollbacks, AutoCloseable {
  /** Rollbacks that may run at once. */
  public static final int ROLLBACKS_MAX = 4;

  private static final Duration BEGIN_LIMIT = Duration.ofSeconds(12);
  private static final Duration TELL_EVERY = Duration.ofSeconds(1);
  private static final Logger LOG = LoggerFactory.getLogger(RollbackJobs.class);

  private final Path records;
  private final JobRegistry jobs;
  private final RollbackRun.Parts parts;
  private final Set<VolumeName> running = ConcurrentHashMap.newKeySet();
  private final ExecutorService threads =
      Executors.newCachedThreadPool(
          work -> {
            Thread thread = new Thread(work, "rollback");
            thread.setDaemon(true);
            return thread;
          });
  private volatile boolean closing;

  /**
   * @param records a directory of its own under the node's data; created if missing
   */
  public RollbackJobs(Path records, JobRegistry jobs, RollbackRun.Parts parts) throws IOException {
    this.records = Files.createDirectories(records);
    this.jobs = jobs;
    this.parts = parts;
  }

  /** Goes on with what the node's end has cut short (B4). Blocks for the disk alone. */
  public void resume() throws IOException {
    try (DirectoryStream<Path> found =
        Files.newDirectoryStream(records, "*" + RollbackRecord.SUFFIX)) {
      for (Path file : found) {
        RollbackRecord record;
        try {
          record = RollbackRecord.read(file);
        } catch (Refusal e) {
          LOG.error("nothing is known of a rollback that the node's end cut short", e);
          continue;
        }
        LOG.warn("goes on with the rollback of {} to seq:{}", record.volume(), record.at());
        running.add(record.volume());
        start(record, false);
      }
    }
  }

  @Override
  public CompletionStage<Started> rollback(VolumeName volume, At at, boolean force) {
    return parts
        .points()
        .locate(volume, at)
        .thenApplyAsync(located -> begin(located, force), threads);
  }

  private Started begin(Located target, boolean force) {
    VolumeName volume = target.name();
    if (running.size() >= ROLLBACKS_MAX) {
      throw new Refusal(
          ErrorCode.BUSY,
          ROLLBACKS_MAX + " rollbacks are running, the most that may; wait for one to end");
    }
    if (!running.add(volume)) {
      throw new Refusal(ErrorCode.BUSY, "a rollback of '" + volume + "' is running already");
    }
    try {
      return begun(target, force);
    } catch (IOException e) {
      running.remove(volume);
      throw new Refusal(ErrorCode.FAILED, "cannot write in '" + records + "': " + e, e);
    } catch (RuntimeException e) {
      running.remove(volume);
      throw e;
    }
  }

  private Started begun(Located target, boolean force) throws IOException {
    VolumeName volume = target.name();
    LiveLink link =
        parts
            .links()
            .of(volume)
            .filter(live -> live.volume().equals(target.volume()))
            .orElseThrow(() -> whyNoLink(RollbackRun.join(parts.site().volume(volume))));
    TapSteps tap = new TapSteps(link, parts.clock(), BEGIN_LIMIT);
    long run = UUID.randomUUID().getMostSignificantBits();
    long seq = tap.ask(new RollbackOrder.Begin(run, force));
    RollbackRecord record =
        new RollbackRecord(volume, target.volume(), run, target.point().seq().value(), seq, force);
    try {
      RollbackRun.awaitHead(parts, volume, seq);
      RecoveryPoint safety =
          RollbackRun.join(parts.points().locate(volume, new At.Seq(new WriteSeq(seq)))).point();
      RollbackRun.hold(parts, record);
      record.write(records);
      return new Started(start(record, true), target.point(), safety);
    } catch (IOException | RuntimeException e) {
      RollbackRun.release(parts, record);
      try {
        tap.ask(new RollbackOrder.End(run));
      } catch (Refusal unheard) {
        e.addSuppressed(unheard);
      }
      throw e;
    }
  }

  private static Refusal whyNoLink(VolumeSummary volume) {
    if (!volume.tapConnected()) {
      return new Refusal(
          ErrorCode.NOT_ACKNOWLEDGED,
          "no tap is attached to '" + volume.name() + "', and only its tap can write it");
    }
    return new Refusal(
        ErrorCode.BUSY,
        "the tap of '%s' is connected to %s: have that node do it"
            .formatted(volume.name(), volume.tapNode().orElse("another node")));
  }

  private JobSummary start(RollbackRecord record, boolean begun) {
    return jobs.start(
        "rollback",
        "rollback of %s from seq:%d to seq:%d"
            .formatted(record.volume(), record.safety(), record.at()),
        control ->
            CompletableFuture.runAsync(
                    () -> new RollbackRun(parts, record, control, () -> closing).all(begun),
                    threads)
                .whenComplete((done, failure) -> ended(record, failure)));
  }

  private void ended(RollbackRecord record, Throwable failure) {
    if (closing && failure != null) {
      return; // cut short by the node's end: the record stays, for the next start (B4)
    }
    try {
      Files.deleteIfExists(record.file(records));
    } catch (IOException e) {
      LOG.error("cannot delete {}: the next start repeats the rollback", record.file(records), e);
    }
    running.remove(record.volume());
    RollbackRun.release(parts, record);
    if (failure != null) {
      tellTap(record, System.nanoTime() + RollbackOrders.LEASE.toNanos());
    }
  }

  /**
   * A tap that was away when its rollback was given up keeps clients out until it is told so, at
   * the latest until its lease is over: it is told as soon as it is back, whatever node it goes to.
   */
  private void tellTap(RollbackRecord record, long untilNanos) {
    long deadline = parts.clock().micros() + TimeUnit.NANOSECONDS.toMicros(BEGIN_LIMIT.toNanos());
    TapOrder end =
        new TapOrder(
            UUID.randomUUID().getMostSignificantBits(),
            OrderKind.ROLLBACK,
            deadline,
            new RollbackOrder.End(record.run()).encode());
    parts
        .site()
        .order(record.volume(), end)
        .whenComplete(
            (answer, failure) -> {
              if (failure == null) {
                LOG.info("the tap of {} knows that its rollback is over", record.volume());
              } else if (away(failure) && !closing && System.nanoTime() < untilNanos) {
                CompletableFuture.delayedExecutor(TELL_EVERY.toMillis(), TimeUnit.MILLISECONDS)
                    .execute(() -> tellTap(record, untilNanos));
              }
            });
  }

  /** Whether a tap did not hear it; one that knows of no such rollback lets clients in already. */
  private static boolean away(Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof TimeoutException
        || (cause instanceof Refusal refusal && refusal.code() == ErrorCode.NOT_ACKNOWLEDGED);
  }

  /** Ends what runs where it is; the next start goes on. Blocks. */
  @Override
  public void close() {
    closing = true;
    jobs.close();
    threads.shutdown();
  }
}
