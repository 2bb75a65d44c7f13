package io.tidemark.segment;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** The data side of the journal: chunks of segments, written once and deleted by whole runs. */
public interface SegmentStore {
  /**
   * Compresses and stores the data of one segment; completes when every chunk is durable at the
   * configured consistency level (S3).
   *
   * @param data the concatenated data of the segment's non-zero writes, {@code meta.dataBytes()}
   *     bytes in any number of pieces; read only until the stage completes
   * @return bytes stored after compression; fails with {@code Refusal(CORRUPT)} when the data does
   *     not match the checksums of {@code meta}, with {@code Refusal(NOT_ACKNOWLEDGED)} when the
   *     store did not answer
   */
  CompletionStage<Long> store(SegmentRef ref, SegmentMeta meta, List<ByteBuffer> data);

  /**
   * One chunk, decompressed and verified (S1).
   *
   * @param chunk ordinal from 0; chunk {@code i} holds data bytes {@code [i * chunkBytes, ...)}
   * @return a read-only heap buffer; fails with {@code Refusal(CORRUPT)} when missing or damaged
   */
  CompletionStage<ByteBuffer> readChunk(SegmentRef ref, int chunk);

  /** Deletes what a broken session left: segments of {@code session} from {@code ordinal} on. */
  CompletionStage<Void> deleteOrphans(SegmentRef firstOrphan);

  /**
   * Deletes whole runs of a session, which nothing refers to any more; repeating is safe.
   *
   * @param firstRun see {@link SegmentRef#run}
   * @param lastRun inclusive
   */
  CompletionStage<Void> deleteRuns(
      io.tidemark.position.VolumeId volume, int session, int firstRun, int lastRun);

  /** Deletes the data of a whole volume. */
  CompletionStage<Void> deleteVolume(io.tidemark.position.VolumeId volume, int lastSession);
}
