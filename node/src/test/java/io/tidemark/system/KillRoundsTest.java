package io.tidemark.system;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class KillRoundsTest {
  private static final int ROUNDS = Integer.getInteger("tidemark.test.kill.rounds", 6);
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  /** The short version of the long run: every write's position holds whatever is killed. */
  @Test
  @Timeout(value = 15, unit = TimeUnit.MINUTES)
  void shouldLoseNothingJournaledWhateverIsKilled(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    try (KillRounds oracle =
        new KillRounds(directory, SEED, KillRounds.POINTS_A_ROUND, System.out)) {
      oracle.start();
      for (int i = 1; i <= ROUNDS; i++) {
        oracle.round(i);
      }
    }
  }
}
