package io.tidemark.files;

import io.tidemark.imageserver.LiveContent;
import io.tidemark.index.MappedExtent;
import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** An image's content as the base of a view. */
record LiveReader(RecoveryPoint point, LiveContent content) implements PointReader {
  @Override
  public long sizeBytes() {
    return content.sizeBytes();
  }

  @Override
  public CompletionStage<ByteBuffer> read(long offset, int length) {
    return content.read(offset, length);
  }

  /** All of it may be data: where an image has holes is not asked. */
  @Override
  public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
    return CompletableFuture.completedStage(
        List.of(
            new MappedExtent(
                range.offset(), range.length(), point.seq().value(), 0, range.offset())));
  }

  /** All of it may have changed: what an image's clients wrote has no seq. */
  @Override
  public CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax) {
    return CompletableFuture.completedStage(new Changes(List.of(within), within.end()));
  }
}
