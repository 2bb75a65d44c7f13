package io.tidemark.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.journal.TapStatus;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.site.VolumeSummary;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RpoTest {
  private static final long NOW = 1_000_000_000_000L;
  private static final long SECOND = 1_000_000L;

  private static VolumeSummary volume(
      boolean connected, long heard, long oldestPending, long head, DarkInterval... dark) {
    Optional<TapStatus> status =
        heard == 0
            ? Optional.empty()
            : Optional.of(new TapStatus(TapStatus.Mode.CONTINUOUS, 512, 1, oldestPending, 0, 0));
    RecoveryPoint at =
        new RecoveryPoint(new WriteSeq(9), new MicroTime(head), RecoveryPoint.MAIN_BRANCH);
    return new VolumeSummary(
        new VolumeName("v"),
        VolumeId.random(),
        4096,
        "here",
        "Protected",
        "Primary",
        1,
        RecoveryPoint.MAIN_BRANCH,
        false,
        at,
        at,
        0,
        0,
        connected,
        Optional.empty(),
        Optional.empty(),
        status,
        heard,
        List.of(dark));
  }

  private static double seconds(VolumeSummary volume) {
    return Rpo.of(volume, NOW).seconds().orElse(-1);
  }

  @Test
  void shouldTellTheAgeOfTheOldestPendingWrite() {
    assertEquals(3, seconds(volume(true, NOW, NOW - 3 * SECOND, NOW - 5 * SECOND)));
  }

  /** What the tap took since its last word is not known: it may all be missing. */
  @Test
  void shouldCountTheTimeSinceTheTapsLastWord() {
    assertEquals(2, seconds(volume(true, NOW - 2 * SECOND, 0, NOW - 60 * SECOND)));
    assertEquals(2, seconds(volume(false, NOW - 2 * SECOND, 0, NOW - 60 * SECOND)));
  }

  /** A head that is newer than the tap's last word proves that all before it is journaled. */
  @Test
  void shouldTrustTheHead() {
    assertEquals(1, seconds(volume(true, NOW - 2 * SECOND, 0, NOW - SECOND)));
    assertEquals(1, seconds(volume(true, NOW - 2 * SECOND, NOW - 3 * SECOND, NOW - SECOND)));
  }

  @Test
  void shouldCountFromAnOpenDarkInterval() {
    DarkInterval open =
        new DarkInterval(
            3, Long.MAX_VALUE, NOW - 90 * SECOND, Long.MAX_VALUE, "the tap was killed");
    assertEquals(90, seconds(volume(true, NOW, 0, NOW, open)));
  }

  @Test
  void shouldNotKnowWithoutATap() {
    Rpo rpo = Rpo.of(volume(false, 0, 0, NOW), NOW);
    assertTrue(rpo.seconds().isEmpty());
    assertTrue(rpo.writes().isEmpty());
    assertTrue(rpo.asOfMicros().isEmpty());
  }
}
