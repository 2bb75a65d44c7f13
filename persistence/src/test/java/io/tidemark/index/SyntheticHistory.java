package io.tidemark.index;

import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A history of any length that takes no memory: segment {@code i} is event {@code i}, made anew
 * from its number each time it is read. Write {@code n} has the timestamp {@code 1000 * n}.
 */
public final class SyntheticHistory implements SegmentHistory {
  public static final int BLOCK_BYTES = 4096;
  public static final int CHUNK_BYTES = 64 << 10;

  public final VolumeId volume = VolumeId.random();
  public final AtomicLong calls = new AtomicLong();
  public final AtomicLong segmentsRead = new AtomicLong();
  private final long seed;
  private final int segmentWrites;
  private final long blocks;

  /**
   * @param blocks the writes go to random blocks of so many
   */
  public SyntheticHistory(long seed, int segmentWrites, long blocks) {
    this.seed = seed;
    this.segmentWrites = segmentWrites;
    this.blocks = blocks;
  }

  public SegmentEntry segment(long number) {
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(
            SegmentKind.LIVE, new WriteSeq((number - 1) * segmentWrites + 1), CHUNK_BYTES);
    Random random = new Random(seed * 31 + number);
    for (int i = 0; i < segmentWrites; i++) {
      long seq = (number - 1) * segmentWrites + 1 + i;
      builder.add(1000 * seq, random.nextLong(blocks) * BLOCK_BYTES, BLOCK_BYTES, false);
    }
    return new SegmentEntry(TestHistory.build(builder, CHUNK_BYTES), 1L << 32 | number, number);
  }

  @Override
  public CompletionStage<List<SegmentEntry>> segments(long fromEventNr, long toEventNr) {
    calls.incrementAndGet();
    List<SegmentEntry> found = new ArrayList<>();
    for (long nr = fromEventNr; nr <= toEventNr; nr++) {
      found.add(segment(nr));
    }
    segmentsRead.addAndGet(found.size());
    return CompletableFuture.completedFuture(found);
  }
}
