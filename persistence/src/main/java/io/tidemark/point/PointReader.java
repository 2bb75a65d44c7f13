package io.tidemark.point;

import io.tidemark.index.MappedExtent;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** The bytes of a volume as of one recovery point; immutable, usable by any number of threads. */
public interface PointReader {
  RecoveryPoint point();

  long sizeBytes();

  /**
   * The content of {@code [offset, offset + length)}, which must lie inside the volume ({@code
   * INVALID} otherwise).
   *
   * @return a read-only buffer of {@code length} bytes; fails with {@code CORRUPT} rather than
   *     serve a byte that fails its checksum
   */
  CompletionStage<ByteBuffer> read(long offset, int length);

  /**
   * Where the content of the range is: disjoint, in offset order, clipped to the range; what is
   * missing was never written and reads back as zeroes.
   */
  CompletionStage<List<MappedExtent>> extents(ByteRange range);

  /**
   * The ranges inside {@code within} that were written after {@code seq} and up to this point, also
   * those whose content is the same as before: what may differ from the earlier point of that seq.
   * Found in the index alone, whatever was written in between.
   *
   * @param rangesMax ranges in the answer at most, 1 or more; it says where to go on
   */
  CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax);
}
