package io.tidemark.backing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.position.ByteRange;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class RangeLocksTest {
  /** Unsynchronised counters, one for each 256 KiB: a lost update shows a broken lock. */
  @Test
  void shouldExcludeOverlappingRanges() throws Exception {
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("RangeLocksTest seed " + seed);
    RangeLocks locks = new RangeLocks();
    int regions = 3000; // more than there are stripes
    int[] counters = new int[regions];
    int[][] expected = new int[4][regions];
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<?>> done = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      Random random = new Random(seed + t);
      int[] mine = expected[t];
      done.add(
          threads.submit(
              () -> {
                for (int i = 0; i < 20_000; i++) {
                  int length = random.nextInt(50) == 0 ? 1 + random.nextInt(1500) : 1;
                  int from = random.nextInt(length > 1 ? regions - length : 8);
                  ByteRange range =
                      new ByteRange(((long) from << 18) + 5, ((long) length << 18) - 10);
                  locks.lock(range);
                  try {
                    for (int r = from; r < from + length; r++) {
                      counters[r]++;
                      mine[r]++;
                    }
                  } finally {
                    locks.unlock(range);
                  }
                }
              }));
    }
    for (Future<?> one : done) {
      one.get(60, TimeUnit.SECONDS);
    }
    threads.shutdown();
    assertTrue(threads.awaitTermination(10, TimeUnit.SECONDS));
    for (int r = 0; r < regions; r++) {
      assertEquals(expected[0][r] + expected[1][r] + expected[2][r] + expected[3][r], counters[r]);
    }
  }
}
