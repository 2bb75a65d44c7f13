package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.catalog.TagRow;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** Tags in the table {@code group_tag}, and those that expire in {@code group_tag_expiry} (Y2). */
public final class CassandraTagCatalog implements TagCatalog {
  private static final long BUCKET_MICROS = TimeUnit.HOURS.toMicros(6);
  private static final int PAGE_ROWS = 1_000;

  private final Requests requests;
  private final PreparedStatement insert;
  private final PreparedStatement insertExpiry;
  private final PreparedStatement delete;
  private final PreparedStatement deleteExpiry;
  private final PreparedStatement buckets;
  private final PreparedStatement insertBucket;
  private final PreparedStatement select;
  private final PreparedStatement selectDue;

  /** Prepares its statements; blocks. The schema must exist; the session stays the caller's. */
  public CassandraTagCatalog(CqlSession session, CassandraSettings settings) {
    this.requests = new Requests(session, settings.writeDeadline(), ForkJoinPool.commonPool());
    String tags = settings.keyspace() + ".group_tag";
    String expiries = settings.keyspace() + ".group_tag_expiry";
    String bucketTable = settings.keyspace() + ".group_tag_bucket";
    this.insert =
        write(
            session,
            "INSERT INTO "
                + tags
                + " (group_id, bucket, time, name, expires, body)"
                + " VALUES (?, ?, ?, ?, ?, ?)");
    this.insertBucket =
        write(session, "INSERT INTO " + bucketTable + " (group_id, bucket) VALUES (?, ?)");
    this.insertExpiry =
        write(
            session,
            "INSERT INTO "
                + expiries
                + " (group_id, bucket, expires, time, name)"
                + " VALUES (?, ?, ?, ?, ?)");
    this.delete =
        write(
            session,
            "DELETE FROM " + tags + " WHERE group_id = ? AND bucket = ? AND time = ? AND name = ?");
    this.deleteExpiry =
        write(
            session,
            "DELETE FROM "
                + expiries
                + " WHERE group_id = ? AND bucket = ? AND expires = ? AND time = ? AND name = ?");
    this.buckets =
        read(
            session,
            "SELECT bucket FROM "
                + bucketTable
                + " WHERE group_id = ? AND bucket >= ? AND bucket <= ?");
    this.select =
        read(
            session,
            "SELECT time, name, expires, body FROM "
                + tags
                + " WHERE group_id = ? AND bucket = ? AND time >= ? AND time <= ?");
    this.selectDue =
        read(
            session,
            "SELECT expires, time, name FROM "
                + expiries
                + " WHERE group_id = ? AND bucket = ? AND expires >= ? AND expires < ? LIMIT ?");
  }

  private static PreparedStatement write(CqlSession session, String query) {
    return session.prepare(
        SimpleStatement.newInstance(query)
            .setExecutionProfileName(CassandraSessions.WRITES)
            .setIdempotent(true));
  }

  private static PreparedStatement read(CqlSession session, String query) {
    return session.prepare(
        SimpleStatement.newInstance(query)
            .setExecutionProfileName(CassandraSessions.CAREFUL_READS)
            .setPageSize(PAGE_ROWS)
            .setTimeout(Duration.ofSeconds(10))
            .setIdempotent(true));
  }

  private static int bucket(long micros) {
    return (int) Math.floorDiv(micros, BUCKET_MICROS);
  }

  @Override
  public CompletionStage<Void> put(TagRow row) {
    int bucket = bucket(row.timeMicros());
    ByteBuffer body = ByteBuffer.wrap(row.body());
    // The bucket first: a row in a bucket that nobody knows of would never be found.
    CompletionStage<AsyncResultSet> put =
        requests
            .send(insertBucket.bind(row.group(), bucket))
            .thenCompose(done -> expiring(row, insertExpiry))
            .thenCompose(
                done ->
                    requests.send(
                        insert.bind(
                            row.group(),
                            bucket,
                            row.timeMicros(),
                            row.name(),
                            row.expiresMicros(),
                            body)));
    return put.thenApply(done -> null);
  }

  @Override
  public CompletionStage<Void> remove(TagRow row) {
    return requests
        .send(delete.bind(row.group(), bucket(row.timeMicros()), row.timeMicros(), row.name()))
        .thenCompose(done -> expiring(row, deleteExpiry));
  }

  private CompletionStage<Void> expiring(TagRow row, PreparedStatement statement) {
    if (row.expiresMicros() == 0) {
      return CompletableFuture.completedStage(null);
    }
    return requests
        .send(
            statement.bind(
                row.group(),
                bucket(row.expiresMicros()),
                row.expiresMicros(),
                row.timeMicros(),
                row.name()))
        .thenApply(done -> null);
  }

  @Override
  public CompletionStage<Page> find(UUID group, Query query, Predicate<TagRow> wanted) {
    int limit = Math.min(query.limit(), LIMIT_MAX);
    Search search = new Search(group, query, wanted, limit);
    return requests
        .send(buckets.bind(group, bucket(query.fromMicros()), bucket(query.toMicros())))
        .thenCompose(rows -> all(rows, new ArrayList<>(), row -> row.getInt(0)))
        .thenCompose(search::over);
  }

  private interface Reading<T> {
    T of(Row row);
  }

  private static <T> CompletionStage<List<T>> all(
      AsyncResultSet rows, List<T> into, Reading<T> reading) {
    rows.currentPage().forEach(row -> into.add(reading.of(row)));
    return rows.hasMorePages()
        ? rows.fetchNextPage().thenCompose(next -> all(next, into, reading))
        : CompletableFuture.completedStage(into);
  }

  /** One question: goes from bucket to bucket, newest first, until it has enough. */
  private final class Search {
    private final UUID group;
    private final Query query;
    private final Predicate<TagRow> wanted;
    private final int limit;
    private final List<TagRow> found = new ArrayList<>();
    private int scanned;
    private long until;

    Search(UUID group, Query query, Predicate<TagRow> wanted, int limit) {
      this.group = group;
      this.query = query;
      this.wanted = wanted;
      this.limit = limit;
      this.until = query.toMicros();
    }

    CompletionStage<Page> over(List<Integer> newestFirst) {
      if (newestFirst.isEmpty()) {
        return CompletableFuture.completedStage(new Page(found, false, query.fromMicros()));
      }
      List<Integer> rest = newestFirst.subList(1, newestFirst.size());
      return requests
          .send(select.bind(group, newestFirst.get(0), query.fromMicros(), query.toMicros()))
          .thenCompose(this::page)
          .thenCompose(
              enough ->
                  enough
                      ? CompletableFuture.completedStage(new Page(found, true, until))
                      : over(rest));
    }

    private CompletionStage<Boolean> page(AsyncResultSet rows) {
      for (Row row : rows.currentPage()) {
        if (found.size() >= limit || scanned >= SCANNED_MAX) {
          return CompletableFuture.completedStage(true);
        }
        scanned++;
        until = row.getLong(0);
        String name = row.getString(1);
        if (name.startsWith(query.prefix())) {
          TagRow tag = new TagRow(group, row.getLong(0), name, row.getLong(2), bytes(row));
          if (wanted.test(tag)) {
            found.add(tag);
          }
        }
      }
      return rows.hasMorePages()
          ? rows.fetchNextPage().thenCompose(this::page)
          : CompletableFuture.completedStage(false);
    }

    private byte[] bytes(Row row) {
      ByteBuffer data = row.getByteBuffer(3);
      byte[] bytes = new byte[data.remaining()];
      data.get(bytes);
      return bytes;
    }
  }

  @Override
  public CompletionStage<List<TagRow>> due(
      UUID group, long sinceMicros, long nowMicros, int limit) {
    return due(group, bucket(sinceMicros), sinceMicros, nowMicros, limit);
  }

  /** From where the caller left off: what was removed before lies about as tombstones. */
  private CompletionStage<List<TagRow>> due(
      UUID group, int bucket, long sinceMicros, long nowMicros, int limit) {
    if (bucket > bucket(nowMicros)) {
      return CompletableFuture.completedStage(List.of());
    }
    return requests
        .send(selectDue.bind(group, bucket, sinceMicros, nowMicros, limit))
        .thenCompose(rows -> all(rows, new ArrayList<>(), row -> expired(group, row)))
        .thenCompose(
            found ->
                found.isEmpty()
                    ? due(group, bucket + 1, sinceMicros, nowMicros, limit)
                    : CompletableFuture.completedStage(found));
  }

  private static TagRow expired(UUID group, Row row) {
    return new TagRow(group, row.getLong(1), row.getString(2), row.getLong(0), new byte[0]);
  }
}
