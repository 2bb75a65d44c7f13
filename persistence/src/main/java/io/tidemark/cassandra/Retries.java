package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.NodeUnavailableException;
import com.datastax.oss.driver.api.core.servererrors.QueryValidationException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Asks Cassandra again until it answers or a deadline has passed, so that a Cassandra that is
 * started again, or a replica that is lost, costs time and no data. Only for what may be done
 * twice.
 */
public final class Retries {
  private static final long BACKOFF_MILLIS_MIN = 100;
  private static final long BACKOFF_MILLIS_MAX = 1600;

  private final Duration deadline;
  private final Executor executor;

  /**
   * @param deadline of all attempts together
   * @param executor which threads go on with an answer; never the driver's own
   */
  public Retries(Duration deadline, Executor executor) {
    this.deadline = deadline;
    this.executor = executor;
  }

  /**
   * @param attempt asks once; what it throws counts as its failure
   * @return fails with {@code NOT_ACKNOWLEDGED} when the deadline has passed or Cassandra or the
   *     closed session refuse for good; with the attempt's own failure if that is another, such as
   *     an answer that cannot be decoded
   */
  public <T> CompletionStage<T> run(Supplier<? extends CompletionStage<T>> attempt) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    attempt(attempt, System.nanoTime() + deadline.toNanos(), BACKOFF_MILLIS_MIN, answer);
    return answer;
  }

  private <T> void attempt(
      Supplier<? extends CompletionStage<T>> attempt,
      long deadlineNanos,
      long backoffMillis,
      CompletableFuture<T> answer) {
    begin(attempt)
        .whenCompleteAsync(
            (value, failure) -> {
              if (failure == null) {
                answer.complete(value);
              } else {
                failed(attempt, deadlineNanos, backoffMillis, answer, failure);
              }
            },
            executor);
  }

  private static <T> CompletionStage<T> begin(Supplier<? extends CompletionStage<T>> attempt) {
    try {
      return attempt.get();
    } catch (RuntimeException e) {
      // A closed session refuses in the caller's thread.
      return CompletableFuture.failedFuture(e);
    }
  }

  private <T> void failed(
      Supplier<? extends CompletionStage<T>> attempt,
      long deadlineNanos,
      long backoffMillis,
      CompletableFuture<T> answer,
      Throwable failure) {
    Throwable cause = Failures.cause(failure);
    if (!ofCassandra(cause)) {
      answer.completeExceptionally(cause);
      return;
    }
    long pauseEnd = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(backoffMillis);
    if (!mayRecover(cause) || pauseEnd > deadlineNanos) {
      answer.completeExceptionally(
          new Refusal(
              ErrorCode.NOT_ACKNOWLEDGED,
              "Cassandra did not answer within %d s: %s"
                  .formatted(deadline.toSeconds(), cause.getMessage()),
              cause));
      return;
    }
    long next = Math.min(2 * backoffMillis, BACKOFF_MILLIS_MAX);
    CompletableFuture.delayedExecutor(backoffMillis, TimeUnit.MILLISECONDS, executor)
        .execute(() -> attempt(attempt, deadlineNanos, next, answer));
  }

  private static boolean ofCassandra(Throwable cause) {
    return cause instanceof DriverException
        || cause instanceof NodeUnavailableException
        || closed(cause);
  }

  private static boolean mayRecover(Throwable cause) {
    return !(cause instanceof QueryValidationException || closed(cause));
  }

  /** How the driver says that a session is closed, or closing. */
  private static boolean closed(Throwable cause) {
    return cause instanceof IllegalStateException || cause instanceof RejectedExecutionException;
  }
}
