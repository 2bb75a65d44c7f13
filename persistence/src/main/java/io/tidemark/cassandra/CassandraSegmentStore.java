package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.Statement;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.ChunkCodec;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Chunks of segments in the table {@code segment_chunk}. Compression and checksums run on threads
 * of its own, requests on the driver's; no caller is ever blocked.
 */
public final class CassandraSegmentStore implements SegmentStore, AutoCloseable {
  private final SegmentStatements statements;
  private final SegmentPartitions partitions;
  private final ChunkCodec.Compression compression;
  private final ExecutorService codecs;
  private final Requests requests;
  private final InFlight writes;
  private final InFlight reads;

  /**
   * Prepares its statements; blocks. The schema must exist; the session stays the caller's.
   *
   * @param codecThreads threads that compress and check; the number of cores is a good choice
   */
  public CassandraSegmentStore(CqlSession session, CassandraSettings settings, int codecThreads) {
    AtomicInteger number = new AtomicInteger();
    this.codecs =
        new ThreadPoolExecutor(
            codecThreads,
            codecThreads,
            0,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "chunk-codec-" + number.incrementAndGet());
              thread.setDaemon(true);
              return thread;
            },
            // Only after close: what is still in flight is told so by whoever finds out.
            (task, pool) -> task.run());
    this.statements = new SegmentStatements(session, settings.keyspace());
    this.requests = new Requests(session, settings.writeDeadline(), codecs);
    this.partitions = new SegmentPartitions(statements, requests);
    this.compression = settings.compression();
    this.writes = new InFlight(settings.chunksInFlight(), codecs);
    this.reads = new InFlight(settings.readsInFlight(), codecs);
  }

  /** Ends its threads; what is in flight fails. */
  @Override
  public void close() {
    codecs.shutdown();
  }

  @Override
  public CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
    if (meta.chunkBytes() > ChunkCodec.CHUNK_BYTES_MAX) {
      return CompletableFuture.failedFuture(
          new Refusal(
              ErrorCode.LIMIT,
              "chunks of %d bytes exceed the limit of %d"
                  .formatted(meta.chunkBytes(), ChunkCodec.CHUNK_BYTES_MAX)));
    }
    long bytes = 0;
    for (ByteBuffer piece : data) {
      bytes += piece.remaining();
    }
    if (bytes != meta.dataBytes()) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.CORRUPT, "%s came with %d bytes of data".formatted(meta, bytes)));
    }
    if (meta.chunkCount() == 0) {
      return CompletableFuture.completedFuture(0L);
    }
    return partitions
        .ensure(ref, meta.chunkCount())
        .thenCompose(named -> new Storing(ref, meta, data).start());
  }

  /** The chunks of one segment on their way; completes when none of them is in flight any more. */
  private final class Storing {
    private final SegmentRef ref;
    private final SegmentMeta meta;
    private final List<ByteBuffer> data;
    private final CompletableFuture<Long> stored = new CompletableFuture<>();
    private int unfinished;
    private long storedBytes;
    private Throwable failure;

    private Storing(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data) {
      this.ref = ref;
      this.meta = meta;
      this.data = data;
      this.unfinished = meta.chunkCount();
    }

    private CompletionStage<Long> start() {
      PieceCursor cursor = new PieceCursor(data);
      for (int i = 0; i < meta.chunkCount(); i++) {
        int chunk = i;
        ByteBuffer[] pieces = cursor.next(meta.chunkLength(i));
        writes.acquire(() -> write(chunk, pieces));
      }
      return stored;
    }

    private void write(int chunk, ByteBuffer[] pieces) {
      if (failed()) {
        finish(0, null);
        return;
      }
      try {
        ByteBuffer row = ChunkCodec.encode(ref, chunk, pieces, meta.chunkCrc(chunk), compression);
        int bytes = row.remaining();
        requests
            .send(statements.insertChunk(ref, chunk, row))
            .whenComplete((rows, refusal) -> finish(bytes, refusal));
      } catch (RuntimeException e) {
        finish(0, e);
      }
    }

    private synchronized boolean failed() {
      return failure != null;
    }

    private void finish(int bytes, Throwable refusalOrNull) {
      writes.release();
      boolean last;
      synchronized (this) {
        storedBytes += bytes;
        if (failure == null && refusalOrNull != null) {
          failure = refusalOrNull;
        }
        last = --unfinished == 0;
      }
      if (last) {
        if (failure == null) {
          stored.complete(storedBytes);
        } else {
          stored.completeExceptionally(failure);
        }
      }
    }
  }

  @Override
  public CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk) {
    CompletableFuture<ByteBuffer> result = new CompletableFuture<>();
    reads.acquire(
        () ->
            read(statements.selectChunk(ref, chunk), ref, chunk)
                .exceptionallyCompose(
                    failure ->
                        readAgain(statements.selectChunkCarefully(ref, chunk), ref, chunk, failure))
                .whenComplete(
                    (data, failure) -> {
                      reads.release();
                      if (failure == null) {
                        result.complete(data);
                      } else {
                        result.completeExceptionally(Failures.cause(failure));
                      }
                    }));
    return result;
  }

  /** What one replica lacks or has damaged, the others may have. */
  private CompletionStage<ByteBuffer> readAgain(
      Statement<?> careful, SegmentRef ref, int chunk, Throwable failure) {
    return Failures.cause(failure) instanceof Refusal refusal && refusal.code() == ErrorCode.CORRUPT
        ? read(careful, ref, chunk)
        : CompletableFuture.failedStage(failure);
  }

  private CompletionStage<ByteBuffer> read(Statement<?> select, SegmentRef ref, int chunk) {
    return requests.send(select).thenApply(rows -> decode(rows, ref, chunk));
  }

  private static ByteBuffer decode(AsyncResultSet rows, SegmentRef ref, int chunk) {
    Row row = rows.one();
    ByteBuffer data = row == null ? null : row.getByteBuffer(0);
    if (data == null) {
      throw new Refusal(
          ErrorCode.CORRUPT,
          "chunk %d of segment %d/%d of volume %s is missing"
              .formatted(
                  chunk, ref.session(), Integer.toUnsignedLong(ref.ordinal()), ref.volume()));
    }
    return ChunkCodec.decode(ref, chunk, data);
  }

  @Override
  public CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan) {
    return partitions.deleteOrphans(firstOrphan);
  }

  @Override
  public CompletionStage<Void> deleteRuns(VolumeId volume, int session, int firstRun, int lastRun) {
    return partitions.deleteRuns(volume, session, firstRun, lastRun);
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeId volume, int lastSession) {
    return partitions.deleteVolume(volume);
  }

  /** Cuts a list of buffers into runs of bytes, without copying. */
  private static final class PieceCursor {
    private final List<ByteBuffer> data;
    private int index;
    private int consumed;

    private PieceCursor(List<ByteBuffer> data) {
      this.data = data;
    }

    private ByteBuffer[] next(int length) {
      List<ByteBuffer> pieces = new ArrayList<>(2);
      int rest = length;
      while (rest > 0) {
        ByteBuffer piece = data.get(index);
        int size = Math.min(rest, piece.remaining() - consumed);
        pieces.add(piece.slice(piece.position() + consumed, size));
        consumed += size;
        rest -= size;
        if (consumed == piece.remaining()) {
          index++;
          consumed = 0;
        }
      }
      return pieces.toArray(ByteBuffer[]::new);
    }
  }
}
