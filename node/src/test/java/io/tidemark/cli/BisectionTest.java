package io.tidemark.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The search alone, against a plain model of what is good, bad, skipped and dark. */
class BisectionTest {
  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());
  private final Random random = new Random(seed);

  BisectionTest() {
    System.out.println("BisectionTest -Dtidemark.seed=" + seed);
  }

  /** Ten million writes take 24 tests at most, wherever the bad one is. */
  @Test
  void shouldFindTheWriteInLogarithmicallyManyTests() {
    for (int round = 0; round < 500; round++) {
      long count = 2 + random.nextInt(10_000_000);
      long firstBad = 1 + random.nextInt((int) count);
      Bisection search = new Bisection(0, count);
      int tests = 0;
      for (OptionalLong next = search.next(); next.isPresent(); next = search.next()) {
        tests++;
        if (next.getAsLong() < firstBad) {
          search.good(next.getAsLong());
        } else {
          search.bad(next.getAsLong());
        }
      }
      assertTrue(search.exact());
      assertEquals(firstBad, search.firstBad(), "seed " + seed);
      assertTrue(tests <= 24, tests + " tests, seed " + seed);
    }
  }

  /**
   * With skips and dark intervals the answer's ends are tested neighbours of everything that could
   * not be, and nothing testable is left between them unless the search gave up.
   */
  @Test
  void shouldAnswerWithTheIntervalThatCannotBeTested() {
    for (int round = 0; round < 2_000; round++) {
      int count = 2 + random.nextInt(200);
      int firstBad = 1 + random.nextInt(count);
      Set<Long> dark = new TreeSet<>();
      Set<Long> skips = new TreeSet<>();
      int from = 1 + random.nextInt(count);
      for (long seq = from; seq < Math.min(count, from + random.nextInt(30)); seq++) {
        dark.add(seq);
      }
      for (int i = random.nextInt(20); i > 0; i--) {
        skips.add((long) 1 + random.nextInt(count));
      }
      Bisection search = new Bisection(0, count);
      dark.forEach(seq -> search.exclude(seq, seq));
      Set<Long> tested = new TreeSet<>();
      for (OptionalLong next = search.next(); next.isPresent(); next = search.next()) {
        long seq = next.getAsLong();
        assertTrue(tested.add(seq), "tested twice: " + seq);
        assertFalse(dark.contains(seq), "dark: " + seq);
        if (skips.contains(seq)) {
          search.skip(seq);
        } else if (seq < firstBad) {
          search.good(seq);
        } else {
          search.bad(seq);
        }
      }
      assertTrue(search.lastGood() < firstBad && firstBad <= search.firstBad(), "seed " + seed);
      for (long seq = search.lastGood() + 1; seq < search.firstBad(); seq++) {
        assertTrue(dark.contains(seq) || skips.contains(seq), seq + " was left, seed " + seed);
      }
    }
  }

  /** What can never be tested is given up after a bounded number of tries. */
  @Test
  void shouldGiveUpWhereNothingCanBeTested() {
    Bisection search = new Bisection(0, 10_000_000);
    int tests = 0;
    for (OptionalLong next = search.next(); next.isPresent(); next = search.next()) {
      search.skip(next.getAsLong());
      tests++;
    }
    assertEquals(Bisection.SKIPS_IN_A_ROW_MAX + 1, tests);
    assertFalse(search.exact());
    assertEquals(tests, search.skipped());
  }
}
