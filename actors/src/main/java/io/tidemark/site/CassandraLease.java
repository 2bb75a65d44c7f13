package io.tidemark.site;

import akka.actor.ExtendedActorSystem;
import akka.coordination.lease.LeaseSettings;
import akka.coordination.lease.javadsl.Lease;
import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The right to go on after the nodes of a site lost one another, as a row in Cassandra that at most
 * one node owns: compare-and-set, and it expires. A side that does not reach Cassandra does not get
 * it, and could not journal anything either.
 *
 * <p>Every call opens a session of its own and closes it: it is needed once in a crash, and the
 * node's other sessions may hang at that moment for the same reason.
 */
public final class CassandraLease extends Lease {
  private static final Logger LOG = LoggerFactory.getLogger(CassandraLease.class);

  private final LeaseSettings settings;
  private final ExtendedActorSystem system;
  private final String table;
  private final Duration timeout;
  private final int secondsToLive;
  private volatile boolean held;

  /** Called by Akka, which finds the class by its name. */
  public CassandraLease(LeaseSettings settings, ExtendedActorSystem system) {
    this.settings = settings;
    this.system = system;
    this.table = settings.leaseConfig().getString("keyspace") + ".cluster_lease";
    this.timeout = settings.timeoutSettings().getOperationTimeout();
    this.secondsToLive =
        Math.toIntExact(settings.timeoutSettings().getHeartbeatTimeout().toSeconds());
  }

  @Override
  public LeaseSettings getSettings() {
    return settings;
  }

  /** Whether this node owns it now; false within the operation's timeout when another does. */
  @Override
  public CompletionStage<Boolean> acquire() {
    return withSession(this::insert)
        .whenComplete(
            (got, failure) -> {
              held = failure == null && got;
              LOG.warn(
                  "lease {} for {}: {}",
                  settings.leaseName(),
                  settings.ownerName(),
                  failure != null ? failure.toString() : got ? "acquired" : "another node has it");
            });
  }

  @Override
  public CompletionStage<Boolean> acquire(Consumer<Optional<Throwable>> lost) {
    return acquire();
  }

  private CompletionStage<Boolean> insert(CqlSession session) {
    return run(
            session,
            "INSERT INTO %s (name, owner) VALUES (?, ?) IF NOT EXISTS USING TTL %d"
                .formatted(table, secondsToLive),
            settings.leaseName(),
            settings.ownerName())
        .thenCompose(
            rows -> {
              if (rows.wasApplied()) {
                return CompletableFuture.completedStage(true);
              }
              Row row = rows.one();
              return row != null && settings.ownerName().equals(row.getString("owner"))
                  ? renew(session)
                  : CompletableFuture.completedStage(false);
            });
  }

  private CompletionStage<Boolean> renew(CqlSession session) {
    return run(
            session,
            "UPDATE %s USING TTL %d SET owner = ? WHERE name = ? IF owner = ?"
                .formatted(table, secondsToLive),
            settings.ownerName(),
            settings.leaseName(),
            settings.ownerName())
        .thenApply(AsyncResultSet::wasApplied);
  }

  @Override
  public CompletionStage<Boolean> release() {
    held = false;
    return withSession(
        session ->
            run(
                    session,
                    "DELETE FROM %s WHERE name = ? IF owner = ?".formatted(table),
                    settings.leaseName(),
                    settings.ownerName())
                .thenApply(rows -> true));
  }

  @Override
  public boolean checkLease() {
    return held;
  }

  private CompletionStage<AsyncResultSet> run(CqlSession session, String query, Object... values) {
    return session.executeAsync(
        SimpleStatement.newInstance(query, values)
            .setConsistencyLevel(ConsistencyLevel.LOCAL_QUORUM)
            .setSerialConsistencyLevel(ConsistencyLevel.LOCAL_SERIAL)
            .setTimeout(timeout)
            // Repeating a compare-and-set with the same owner changes nothing.
            .setIdempotent(true));
  }

  private CompletionStage<Boolean> withSession(
      java.util.function.Function<CqlSession, CompletionStage<Boolean>> use) {
    CompletionStage<CqlSession> opening = JournalSessions.open(system);
    return opening
        .thenCompose(use)
        .toCompletableFuture()
        .orTimeout(timeout.toMillis(), TimeUnit.MILLISECONDS)
        .whenComplete((done, failure) -> opening.thenAccept(CqlSession::closeAsync));
  }
}
