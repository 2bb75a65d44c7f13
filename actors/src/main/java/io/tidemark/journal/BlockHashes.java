package io.tidemark.journal;

import io.tidemark.index.MappedExtent;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;

/**
 * SHA-256 of each block of a range as of one recovery point; 32 zero bytes for a block that was
 * never written. Reads a bounded piece at a time.
 */
public final class BlockHashes {
  public static final int HASH_BYTES = 32;

  /** Content read at once, unless one block is larger. */
  private static final int PIECE_BYTES = 4 << 20;

  private final PointReader reader;
  private final ByteRange range;
  private final int blockBytes;
  private final Executor workers;
  private final int blocks;
  private final boolean[] written;
  private final byte[] hashes;

  private BlockHashes(PointReader reader, ByteRange range, int blockBytes, Executor workers) {
    this.reader = reader;
    this.range = range;
    this.blockBytes = blockBytes;
    this.workers = workers;
    this.blocks = (int) ((range.length() + blockBytes - 1) / blockBytes);
    this.written = new boolean[blocks];
    this.hashes = new byte[blocks * HASH_BYTES];
  }

  /**
   * Hashes a range.
   *
   * @param range a multiple of {@code blockBytes} long, but for the volume's end
   * @param workers where it is computed; never an actor's thread
   */
  public static CompletionStage<ByteBuffer> of(
      PointReader reader, ByteRange range, int blockBytes, Executor workers) {
    BlockHashes job = new BlockHashes(reader, range, blockBytes, workers);
    return reader
        .extents(range)
        .thenComposeAsync(job::hashFrom, workers)
        .thenApply(done -> ByteBuffer.wrap(job.hashes));
  }

  private CompletionStage<Void> hashFrom(List<MappedExtent> extents) {
    for (MappedExtent extent : extents) {
      int first = (int) ((extent.offset() - range.offset()) / blockBytes);
      int last = (int) ((extent.end() - 1 - range.offset()) / blockBytes);
      for (int block = first; block <= last; block++) {
        written[block] = true;
      }
    }
    return hashFrom(0);
  }

  /** Hashes the next run of written blocks, then the rest. */
  private CompletionStage<Void> hashFrom(int from) {
    int first = from;
    while (first < blocks && !written[first]) {
      first++;
    }
    if (first == blocks) {
      return CompletableFuture.completedStage(null);
    }
    int perPiece = Math.max(1, PIECE_BYTES / blockBytes);
    int end = first + 1;
    while (end < blocks && written[end] && end - first < perPiece) {
      end++;
    }
    int begin = first;
    int next = end;
    long offset = range.offset() + (long) begin * blockBytes;
    int length = (int) (Math.min(range.end(), range.offset() + (long) end * blockBytes) - offset);
    return reader
        .read(offset, length)
        .thenComposeAsync(
            content -> {
              digest(content, begin);
              return hashFrom(next);
            },
            workers);
  }

  private void digest(ByteBuffer content, int firstBlock) {
    MessageDigest sha = sha256();
    ByteBuffer rest = content.duplicate();
    for (int block = firstBlock; rest.hasRemaining(); block++) {
      int length = Math.min(blockBytes, rest.remaining());
      ByteBuffer one = rest.slice(rest.position(), length);
      sha.update(one);
      System.arraycopy(sha.digest(), 0, hashes, block * HASH_BYTES, HASH_BYTES);
      rest.position(rest.position() + length);
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
