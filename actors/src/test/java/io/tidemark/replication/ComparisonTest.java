package io.tidemark.replication;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import io.tidemark.index.MappedExtent;
import io.tidemark.index.TestSeed;
import io.tidemark.journal.BlockHashes;
import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What differs between two sites, found with few questions over a line with a long way. */
class ComparisonTest {
  private static final int BLOCK_BYTES = 4096;
  private static final int VOLUME_BYTES = 96 << 20;

  private final Random random = new Random(TestSeed.next("ComparisonTest"));

  /** Content in memory, all of it written. */
  private record Content(byte[] bytes) implements PointReader {
    @Override
    public RecoveryPoint point() {
      throw new UnsupportedOperationException("not asked for");
    }

    @Override
    public long sizeBytes() {
      return bytes.length;
    }

    @Override
    public CompletionStage<ByteBuffer> read(long offset, int length) {
      return CompletableFuture.completedStage(
          ByteBuffer.wrap(bytes, (int) offset, length).slice().asReadOnlyBuffer());
    }

    @Override
    public CompletionStage<List<MappedExtent>> extents(ByteRange range) {
      return CompletableFuture.completedStage(
          List.of(new MappedExtent(range.offset(), range.length(), 1, 1, range.offset())));
    }

    @Override
    public CompletionStage<Changes> changedAfter(WriteSeq seq, ByteRange within, int rangesMax) {
      throw new UnsupportedOperationException("not asked for");
    }
  }

  /** A fifth of the blocks of the first half, scattered, and the last block of all. */
  @Test
  void shouldFindScatteredBlocksWithFewQuestions() throws Exception {
    byte[] here = new byte[VOLUME_BYTES];
    random.nextBytes(here);
    byte[] there = here.clone();
    BitSet changed = new BitSet();
    for (int i = 0; i < VOLUME_BYTES / BLOCK_BYTES / 8; i++) {
      int block = random.nextInt(VOLUME_BYTES / BLOCK_BYTES / 2);
      changed.set(block);
      there[block * BLOCK_BYTES + random.nextInt(BLOCK_BYTES)] ^= 1;
    }
    changed.set(VOLUME_BYTES / BLOCK_BYTES - 1);
    there[VOLUME_BYTES - 1] = (byte) ~here[VOLUME_BYTES - 1];
    AtomicInteger questions = new AtomicInteger();
    AtomicInteger open = new AtomicInteger();
    AtomicInteger mostOpen = new AtomicInteger();
    ActorTestKit kit = ActorTestKit.create();
    try {
      var workers = kit.system().executionContext();
      Comparison.Target target =
          (range, block) -> {
            questions.incrementAndGet();
            mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
            return BlockHashes.of(new Content(there), range, block, workers)
                .whenComplete((hashes, failed) -> open.decrementAndGet());
          };
      List<ByteRange> found =
          new Comparison(kit.system(), new Content(here), target, workers)
              .run()
              .toCompletableFuture()
              .get(100, TimeUnit.SECONDS);
      BitSet differing = new BitSet();
      for (ByteRange range : found) {
        differing.set((int) (range.offset() / BLOCK_BYTES), (int) (range.end() / BLOCK_BYTES));
      }
      // A block whose changed bytes were changed back is equal again.
      for (int block = changed.nextSetBit(0); block >= 0; block = changed.nextSetBit(block + 1)) {
        int from = block * BLOCK_BYTES;
        if (Arrays.equals(here, from, from + BLOCK_BYTES, there, from, from + BLOCK_BYTES)) {
          changed.clear(block);
        }
      }
      assertEquals(changed, differing);
      assertTrue(questions.get() <= 40, questions + " questions");
      assertTrue(mostOpen.get() <= 8, mostOpen + " open at once");
    } finally {
      kit.shutdownTestKit();
    }
  }
}
