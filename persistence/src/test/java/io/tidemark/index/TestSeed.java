package io.tidemark.index;

import java.util.Random;

/** The seed of a random test: printed, and taken from {@code -Dtidemark.seed=N}. */
public final class TestSeed {
  private TestSeed() {}

  public static long next(String test) {
    Long given = Long.getLong("tidemark.seed");
    long seed = given != null ? given : new Random().nextLong();
    System.out.println(test + " seed: -Dtidemark.seed=" + seed);
    return seed;
  }
}
