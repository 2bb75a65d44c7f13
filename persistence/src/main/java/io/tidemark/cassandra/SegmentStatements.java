package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.cql.Statement;
import io.tidemark.position.VolumeId;
import io.tidemark.segment.SegmentRef;
import java.nio.ByteBuffer;

/** The statements of the segment store, and the arithmetic of its partitions (K2). */
final class SegmentStatements {
  /** Segments whose chunks share partitions. */
  static final int RUN_SEGMENTS = SegmentRef.RUN_SEGMENTS;

  /** Chunks of one segment in one partition. */
  static final int PART_CHUNKS = 32;

  /** Runs that share a partition of segment_run. */
  static final int BUCKET_RUNS = 4096;

  private static final int PAGE_ROWS = 128;

  private final PreparedStatement insertChunk;
  private final PreparedStatement selectChunk;
  private final PreparedStatement selectChunkCarefully;
  private final PreparedStatement deletePartition;
  private final PreparedStatement deleteFrom;
  private final PreparedStatement insertRun;
  private final PreparedStatement selectRuns;
  private final PreparedStatement selectRunsBetween;
  private final PreparedStatement deleteRuns;
  private final PreparedStatement deleteRunsBetween;
  private final PreparedStatement insertBucket;
  private final PreparedStatement selectBuckets;
  private final PreparedStatement selectBucketsFrom;
  private final PreparedStatement deleteBuckets;

  SegmentStatements(CqlSession session, String keyspace) {
    String chunk = keyspace + ".segment_chunk";
    String run = keyspace + ".segment_run";
    String bucket = keyspace + ".segment_bucket";
    String partition = " WHERE volume = ? AND session = ? AND run = ? AND part = ?";
    String row = partition + " AND ordinal = ? AND chunk = ?";
    insertChunk =
        write(
            session,
            "INSERT INTO "
                + chunk
                + " (volume, session, run, part, ordinal, chunk, data) VALUES (?, ?, ?, ?, ?, ?, ?)");
    selectChunk = prepare(session, CassandraSessions.READS, "SELECT data FROM " + chunk + row);
    // The two must differ in text: the driver keeps one prepared statement per text.
    selectChunkCarefully =
        prepare(
            session,
            CassandraSessions.CAREFUL_READS,
            "SELECT data FROM " + chunk + row + " LIMIT 1");
    deletePartition = write(session, "DELETE FROM " + chunk + partition);
    deleteFrom = write(session, "DELETE FROM " + chunk + partition + " AND ordinal >= ?");
    insertRun =
        write(
            session,
            "INSERT INTO " + run + " (volume, session, bucket, run, part) VALUES (?, ?, ?, ?, ?)");
    selectRuns =
        careful(
            session,
            "SELECT run, part FROM "
                + run
                + " WHERE volume = ? AND session = ? AND bucket = ? AND run >= ?");
    String between =
        run + " WHERE volume = ? AND session = ? AND bucket = ? AND run >= ? AND run <= ?";
    selectRunsBetween = careful(session, "SELECT run, part FROM " + between);
    deleteRunsBetween = write(session, "DELETE FROM " + between);
    deleteRuns =
        write(session, "DELETE FROM " + run + " WHERE volume = ? AND session = ? AND bucket = ?");
    insertBucket =
        write(session, "INSERT INTO " + bucket + " (volume, session, bucket) VALUES (?, ?, ?)");
    selectBuckets = careful(session, "SELECT session, bucket FROM " + bucket + " WHERE volume = ?");
    selectBucketsFrom =
        careful(
            session,
            "SELECT session, bucket FROM "
                + bucket
                + " WHERE volume = ? AND session = ? AND bucket >= ?");
    deleteBuckets = write(session, "DELETE FROM " + bucket + " WHERE volume = ?");
  }

  private static PreparedStatement write(CqlSession session, String query) {
    return prepare(session, CassandraSessions.WRITES, query);
  }

  private static PreparedStatement careful(CqlSession session, String query) {
    return prepare(session, CassandraSessions.CAREFUL_READS, query);
  }

  private static PreparedStatement prepare(CqlSession session, String profile, String query) {
    return session.prepare(
        SimpleStatement.newInstance(query).setExecutionProfileName(profile).setIdempotent(true));
  }

  static int run(int ordinal) {
    return Integer.divideUnsigned(ordinal, RUN_SEGMENTS);
  }

  static int part(int chunk) {
    return chunk / PART_CHUNKS;
  }

  static int bucket(int run) {
    return run / BUCKET_RUNS;
  }

  Statement<?> insertChunk(SegmentRef ref, int chunk, ByteBuffer row) {
    return insertChunk.bind(
        ref.volume().value(),
        ref.session(),
        run(ref.ordinal()),
        part(chunk),
        ref.ordinal(),
        chunk,
        row);
  }

  Statement<?> selectChunk(SegmentRef ref, int chunk) {
    return bindRow(selectChunk, ref, chunk);
  }

  Statement<?> selectChunkCarefully(SegmentRef ref, int chunk) {
    return bindRow(selectChunkCarefully, ref, chunk);
  }

  private static Statement<?> bindRow(PreparedStatement statement, SegmentRef ref, int chunk) {
    return statement.bind(
        ref.volume().value(), ref.session(), run(ref.ordinal()), part(chunk), ref.ordinal(), chunk);
  }

  Statement<?> deletePartition(VolumeId volume, int session, int run, int part) {
    return deletePartition.bind(volume.value(), session, run, part);
  }

  /** Deletes the segments of a partition from an ordinal on. */
  Statement<?> deleteFrom(SegmentRef ref, int part) {
    return deleteFrom.bind(
        ref.volume().value(), ref.session(), run(ref.ordinal()), part, ref.ordinal());
  }

  Statement<?> insertRun(VolumeId volume, int session, int run, int part) {
    return insertRun.bind(volume.value(), session, bucket(run), run, part);
  }

  Statement<?> selectRuns(VolumeId volume, int session, int bucket, int firstRun) {
    return selectRuns.bind(volume.value(), session, bucket, firstRun).setPageSize(PAGE_ROWS);
  }

  Statement<?> selectRunsBetween(
      VolumeId volume, int session, int bucket, int firstRun, int lastRun) {
    return selectRunsBetween
        .bind(volume.value(), session, bucket, firstRun, lastRun)
        .setPageSize(PAGE_ROWS);
  }

  /** One range tombstone, whatever the number of runs. */
  Statement<?> deleteRunsBetween(
      VolumeId volume, int session, int bucket, int firstRun, int lastRun) {
    return deleteRunsBetween.bind(volume.value(), session, bucket, firstRun, lastRun);
  }

  Statement<?> deleteRuns(VolumeId volume, int session, int bucket) {
    return deleteRuns.bind(volume.value(), session, bucket);
  }

  Statement<?> insertBucket(VolumeId volume, int session, int bucket) {
    return insertBucket.bind(volume.value(), session, bucket);
  }

  Statement<?> selectBuckets(VolumeId volume) {
    return selectBuckets.bind(volume.value()).setPageSize(PAGE_ROWS);
  }

  Statement<?> selectBucketsFrom(VolumeId volume, int session, int firstBucket) {
    return selectBucketsFrom.bind(volume.value(), session, firstBucket).setPageSize(PAGE_ROWS);
  }

  Statement<?> deleteBuckets(VolumeId volume) {
    return deleteBuckets.bind(volume.value());
  }
}
