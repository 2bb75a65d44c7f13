package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import io.tidemark.index.IndexStore;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ForkJoinPool;

/** Index nodes in the table {@code index_block}: a partition holds 128 blocks of one node. */
public final class CassandraIndexStore implements IndexStore {
  /** Blocks in one partition: at most 32 MiB, since a block takes 256 KiB at most. */
  private static final int PART_BLOCKS = 128;

  private final Requests requests;
  private final PreparedStatement insert;
  private final PreparedStatement select;
  private final PreparedStatement selectCarefully;
  private final PreparedStatement selectPart;
  private final PreparedStatement delete;

  /** Prepares its statements; blocks. The schema must exist; the session stays the caller's. */
  public CassandraIndexStore(CqlSession session, CassandraSettings settings) {
    this.requests = new Requests(session, settings.writeDeadline(), ForkJoinPool.commonPool());
    String table = settings.keyspace() + ".index_block";
    this.insert =
        prepare(
            session,
            CassandraSessions.WRITES,
            "INSERT INTO " + table + " (volume, node, part, block, data) VALUES (?, ?, ?, ?, ?)");
    String part = " WHERE volume = ? AND node = ? AND part = ?";
    String query = "SELECT data FROM " + table + part + " AND block = ?";
    this.select = prepare(session, CassandraSessions.READS, query);
    // The two must differ in text: the driver keeps one prepared statement per text.
    this.selectCarefully = prepare(session, CassandraSessions.CAREFUL_READS, query + " LIMIT 1");
    this.delete = prepare(session, CassandraSessions.WRITES, "DELETE FROM " + table + part);
    this.selectPart =
        prepare(
            session,
            CassandraSessions.CAREFUL_READS,
            "SELECT block FROM " + table + part + " LIMIT 1");
  }

  private static PreparedStatement prepare(CqlSession session, String profile, String query) {
    return session.prepare(
        SimpleStatement.newInstance(query).setExecutionProfileName(profile).setIdempotent(true));
  }

  @Override
  public CompletionStage<Void> putBlock(VolumeId volume, long nodeId, int block, byte[] data) {
    return requests
        .send(insert.bind(volume.value(), nodeId, part(block), block, ByteBuffer.wrap(data)))
        .thenApply(rows -> null);
  }

  @Override
  public CompletionStage<byte[]> readBlock(VolumeId volume, long nodeId, int block) {
    return requests
        .send(select.bind(volume.value(), nodeId, part(block), block))
        .thenCompose(
            rows -> {
              Row row = rows.one();
              return row == null
                  ? readCarefully(volume, nodeId, block)
                  : CompletableFuture.completedStage(bytes(row));
            });
  }

  private CompletionStage<byte[]> readCarefully(VolumeId volume, long nodeId, int block) {
    return requests
        .send(selectCarefully.bind(volume.value(), nodeId, part(block), block))
        .thenApply(rows -> require(rows, volume, nodeId, block));
  }

  private static byte[] require(AsyncResultSet rows, VolumeId volume, long nodeId, int block) {
    Row row = rows.one();
    if (row == null) {
      throw new Refusal(
          ErrorCode.CORRUPT,
          "block %d of index node %d of volume %s is missing".formatted(block, nodeId, volume));
    }
    return bytes(row);
  }

  private static byte[] bytes(Row row) {
    ByteBuffer data = row.getByteBuffer(0);
    byte[] bytes = new byte[data == null ? 0 : data.remaining()];
    if (data != null) {
      data.get(bytes);
    }
    return bytes;
  }

  @Override
  public CompletionStage<Void> deleteNode(VolumeId volume, long nodeId) {
    return deleteParts(volume, nodeId, 0);
  }

  /** Part after part, until there is none: a node's blocks are written without a hole. */
  private CompletionStage<Void> deleteParts(VolumeId volume, long nodeId, int part) {
    return requests
        .send(selectPart.bind(volume.value(), nodeId, part))
        .thenCompose(
            rows ->
                rows.one() == null
                    ? CompletableFuture.<Void>completedStage(null)
                    : requests
                        .send(delete.bind(volume.value(), nodeId, part))
                        .thenCompose(done -> deleteParts(volume, nodeId, part + 1)));
  }

  private static int part(int block) {
    return block / PART_BLOCKS;
  }
}
