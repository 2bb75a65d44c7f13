package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import io.tidemark.fence.WriterFence;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ForkJoinPool;

/**
 * Claims in the table {@code journal_writer}: taken by compare-and-set, read at the site's
 * consistency level, so that a claim that was confirmed is seen by every later question.
 */
public final class CassandraWriterFence implements WriterFence {
  private final Requests requests;
  private final PreparedStatement read;
  private final PreparedStatement readSerial;
  private final PreparedStatement first;
  private final PreparedStatement next;

  /** Prepares its statements; blocks. The schema must exist; the session stays the caller's. */
  public CassandraWriterFence(CqlSession session, CassandraSettings settings) {
    this.requests = new Requests(session, settings.writeDeadline(), ForkJoinPool.commonPool());
    String table = settings.keyspace() + ".journal_writer";
    String query = "SELECT term FROM " + table + " WHERE journal = ?";
    this.read = session.prepare(statement(query));
    // The two must differ in text: the driver keeps one prepared statement per text.
    this.readSerial =
        session.prepare(
            statement(query + " LIMIT 1").setConsistencyLevel(ConsistencyLevel.LOCAL_SERIAL));
    this.first =
        cas(session, "INSERT INTO " + table + " (journal, term) VALUES (?, 1) IF NOT EXISTS");
    this.next = cas(session, "UPDATE " + table + " SET term = ? WHERE journal = ? IF term = ?");
  }

  /** A repeated compare-and-set that had been carried out fails, and the claim is made anew. */
  private static PreparedStatement cas(CqlSession session, String query) {
    return session.prepare(
        statement(query).setSerialConsistencyLevel(ConsistencyLevel.LOCAL_SERIAL));
  }

  private static SimpleStatement statement(String query) {
    return SimpleStatement.newInstance(query)
        .setExecutionProfileName(CassandraSessions.WRITES)
        .setIdempotent(true);
  }

  @Override
  public CompletionStage<Long> claim(String journal) {
    return requests
        .send(readSerial.bind(journal))
        .thenCompose(
            rows -> {
              Row row = rows.one();
              long term = row == null ? 1 : row.getLong(0) + 1;
              return requests
                  .send(
                      row == null ? first.bind(journal) : next.bind(term, journal, row.getLong(0)))
                  .thenCompose(
                      done ->
                          done.wasApplied()
                              ? CompletableFuture.completedStage(term)
                              : claim(journal));
            });
  }

  @Override
  public CompletionStage<Boolean> holds(String journal, long term) {
    return requests
        .send(read.bind(journal))
        .thenApply(
            rows -> {
              Row row = rows.one();
              return row != null && row.getLong(0) == term;
            });
  }
}
