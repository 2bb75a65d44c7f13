package io.tidemark.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * The search for the write that turned good into bad: which seq to test next, and what is known so
 * far. It assumes nothing of the seqs that were not tested but that one of them, next to a good
 * one, is bad; the two ends of the answer were always tested themselves.
 */
final class Bisection {
  /** Seqs that cannot be tested one after the other before the search gives up. */
  static final int SKIPS_IN_A_ROW_MAX = 64;

  /** Seqs from {@code first} to {@code last}, both included. */
  record Span(long first, long last) {
    long count() {
      return last - first + 1;
    }
  }

  private final List<Span> candidates = new ArrayList<>();
  private long lastGood;
  private long firstBad;
  private long skipped;
  private int skipsInARow;

  /**
   * @param good a seq that was tested and is good
   * @param bad a later one that was tested and is bad
   */
  Bisection(long good, long bad) {
    if (good >= bad) {
      throw new IllegalArgumentException("good " + good + " is not before bad " + bad);
    }
    this.lastGood = good;
    this.firstBad = bad;
    if (bad - good > 1) {
      candidates.add(new Span(good + 1, bad - 1));
    }
  }

  long lastGood() {
    return lastGood;
  }

  long firstBad() {
    return firstBad;
  }

  /** Whether the two are neighbours, so that nothing is left to know. */
  boolean exact() {
    return firstBad - lastGood == 1;
  }

  /** Seqs between the two that may still be tested. */
  long open() {
    return candidates.stream().mapToLong(Span::count).sum();
  }

  /** Tests to go when none has to be skipped. */
  int stepsLeft() {
    return Long.SIZE - Long.numberOfLeadingZeros(open());
  }

  /** Tests that were skipped between the two. */
  long skipped() {
    return skipped;
  }

  /** What to test next; empty when nothing is left or too much had to be skipped in a row. */
  OptionalLong next() {
    long open = open();
    if (open == 0 || skipsInARow > SKIPS_IN_A_ROW_MAX) {
      return OptionalLong.empty();
    }
    // After a skip it tries 1/4, 3/4, 1/8, ... so as to leave a region that cannot be tested.
    double part = vanDerCorput(skipsInARow + 1);
    long index = Math.min(open - 1, (long) (part * open));
    for (Span span : candidates) {
      if (index < span.count()) {
        return OptionalLong.of(span.first() + index);
      }
      index -= span.count();
    }
    throw new IllegalStateException("no candidate at " + index);
  }

  private static double vanDerCorput(int number) {
    double value = 0;
    double digit = 0.5;
    for (int rest = number; rest > 0; rest >>= 1, digit /= 2) {
      value += (rest & 1) * digit;
    }
    return value;
  }

  void good(long seq) {
    lastGood = seq;
    narrowed();
  }

  void bad(long seq) {
    firstBad = seq;
    narrowed();
  }

  private void narrowed() {
    skipsInARow = 0;
    exclude(Long.MIN_VALUE, lastGood);
    exclude(firstBad, Long.MAX_VALUE);
  }

  void skip(long seq) {
    skipped++;
    skipsInARow++;
    exclude(seq, seq);
  }

  /** Never offers any of these seqs again: there is no recovery point. */
  void exclude(long first, long last) {
    List<Span> kept = new ArrayList<>();
    for (Span span : candidates) {
      if (span.first() < first) {
        kept.add(new Span(span.first(), Math.min(span.last(), first - 1)));
      }
      if (span.last() > last) {
        kept.add(new Span(Math.max(span.first(), last + 1), span.last()));
      }
    }
    candidates.clear();
    candidates.addAll(kept);
  }
}
