package io.tidemark.volume;

import io.tidemark.index.NodeHeader;
import io.tidemark.point.DarkInterval;
import io.tidemark.position.VolumeId;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * What an existing volume knows of itself in every state: small whatever the history (V6).
 *
 * @param eventNr number of events so far, the persistence sequence number of the newest
 * @param bornEventNr the event that created this incarnation
 * @param epoch current epoch
 * @param tap the newest session
 * @param head newest journaled write
 * @param horizon oldest recoverable write
 * @param dark closed dark intervals, in seq order, disjoint, at most {@link #DARK_MAX}
 * @param index what is indexed and what is not
 * @param chores storage that remains to be freed
 * @param retained what is kept and what is not
 * @param continuity what tells whether the history went on without a break
 * @param standing what the volume is to its counterparts at other sites
 */
public record Ledger(
    long eventNr,
    long bornEventNr,
    Settings settings,
    long epoch,
    Tap tap,
    Mark head,
    Mark horizon,
    Counts counts,
    List<DarkInterval> dark,
    Indexed index,
    Chores chores,
    Retained retained,
    Continuity continuity,
    Standing standing) {

  /** A snapshot of an older version has neither of these, and was of a primary. */
  public Ledger {
    retained = retained == null ? Retained.ALL : retained;
    standing = standing == null ? Standing.PRIMARY : standing;
    continuity = continuity == null ? new Continuity(tap.session(), 0, 0, 0) : continuity;
  }

  /** More closed dark intervals than this are merged, the oldest first. */
  public static final int DARK_MAX = 256;

  /** Fixed at creation. */
  public record Settings(
      VolumeId volume, long sizeBytes, boolean synchronous, long createdMicros) {}

  /**
   * The newest session.
   *
   * @param session 0 when there never was one
   * @param tapId the zero id when there never was one
   * @param attached whether the session goes on
   * @param journaledOrdinal its newest journaled segment's ordinal, -1 when none
   */
  public record Tap(
      int session, UUID tapId, String address, boolean attached, long journaledOrdinal) {
    static final Tap NONE = new Tap(0, new UUID(0, 0), "", false, -1);

    Tap detached() {
      return new Tap(session, tapId, address, false, journaledOrdinal);
    }
  }

  /** A position in seq and time. */
  public record Mark(long seq, long timeMicros) {}

  /**
   * What tells whether the history went on without a break.
   *
   * @param sinceSession the first of the sessions that were all the newest one's tap's; 0 when
   *     there never was one
   * @param gaps gaps recorded so far
   * @param gapSeq first seq of the newest gap, 0 when there is none
   * @param ownSession the first of the sessions that were all the newest one's tap's, whatever
   *     epochs began meanwhile: nobody else wrote the history since, and none of it was taken back;
   *     0 when that is not known
   */
  public record Continuity(int sinceSession, long gaps, long gapSeq, int ownSession) {
    static final Continuity NONE = new Continuity(0, 0, 0, 0);

    Continuity withGap(long firstSeq) {
      return new Continuity(sinceSession, gaps + 1, firstSeq, ownSession);
    }

    /** From that session on, whatever was before. */
    Continuity since(int session) {
      return new Continuity(session, gaps, gapSeq, ownSession);
    }

    /** The history is the tap's own from that session on. */
    Continuity own(int session) {
      return new Continuity(sinceSession, gaps, gapSeq, session);
    }
  }

  /** Sums over all journaled segments. */
  public record Counts(long segments, long rawBytes, long storedBytes) {
    Counts plus(VolumeEvent.SegmentJournaled segment) {
      return new Counts(
          segments + 1, rawBytes + segment.rawBytes(), storedBytes + segment.storedBytes());
    }
  }

  /**
   * The index and its tail.
   *
   * @param frontier nodes in seq order that tile the indexed history (X4)
   * @param tailFromEventNr first event that may hold a segment after the frontier
   * @param tailSegments segments after the frontier
   * @param tailWrites writes after the frontier
   */
  public record Indexed(
      List<NodeHeader> frontier, long tailFromEventNr, long tailSegments, long tailWrites) {

    Indexed plus(long writes) {
      return new Indexed(frontier, tailFromEventNr, tailSegments + 1, tailWrites + writes);
    }
  }

  /**
   * What remains to be freed.
   *
   * @param orphans segments of ended sessions that were never journaled
   * @param doomed deleted incarnations
   */
  public record Chores(List<Orphans> orphans, List<Doomed> doomed) {
    static final Chores NONE = new Chores(List.of(), List.of());

    Chores withOrphans(Orphans more) {
      return new Chores(with(orphans, more), doomed);
    }

    Chores withDoomed(Doomed more) {
      return new Chores(List.of(), with(doomed, more));
    }

    Chores withoutOrphansOf(int session) {
      return new Chores(orphans.stream().filter(o -> o.session() != session).toList(), doomed);
    }

    Chores withoutDoomed(VolumeId volume) {
      return new Chores(orphans, doomed.stream().filter(d -> !d.volume().equals(volume)).toList());
    }

    private static <T> List<T> with(List<T> list, T more) {
      List<T> longer = new ArrayList<>(list);
      longer.add(more);
      return List.copyOf(longer);
    }
  }

  /** Segments of {@code session} from {@code firstOrdinal} on. */
  public record Orphans(int session, long firstOrdinal) {}

  /**
   * A deleted incarnation whose events are {@code fromEventNr..toEventNr}.
   *
   * @param trees index nodes of it that its remaining events may not tell of
   * @param nodes more of them, without what is below them
   */
  public record Doomed(
      VolumeId volume,
      int lastSession,
      long fromEventNr,
      long toEventNr,
      List<NodeHeader> trees,
      List<Long> nodes) {
    public Doomed {
      // Absent in snapshots of earlier releases.
      trees = trees == null ? List.of() : trees;
      nodes = nodes == null ? List.of() : nodes;
    }
  }

  Ledger next() {
    return new Ledger(
        eventNr + 1,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withEpoch(long newEpoch) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        newEpoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withTap(Tap newTap) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        newTap,
        head,
        horizon,
        counts,
        dark,
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withHead(Mark newHead) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        newHead,
        horizon,
        counts,
        dark,
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withHorizon(Mark newHorizon) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        newHorizon,
        counts,
        dark,
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withCounts(Counts newCounts) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        newCounts,
        dark,
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withIndex(Indexed newIndex) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        newIndex,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withChores(Chores newChores) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        index,
        newChores,
        retained,
        continuity,
        standing);
  }

  Ledger withContinuity(Continuity newContinuity) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        index,
        chores,
        retained,
        newContinuity,
        standing);
  }

  /** Adds a closed interval, the newest; merges the two oldest when there are too many. */
  Ledger withDark(DarkInterval interval) {
    List<DarkInterval> all = new ArrayList<>(dark);
    all.add(interval);
    if (all.size() > DARK_MAX) {
      DarkInterval oldest = all.remove(0);
      DarkInterval second = all.remove(0);
      all.add(
          0,
          new DarkInterval(
              oldest.fromSeq(),
              second.toSeq(),
              oldest.fromTimeMicros(),
              second.toTimeMicros(),
              "dark intervals merged: only the newest " + DARK_MAX + " are told apart"));
    }
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        List.copyOf(all),
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withStanding(Standing newStanding) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        index,
        chores,
        retained,
        continuity,
        newStanding);
  }

  /** Other closed intervals in the place of all there are. */
  Ledger withClosedDark(List<DarkInterval> intervals) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        List.copyOf(intervals),
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  Ledger withRetained(Retained newRetained) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        horizon,
        counts,
        dark,
        index,
        chores,
        newRetained,
        continuity,
        standing);
  }

  /** Gives up everything before a point; intervals that end before it are of no interest. */
  Ledger withHorizonMoved(Mark to) {
    return new Ledger(
        eventNr,
        bornEventNr,
        settings,
        epoch,
        tap,
        head,
        to,
        counts,
        dark.stream().filter(interval -> interval.toSeq() >= to.seq()).toList(),
        index,
        chores,
        retained,
        continuity,
        standing);
  }

  /** Data before compression that the journal holds now. */
  long rawBytes() {
    Retained.Sums sums = retained.volume();
    return counts.rawBytes() - sums.freed().rawBytes() + sums.copied().rawBytes();
  }

  /** Data that the journal stores now. */
  long storedBytes() {
    Retained.Sums sums = retained.volume();
    return counts.storedBytes() - sums.freed().storedBytes() + sums.copied().storedBytes();
  }
}
