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

/** Index nodes in the table {@code index_block}, a partition a node. */
public final class CassandraIndexStore implements IndexStore {
  private final Requests requests;
  private final PreparedStatement insert;
  private final PreparedStatement select;
  private final PreparedStatement selectCarefully;
  private final PreparedStatement delete;

  /** Prepares its statements; blocks. The schema must exist; the session stays the caller's. */
  public CassandraIndexStore(CqlSession session, CassandraSettings settings) {
    this.requests = new Requests(session, settings.writeDeadline(), ForkJoinPool.commonPool());
    String table = settings.keyspace() + ".index_block";
    this.insert =
        prepare(
            session,
            CassandraSessions.WRITES,
            "INSERT INTO " + table + " (volume, node, block, data) VALUES (?, ?, ?, ?)");
    String query = "SELECT data FROM " + table + " WHERE volume = ? AND node = ? AND block = ?";
    this.select = prepare(session, CassandraSessions.READS, query);
    // The two must differ in text: the driver keeps one prepared statement per text.
    this.selectCarefully = prepare(session, CassandraSessions.CAREFUL_READS, query + " LIMIT 1");
    this.delete =
        prepare(
            session,
            CassandraSessions.WRITES,
            "DELETE FROM " + table + " WHERE volume = ? AND node = ?");
  }

  private static PreparedStatement prepare(CqlSession session, String profile, String query) {
    return session.prepare(
        SimpleStatement.newInstance(query).setExecutionProfileName(profile).setIdempotent(true));
  }

  @Override
  public CompletionStage<Void> putBlock(VolumeId volume, long nodeId, int block, byte[] data) {
    return requests
        .send(insert.bind(volume.value(), nodeId, block, ByteBuffer.wrap(data)))
        .thenApply(rows -> null);
  }

  @Override
  public CompletionStage<byte[]> readBlock(VolumeId volume, long nodeId, int block) {
    return requests
        .send(select.bind(volume.value(), nodeId, block))
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
        .send(selectCarefully.bind(volume.value(), nodeId, block))
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
    return requests.send(delete.bind(volume.value(), nodeId)).thenApply(rows -> null);
  }
}
