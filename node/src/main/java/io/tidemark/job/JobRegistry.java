package io.tidemark.job;

import io.tidemark.job.JobSummary.Failure;
import io.tidemark.job.JobSummary.State;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The jobs of this node, in memory: a job does not outlive its node. */
public final class JobRegistry implements Jobs, AutoCloseable {
  /** Jobs remembered after they have ended. */
  public static final int ENDED_MAX = 200;

  private static final int STOP_SECONDS_MAX = 30;
  private static final long MICROS = 1_000_000L;
  private static final Logger LOG = LoggerFactory.getLogger(JobRegistry.class);

  /** What a job does. */
  @FunctionalInterface
  public interface Work {
    /**
     * Does the work without blocking the caller.
     *
     * @return completes when it is done and nothing of it runs any more, also when it failed
     */
    CompletionStage<Void> run(JobControl control);
  }

  private final MicroClock clock;
  private final String prefix;
  private final Map<String, Job> jobs = new LinkedHashMap<>();
  private int numbers;

  public JobRegistry(MicroClock clock) {
    this.clock = clock;
    this.prefix = Long.toString(clock.micros() / 1_000, 36);
  }

  /**
   * Starts a job.
   *
   * @param kind also the beginning of its id
   */
  public JobSummary start(String kind, String subject, Work work) {
    Job job;
    synchronized (this) {
      String id = kind + "-" + prefix + "-" + ++numbers;
      job = new Job(id, kind, subject);
      jobs.put(id, job);
      forgetOldest();
    }
    LOG.info("job {}: {} begins", job.id, subject);
    CompletionStage<Void> running;
    try {
      running = work.run(job);
    } catch (RuntimeException e) {
      running = CompletableFuture.failedStage(e);
    }
    running.whenComplete((done, failure) -> job.end(failure));
    return job.summary();
  }

  private void forgetOldest() {
    int excess = jobs.size() - ENDED_MAX;
    Iterator<Job> oldest = jobs.values().iterator();
    while (excess > 0 && oldest.hasNext()) {
      if (oldest.next().hasEnded()) {
        oldest.remove();
        excess--;
      }
    }
  }

  @Override
  public List<JobSummary> list() {
    List<Job> all;
    synchronized (this) {
      all = new ArrayList<>(jobs.values());
    }
    Collections.reverse(all);
    return all.stream().map(Job::summary).toList();
  }

  @Override
  public synchronized Optional<JobSummary> get(String id) {
    return Optional.ofNullable(jobs.get(id)).map(Job::summary);
  }

  @Override
  public JobSummary cancel(String id) {
    Job job;
    synchronized (this) {
      job = jobs.get(id);
    }
    if (job == null) {
      throw new Refusal(
          ErrorCode.NOT_FOUND, "there is no job '" + Refusal.printable(id) + "' on this node");
    }
    job.cancelled = true;
    return job.summary();
  }

  /** Completes when the job has ended. */
  public CompletionStage<JobSummary> ended(String id) {
    Job job;
    synchronized (this) {
      job = jobs.get(id);
    }
    return job == null
        ? CompletableFuture.failedStage(
            new Refusal(ErrorCode.NOT_FOUND, "there is no job '" + Refusal.printable(id) + "'"))
        : job.ended.copy();
  }

  /** Cancels what runs and waits for it to clean up. Blocks. */
  @Override
  public void close() {
    List<Job> all;
    synchronized (this) {
      all = List.copyOf(jobs.values());
    }
    all.forEach(job -> job.cancelled = true);
    for (Job job : all) {
      try {
        job.ended.get(STOP_SECONDS_MAX, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      } catch (java.util.concurrent.ExecutionException | TimeoutException e) {
        LOG.warn("job {} did not stop within {} s", job.id, STOP_SECONDS_MAX, e);
      }
    }
  }

  private final class Job implements JobControl {
    private final String id;
    private final String kind;
    private final String subject;
    private final long startedMicros = clock.micros();
    private final CompletableFuture<JobSummary> ended = new CompletableFuture<>();
    private final Map<String, String> notes = new LinkedHashMap<>();
    private State state = State.RUNNING;
    private long bytesTotal;
    private long bytesDone;
    private long endedMicros;
    private Failure failure;
    private volatile boolean cancelled;

    Job(String id, String kind, String subject) {
      this.id = id;
      this.kind = kind;
      this.subject = subject;
    }

    @Override
    public String id() {
      return id;
    }

    @Override
    public boolean cancelled() {
      return cancelled;
    }

    @Override
    public synchronized void total(long bytes) {
      bytesTotal = bytes;
    }

    @Override
    public synchronized void advance(long bytes) {
      bytesDone += bytes;
    }

    @Override
    public synchronized void note(String key, String text) {
      if (state == State.RUNNING) {
        notes.put(key, text);
      }
    }

    synchronized boolean hasEnded() {
      return state != State.RUNNING;
    }

    void end(Throwable thrown) {
      Throwable cause = Failures.cause(thrown);
      synchronized (this) {
        if (cause == null) {
          state = State.DONE;
        } else if (cause instanceof CancellationException) {
          state = State.CANCELLED;
        } else {
          state = State.FAILED;
          failure =
              cause instanceof Refusal refusal
                  ? new Failure(refusal.code(), refusal.getMessage())
                  : new Failure(ErrorCode.FAILED, String.valueOf(cause.getMessage()));
        }
        endedMicros = clock.micros();
      }
      if (cause instanceof Refusal || cause instanceof CancellationException || cause == null) {
        LOG.info("job {}: {} ends {}", id, subject, cause == null ? "well" : cause.toString());
      } else {
        LOG.error("job {}: {} failed", id, subject, cause);
      }
      ended.complete(summary());
    }

    synchronized JobSummary summary() {
      boolean running = state == State.RUNNING;
      double fraction =
          state == State.DONE
              ? 1
              : bytesTotal == 0 ? 0 : Math.min(1, (double) bytesDone / bytesTotal);
      return new JobSummary(
          id,
          kind,
          subject,
          state,
          fraction,
          bytesDone,
          bytesTotal,
          eta(),
          new MicroTime(startedMicros),
          running ? Optional.empty() : Optional.of(new MicroTime(endedMicros)),
          Optional.ofNullable(failure),
          running ? Map.of() : Collections.unmodifiableMap(new LinkedHashMap<>(notes)));
    }

    private OptionalLong eta() {
      long elapsed = clock.micros() - startedMicros;
      if (state != State.RUNNING || bytesDone == 0 || bytesTotal == 0 || elapsed <= 0) {
        return OptionalLong.empty();
      }
      double perByte = (double) elapsed / bytesDone;
      long left = Math.max(0, bytesTotal - bytesDone);
      return OptionalLong.of((long) Math.ceil(left * perByte / MICROS));
    }
  }
}
