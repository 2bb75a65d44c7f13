package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.NodeUnavailableException;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.Statement;
import com.datastax.oss.driver.api.core.servererrors.QueryValidationException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Sends idempotent statements until they are answered or the deadline has passed, so that a
 * Cassandra that is started again, or a replica that is lost, costs time and no data.
 */
final class Requests {
  private static final long BACKOFF_MILLIS_MIN = 100;
  private static final long BACKOFF_MILLIS_MAX = 1600;

  private final CqlSession session;
  private final Duration deadline;

  /** Which thread goes on with an answer; never one of the driver's own. */
  private final Executor executor;

  Requests(CqlSession session, Duration deadline, Executor executor) {
    this.session = session;
    this.deadline = deadline;
    this.executor = executor;
  }

  /**
   * @return fails with {@code Refusal(NOT_ACKNOWLEDGED)} when the deadline has passed
   */
  CompletionStage<AsyncResultSet> send(Statement<?> statement) {
    CompletableFuture<AsyncResultSet> answer = new CompletableFuture<>();
    attempt(statement, System.nanoTime() + deadline.toNanos(), BACKOFF_MILLIS_MIN, answer);
    return answer;
  }

  private void attempt(
      Statement<?> statement,
      long deadlineNanos,
      long backoffMillis,
      CompletableFuture<AsyncResultSet> answer) {
    execute(statement)
        .whenCompleteAsync(
            (rows, failure) -> {
              if (failure == null) {
                answer.complete(rows);
              } else {
                retry(statement, deadlineNanos, backoffMillis, answer, failure);
              }
            },
            executor);
  }

  private CompletionStage<AsyncResultSet> execute(Statement<?> statement) {
    try {
      return session.executeAsync(statement);
    } catch (RuntimeException e) {
      // A closed session refuses in the caller's thread.
      return CompletableFuture.failedFuture(e);
    }
  }

  private void retry(
      Statement<?> statement,
      long deadlineNanos,
      long backoffMillis,
      CompletableFuture<AsyncResultSet> answer,
      Throwable failure) {
    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
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
    CompletableFuture.delayedExecutor(backoffMillis, TimeUnit.MILLISECONDS, executor)
        .execute(
            () ->
                attempt(
                    statement,
                    deadlineNanos,
                    Math.min(2 * backoffMillis, BACKOFF_MILLIS_MAX),
                    answer));
  }

  private boolean mayRecover(Throwable cause) {
    return (cause instanceof DriverException || cause instanceof NodeUnavailableException)
        && !(cause instanceof QueryValidationException)
        && !session.isClosed();
  }
}
