package io.tidemark.journal;

import io.tidemark.index.MappedExtent;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;

/**
 * How a range of the journal's content begins.
 *
 * @param length bytes, 1 or more; less than was asked for when it goes on otherwise
 * @param bytes as many, or none when they are all zeroes
 */
public record ContentRun(long length, ByteBuffer bytes) {
  /** A range that is asked for at once. */
  public static final long RANGE_BYTES_MAX = 16L << 20;

  /** Content in one answer. */
  public static final int BYTES_MAX = 1 << 20;

  /** A run of content begins at a multiple of it from the start of the range. */
  private static final int STEP_BYTES = 64 << 10;

  public ContentRun {
    if (length < 1
        || length > RANGE_BYTES_MAX
        || bytes.remaining() > BYTES_MAX
        || (bytes.hasRemaining() && bytes.remaining() != length)) {
      throw new IllegalArgumentException(
          bytes.remaining() + " bytes are no run of " + length + " bytes of content");
    }
  }

  /** Nothing but zeroes. */
  public static ContentRun zeroes(long length) {
    return new ContentRun(length, ByteBuffer.allocate(0));
  }

  /** Whether it is all zeroes. */
  public boolean zero() {
    return !bytes.hasRemaining();
  }

  /**
   * Reads the start of a range.
   *
   * @param workers where it is looked through; never an actor's thread
   */
  static CompletionStage<ContentRun> of(PointReader reader, ByteRange range, Executor workers) {
    return reader
        .extents(range)
        .thenComposeAsync(extents -> begin(reader, range, extents, workers), workers);
  }

  private static CompletionStage<ContentRun> begin(
      PointReader reader, ByteRange range, List<MappedExtent> extents, Executor workers) {
    if (extents.isEmpty()) {
      return CompletableFuture.completedStage(zeroes(range.length()));
    }
    long ahead = extents.get(0).offset() - range.offset();
    long zeroes = ahead / STEP_BYTES * STEP_BYTES;
    if (zeroes > 0) {
      return CompletableFuture.completedStage(zeroes(zeroes));
    }
    long end = range.offset();
    for (MappedExtent extent : extents) {
      if (extent.offset() - end >= STEP_BYTES) {
        break;
      }
      end = extent.end();
    }
    long steps = (end - range.offset() + STEP_BYTES - 1) / STEP_BYTES;
    int length = (int) Math.min(Math.min(BYTES_MAX, range.length()), steps * STEP_BYTES);
    return reader.read(range.offset(), length).thenApplyAsync(ContentRun::ofBytes, workers);
  }

  private static ContentRun ofBytes(ByteBuffer bytes) {
    ByteBuffer zeroes = ByteBuffer.allocate(bytes.remaining());
    return bytes.equals(zeroes)
        ? zeroes(bytes.remaining())
        : new ContentRun(bytes.remaining(), bytes);
  }
}
