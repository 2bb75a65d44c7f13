package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.Statement;
import io.tidemark.position.VolumeId;
import io.tidemark.segment.SegmentRef;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Which partitions of the segment store exist: named before they are written (K1), walked when they
 * are deleted.
 */
final class SegmentPartitions {
  /** Partitions remembered as named; naming one again is harmless. */
  private static final int NAMED_MAX = 8192;

  private record Partition(VolumeId volume, int session, int run, int part) {}

  private record Bucket(VolumeId volume, int session, int bucket) {}

  private final SegmentStatements statements;
  private final Requests requests;

  /** What has been named, or is being named; guarded by its monitor. */
  private final LinkedHashMap<Record, CompletableFuture<Void>> named =
      new LinkedHashMap<>(256, 0.75f, true);

  SegmentPartitions(SegmentStatements statements, Requests requests) {
    this.statements = statements;
    this.requests = requests;
  }

  /** Completes when every partition of a segment is named. */
  CompletionStage<Void> ensure(SegmentRef ref, int chunkCount) {
    VolumeId volume = ref.volume();
    int session = ref.session();
    int run = SegmentStatements.run(ref.ordinal());
    int bucket = SegmentStatements.bucket(run);
    List<CompletableFuture<Void>> all = new ArrayList<>();
    all.add(
        once(
            new Bucket(volume, session, bucket),
            () -> statements.insertBucket(volume, session, bucket)));
    int lastPart = SegmentStatements.part(chunkCount - 1);
    for (int i = 0; i <= lastPart; i++) {
      int part = i;
      all.add(
          once(
              new Partition(volume, session, run, part),
              () -> statements.insertRun(volume, session, run, part)));
    }
    return CompletableFuture.allOf(all.toArray(CompletableFuture[]::new));
  }

  private CompletableFuture<Void> once(Record key, Supplier<Statement<?>> statement) {
    CompletableFuture<Void> naming = new CompletableFuture<>();
    synchronized (named) {
      CompletableFuture<Void> earlier = named.get(key);
      if (earlier != null) {
        return earlier;
      }
      named.put(key, naming);
      if (named.size() > NAMED_MAX) {
        Iterator<Record> eldest = named.keySet().iterator();
        eldest.next();
        eldest.remove();
      }
    }
    requests.send(statement.get()).whenComplete((rows, failure) -> settle(key, naming, failure));
    return naming;
  }

  private void settle(Record key, CompletableFuture<Void> naming, Throwable failureOrNull) {
    if (failureOrNull == null) {
      naming.complete(null);
      return;
    }
    synchronized (named) {
      named.remove(key, naming);
    }
    naming.completeExceptionally(failureOrNull);
  }

  /**
   * Deletes the segments of a session from one on. Their partitions stay named, because a write
   * that is still on its way may fill them again; they go with the volume.
   */
  CompletionStage<Void> deleteOrphans(SegmentRef first) {
    int firstRun = SegmentStatements.run(first.ordinal());
    return forEach(
        statements.selectBucketsFrom(
            first.volume(), first.session(), SegmentStatements.bucket(firstRun)),
        bucket ->
            forEach(
                statements.selectRuns(
                    first.volume(), first.session(), bucket.getInt("bucket"), firstRun),
                run -> deleteFrom(first, run.getInt("run"), run.getInt("part"))));
  }

  private CompletionStage<Void> deleteFrom(SegmentRef first, int run, int part) {
    return requests
        .send(
            run == SegmentStatements.run(first.ordinal())
                ? statements.deleteFrom(first, part)
                : statements.deletePartition(first.volume(), first.session(), run, part))
        .thenApply(rows -> null);
  }

  /** Deletes the partitions of whole runs, then their names; repeating it goes on. */
  CompletionStage<Void> deleteRuns(VolumeId volume, int session, int firstRun, int lastRun) {
    forget(volume, session, firstRun, lastRun);
    CompletionStage<Void> all = CompletableFuture.completedStage(null);
    for (int bucket = SegmentStatements.bucket(firstRun);
        bucket <= SegmentStatements.bucket(lastRun);
        bucket++) {
      int own = bucket;
      all = all.thenCompose(done -> deleteRunsOf(volume, session, own, firstRun, lastRun));
    }
    return all;
  }

  private CompletionStage<Void> deleteRunsOf(
      VolumeId volume, int session, int bucket, int firstRun, int lastRun) {
    return forEach(
            statements.selectRunsBetween(volume, session, bucket, firstRun, lastRun),
            run ->
                requests
                    .send(
                        statements.deletePartition(
                            volume, session, run.getInt("run"), run.getInt("part")))
                    .thenApply(rows -> null))
        .thenCompose(
            done ->
                requests.send(
                    statements.deleteRunsBetween(volume, session, bucket, firstRun, lastRun)))
        .thenApply(rows -> null);
  }

  private void forget(VolumeId volume, int session, int firstRun, int lastRun) {
    synchronized (named) {
      named
          .keySet()
          .removeIf(
              key ->
                  key instanceof Partition p
                      && p.volume().equals(volume)
                      && p.session() == session
                      && p.run() >= firstRun
                      && p.run() <= lastRun);
    }
  }

  /** Deletes everything of a volume; when it is interrupted, repeating it goes on. */
  CompletionStage<Void> deleteVolume(VolumeId volume) {
    forget(volume);
    return forEach(
            statements.selectBuckets(volume),
            row -> deleteBucket(volume, row.getInt("session"), row.getInt("bucket")))
        .thenCompose(done -> requests.send(statements.deleteBuckets(volume)))
        .thenApply(rows -> null);
  }

  private CompletionStage<Void> deleteBucket(VolumeId volume, int session, int bucket) {
    return forEach(
            statements.selectRuns(volume, session, bucket, 0),
            run ->
                requests
                    .send(
                        statements.deletePartition(
                            volume, session, run.getInt("run"), run.getInt("part")))
                    .thenApply(rows -> null))
        .thenCompose(done -> requests.send(statements.deleteRuns(volume, session, bucket)))
        .thenApply(rows -> null);
  }

  private void forget(VolumeId volume) {
    synchronized (named) {
      named
          .keySet()
          .removeIf(
              key ->
                  key instanceof Partition partition && partition.volume().equals(volume)
                      || key instanceof Bucket bucket && bucket.volume().equals(volume));
    }
  }

  /** Runs an action on every row, a page at a time, the rows of a page at once. */
  private CompletionStage<Void> forEach(
      Statement<?> select, Function<Row, CompletionStage<Void>> action) {
    return requests.send(select).thenCompose(page -> forEachPage(page, action));
  }

  private CompletionStage<Void> forEachPage(
      AsyncResultSet page, Function<Row, CompletionStage<Void>> action) {
    List<CompletableFuture<Void>> actions = new ArrayList<>();
    for (Row row : page.currentPage()) {
      actions.add(action.apply(row).toCompletableFuture());
    }
    CompletionStage<Void> all = CompletableFuture.allOf(actions.toArray(CompletableFuture[]::new));
    return page.hasMorePages()
        ? all.thenCompose(done -> page.fetchNextPage())
            .thenCompose(next -> forEachPage(next, action))
        : all;
  }
}
