package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.Statement;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;

/** Sends idempotent statements as {@link Retries} tells. */
final class Requests {
  private final CqlSession session;
  private final Retries retries;

  Requests(CqlSession session, Duration deadline, Executor executor) {
    this.session = session;
    this.retries = new Retries(deadline, executor);
  }

  /**
   * @return fails with {@code Refusal(NOT_ACKNOWLEDGED)} when the deadline has passed
   */
  CompletionStage<AsyncResultSet> send(Statement<?> statement) {
    return retries.run(() -> session.executeAsync(statement));
  }
}
