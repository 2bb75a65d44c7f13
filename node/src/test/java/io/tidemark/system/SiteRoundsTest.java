package io.tidemark.system;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The short form of {@link SiteRounds}. */
@Tag("cluster")
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class SiteRoundsTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  /** A cut, a line that damages bytes, and a target that dies, each followed by a comparison. */
  @Test
  void shouldReplicateOverABadLine(@TempDir Path directory) throws Exception {
    WanLink.require();
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    try (SiteRounds rounds = new SiteRounds(directory, SEED, false, System.out)) {
      rounds.start();
      rounds.round(1, SiteRounds.Fault.CUT);
      rounds.round(2, SiteRounds.Fault.DAMAGE);
      rounds.round(3, SiteRounds.Fault.TARGET_NODE);
      System.out.println(rounds.summary());
    }
  }
}
