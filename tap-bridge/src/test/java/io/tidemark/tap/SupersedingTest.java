package io.tidemark.tap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.capture.ActivityLog;
import io.tidemark.fill.FillMap;
import io.tidemark.journal.SessionGrant;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** When the journal, and when the backing store has the content (T6). */
class SupersedingTest {
  private static final VolumeId VOLUME = VolumeId.random();
  private static final long SIZE = 8 << 20;

  @TempDir Path directory;

  private static ActivityLog.State known(VolumeId volume, int session, long epoch) {
    return new ActivityLog.State(
        UUID.randomUUID(), volume.value(), SIZE, false, false, session, 0, -1, epoch);
  }

  private static SessionGrant grant(long epoch, long head, int session, int since, int own) {
    return new SessionGrant(
        VOLUME,
        SIZE,
        new Epoch(epoch),
        session,
        new WriteSeq(head),
        new MicroTime(9),
        false,
        false,
        since,
        own,
        false);
  }

  @Test
  void shouldTellWhoseContentItIs() {
    ActivityLog.State old = known(VOLUME, 4, 1);
    assertTrue(Superseding.isBehind(old, grant(3, 50, 9, 9, 9)), "went on elsewhere");
    assertTrue(Superseding.isBehind(old, grant(3, 50, 9, 9, 0)), "nothing is known of the writer");
    assertFalse(Superseding.isBehind(old, grant(3, 50, 5, 5, 2)), "nobody else wrote");
    assertFalse(Superseding.isBehind(old, grant(1, 50, 9, 9, 9)), "never promoted");
    assertTrue(Superseding.isBehind(old, grant(3, 0, 9, 9, 9)), "all of it was taken back");
    assertTrue(
        Superseding.isBehind(old, grant(3, 50, 4, 4, 4)), "another site's session of that number");
    assertFalse(Superseding.isBehind(known(VOLUME, 4, 3), grant(3, 50, 9, 9, 9)), "same epoch");
    VolumeId other = VolumeId.random();
    assertTrue(Superseding.isBehind(known(other, 4, 3), grant(3, 50, 9, 9, 9)), "unknown store");
    assertFalse(
        Superseding.isBehind(known(other, 4, 3), grant(3, 0, 9, 9, 9)), "behind of nothing");
    assertFalse(Superseding.isBehind(known(other, 4, 1), grant(1, 50, 9, 9, 9)), "never promoted");
  }

  /** A log that an older tap wrote names no epoch. */
  @Test
  void shouldBelieveOlderLogsBySessions() {
    ActivityLog.State old = known(VOLUME, 4, 0);
    assertFalse(Superseding.isBehind(old, grant(3, 50, 5, 4, 0)));
    assertTrue(Superseding.isBehind(old, grant(3, 50, 9, 5, 0)));
    assertTrue(Superseding.isBehind(old, grant(3, 50, 9, 0, SessionGrant.OLDER_NODE)));
  }

  @Test
  void shouldRefuseWhatAnOlderNodeCannotFill() throws Exception {
    try (ActivityLog log = ActivityLog.open(directory)) {
      SessionGrant grant = grant(3, 50, 9, 9, SessionGrant.OLDER_NODE);
      Refusal refusal =
          assertThrows(Refusal.class, () -> Superseding.supersede("v", directory, log, grant));
      assertEquals(ErrorCode.NOT_SYNCHRONIZED, refusal.code());
      assertFalse(Files.exists(directory.resolve(FillMap.FILE_NAME)));
    }
  }

  /** Whatever is cut short in between: the store is filled, or still known to be behind. */
  @Test
  void shouldNoteThatTheStoreIsToBeFilledBeforeItForgetsTheMarks() throws Exception {
    SessionGrant grant = grant(3, 50, 9, 9, 9);
    try (ActivityLog log = ActivityLog.open(directory)) {
      Superseding.supersede("v", directory, log, grant);
      assertFalse(Superseding.isBehind(log.state(), grant(3, 60, 12, 12, 12)));
      assertFalse(Superseding.isCutShort(directory, log.state()));
      assertTrue(Superseding.isCutShort(directory, known(VOLUME, 4, 1)));
      assertTrue(log.markedRegions().isEmpty());
    }
    try (ActivityLog again = ActivityLog.open(directory)) {
      assertEquals(3, again.state().epoch());
      assertEquals(9, again.state().session());
    }
    Superseding.forgetOther(directory, VOLUME);
    assertTrue(Files.exists(directory.resolve(FillMap.FILE_NAME)));
    Superseding.forgetOther(directory, VolumeId.random());
    assertFalse(Files.exists(directory.resolve(FillMap.FILE_NAME)));
  }
}
