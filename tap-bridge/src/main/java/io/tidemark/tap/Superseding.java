package io.tidemark.tap;

import io.tidemark.capture.ActivityLog;
import io.tidemark.fill.FillMap;
import io.tidemark.journal.SessionGrant;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Optional;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Whether a backing store or the journal has the volume's content, when a tap is let in (T6). */
final class Superseding {
  private static final Logger log = LoggerFactory.getLogger(Superseding.class);

  private Superseding() {}

  /**
   * Whether the volume went on without this store since they were last in step: in a later epoch,
   * by writes that were not this tap's. Then the journal has the content, whatever the store holds.
   * A store that the log says nothing of is behind any volume that was ever promoted and written.
   */
  static boolean isBehind(ActivityLog.State known, SessionGrant grant) {
    if (grant.epoch().value() <= 1) {
      return false; // a history that began here
    }
    if (!known.volume().equals(grant.volume().value())) {
      return grant.head().value() > 0; // nothing is behind of nothing
    }
    return !isSameEpoch(known, grant) && !ours(grant.ownSession(), known, grant);
  }

  /** Whether the tap was attached before in the epoch of the grant. */
  static boolean isSameEpoch(ActivityLog.State known, SessionGrant grant) {
    return known.volume().equals(grant.volume().value())
        && (known.epoch() > 0
            ? known.epoch() == grant.epoch().value()
            : ours(grant.sinceSession(), known, grant));
  }

  /** A session that is not before the known one was another site's node's. */
  private static boolean ours(int since, ActivityLog.State known, SessionGrant grant) {
    return since > 0 && since <= known.session() && known.session() < grant.session();
  }

  /**
   * Notes, durably, that the store is to be filled from the journal. What may be in the store and
   * nowhere else - the regions that were marked, or all of it when nothing is known of it - is kept
   * before it is overwritten.
   *
   * @throws Refusal NOT_SYNCHRONIZED when the node cannot give content
   */
  static void supersede(String volume, Path directory, ActivityLog known, SessionGrant grant)
      throws IOException {
    if (grant.ownSession() == SessionGrant.OLDER_NODE) {
      throw new Refusal(
          ErrorCode.NOT_SYNCHRONIZED,
          ("the backing store of %s is behind the journal, and this node is too old to bring it up"
                  + " to date; update the node")
              .formatted(volume));
    }
    log.warn(
        "volume {}: its backing store is behind the journal (epoch {}, now {}): it is filled from the journal",
        volume,
        known.state().epoch(),
        grant.epoch().value());
    FillMap.begin(
            directory,
            grant.volume(),
            grant.epoch().value(),
            grant.sizeBytes(),
            toKeep(known, grant))
        .close();
    known.superseded(grant);
  }

  /** A map of another incarnation of the volume says nothing of this one. */
  static void forgetOther(Path directory, VolumeId volume) throws IOException {
    Optional<FillMap> map = FillMap.open(directory);
    if (map.isPresent()) {
      map.get().close();
      if (!map.get().volume().equals(volume)) {
        FillMap.discard(directory);
      }
    }
  }

  /** Whether the store was about to be superseded when the tap ended. */
  static boolean isCutShort(Path directory, ActivityLog.State known) throws IOException {
    Optional<FillMap> map = FillMap.open(directory);
    if (map.isEmpty()) {
      return false;
    }
    map.get().close();
    return !map.get().volume().value().equals(known.volume()) || map.get().epoch() > known.epoch();
  }

  private static Predicate<ByteRange> toKeep(ActivityLog known, SessionGrant grant) {
    if (!known.state().volume().equals(grant.volume().value())) {
      return range -> true;
    }
    BitSet marked = known.markedRegions();
    long region = known.regionBytes();
    return range -> {
      int at = marked.nextSetBit((int) (range.offset() / region));
      return at >= 0 && at <= (range.end() - 1) / region;
    };
  }
}
