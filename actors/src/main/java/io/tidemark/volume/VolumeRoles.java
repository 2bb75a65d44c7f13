package io.tidemark.volume;

import io.tidemark.index.NodeHeader;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.volume.Ledger.Indexed;
import io.tidemark.volume.Ledger.Mark;
import io.tidemark.volume.Standing.Branch;
import io.tidemark.volume.Standing.Role;
import io.tidemark.volume.VolumeEvent.HistoryForked;
import io.tidemark.volume.VolumeState.Created;
import io.tidemark.volume.VolumeState.Live;
import io.tidemark.volume.VolumeState.OpenSync;
import io.tidemark.volume.VolumeState.Protected;
import io.tidemark.volume.VolumeState.Resyncing;
import io.tidemark.volume.VolumeState.Synchronizing;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * Who may write a volume, and what becomes of its history when that changes (V2, V10): pure, like
 * {@link VolumeState}.
 */
final class VolumeRoles {
  private VolumeRoles() {}

  /** Why {@code tapId}, a tap's or a link's, is not let in. */
  static Optional<Refusal> refuseAttach(Live state, VolumeName name, UUID tapId) {
    Standing standing = state.ledger().standing();
    if (standing.role() == Role.FENCED) {
      return refuse(
          ErrorCode.FENCED,
          "volume '%s' is fenced: %s; promote it to write to it here",
          name,
          standing.origin());
    }
    return standing.role() == Role.PRIMARY || standing.link().equals(tapId)
        ? Optional.empty()
        : refuse(
            ErrorCode.FENCED,
            "volume '%s' is a replica of %s, and only its link writes it; promote it to write to it here",
            name,
            standing.origin());
  }

  /**
   * Why a tap that takes its backing store for the truth is not let in: the store may be older than
   * a history that went on elsewhere, and all of it would be journaled as new writes (V11).
   */
  static Optional<Refusal> refuseTrusting(Live state, VolumeName name, UUID tapId) {
    Ledger ledger = state.ledger();
    Ledger.Tap last = ledger.tap();
    Ledger.Continuity continuity = ledger.continuity();
    boolean wroteLast =
        last.session() > 0
            && last.tapId().equals(tapId)
            && (within(continuity.sinceSession(), last) || within(continuity.ownSession(), last));
    if (ledger.standing().role() != Role.PRIMARY
        || ledger.epoch() <= 1
        || ledger.head().seq() == 0
        || wroteLast) {
      return Optional.empty();
    }
    return refuse(
        ErrorCode.FENCED,
        "volume '%s' was promoted, and a tap of this release would write its backing store over the journal's content; update the tap",
        name);
  }

  private static boolean within(int since, Ledger.Tap last) {
    return since > 0 && since <= last.session();
  }

  /** Why the volume cannot be the replica of that link. */
  static Optional<Refusal> refuseReplica(
      Live state, VolumeName name, long sizeBytes, UUID link, long epoch) {
    Ledger ledger = state.ledger();
    Standing standing = ledger.standing();
    if (standing.role() != Role.REPLICA) {
      return refuse(
          ErrorCode.ALREADY_EXISTS,
          "volume '%s' exists and is %s, no replica; delete it, or demote it to be the link's replica",
          name,
          standing.role().text());
    }
    if (!standing.link().equals(link)) {
      return refuse(
          ErrorCode.ALREADY_EXISTS,
          "volume '%s' is the replica of another link, from %s; delete that volume or use its link",
          name,
          standing.origin());
    }
    if (ledger.settings().sizeBytes() != sizeBytes) {
      return refuse(
          ErrorCode.ALREADY_EXISTS,
          "the replica '%s' has %d bytes, its source %d; delete the replica, it is made anew",
          name,
          ledger.settings().sizeBytes(),
          sizeBytes);
    }
    return epoch >= ledger.epoch()
        ? Optional.empty()
        : refuse(
            ErrorCode.FENCED,
            "the source is in epoch %d, and the replica '%s' has been in epoch %d: the source was superseded",
            epoch,
            name,
            ledger.epoch());
  }

  /** Why the volume may not begin the epoch after {@code epoch} as a primary. */
  static Optional<Refusal> refusePromotion(
      Live state, VolumeName name, long epoch, long drainedSeq, boolean forced) {
    Ledger ledger = state.ledger();
    if (ledger.standing().role() == Role.PRIMARY || ledger.epoch() != epoch) {
      return refuse(
          ErrorCode.FENCED,
          "volume '%s' is %s in epoch %d; a promotion from epoch %d is not possible any more",
          name,
          ledger.standing().role().text(),
          ledger.epoch(),
          epoch);
    }
    if (forced) {
      return Optional.empty();
    }
    if (ledger.head().seq() < drainedSeq) {
      return refuse(
          ErrorCode.NOT_ACKNOWLEDGED,
          "volume '%s' has journaled %d writes of %d; wait for its link, or force the promotion and lose the rest",
          name,
          ledger.head().seq(),
          drainedSeq);
    }
    boolean began = ledger.standing().role() == Role.REPLICA && drainedSeq != 0;
    if (state instanceof Synchronizing || state instanceof Created && began) {
      return refuse(
          ErrorCode.NOT_SYNCHRONIZED,
          "volume '%s' was never synchronised completely; wait for its link, or force the promotion",
          name);
    }
    return state.openSync().isEmpty()
        ? Optional.empty()
        : refuse(
            ErrorCode.DARK_INTERVAL,
            "volume '%s' ends inside a dark interval that began at write %d: %s; wait for its end, or force the promotion",
            name,
            state.openSync().get().firstSeq(),
            state.openSync().get().reason());
  }

  /** Why the volume, in its epoch, may not be demoted; {@code keepSeq} -1 to keep all. */
  static Optional<Refusal> refuseDemotion(Live state, VolumeName name, long epoch, long keepSeq) {
    Ledger ledger = state.ledger();
    if (ledger.epoch() != epoch) {
      return refuse(
          ErrorCode.FENCED,
          "volume '%s' is in epoch %d, not in %d; ask for its state and decide anew",
          name,
          ledger.epoch(),
          epoch);
    }
    if (keepSeq > ledger.head().seq()) {
      return refuse(
          ErrorCode.BEYOND_HEAD,
          "volume '%s' has journaled %d writes; it cannot keep %d",
          name,
          ledger.head().seq(),
          keepSeq);
    }
    if (keepSeq >= 0 && keepSeq < ledger.head().seq()) {
      if (keepSeq < ledger.horizon().seq()) {
        return refuse(
            ErrorCode.BEYOND_HORIZON,
            "volume '%s' keeps no position before %d, and was to go back to %d; delete it, it is made anew",
            name,
            ledger.horizon().seq(),
            keepSeq);
      }
      if (ledger.standing().branches().size() >= Standing.BRANCHES_MAX) {
        return refuse(
            ErrorCode.LIMIT,
            "volume '%s' keeps %d branches, the most there may be",
            name,
            Standing.BRANCHES_MAX);
      }
    }
    return Optional.empty();
  }

  private static Optional<Refusal> refuse(ErrorCode code, String sentence, Object... values) {
    return Optional.of(new Refusal(code, sentence.formatted(values)));
  }

  /** Nodes of the index that hold nothing after {@code seq}. */
  static List<NodeHeader> keptNodes(Ledger ledger, long seq) {
    return ledger.index().frontier().stream().filter(node -> node.lastSeq() <= seq).toList();
  }

  /** First event that may hold a segment after those nodes. */
  static long tailFrom(Ledger ledger, List<NodeHeader> kept) {
    return kept.size() == ledger.index().frontier().size()
        ? ledger.index().tailFromEventNr()
        : kept.isEmpty() ? ledger.bornEventNr() + 1 : kept.get(kept.size() - 1).lastEventNr() + 1;
  }

  /**
   * An event at or before the first that tells of a write after {@code seq}, and after that of
   * {@code seq} itself or close to it.
   */
  static long eventAfter(Ledger ledger, long seq) {
    long from = ledger.bornEventNr() + 1;
    for (NodeHeader node : ledger.index().frontier()) {
      if (node.lastSeq() > seq) {
        return from;
      }
      from = node.lastEventNr() + 1;
    }
    return Math.min(from, ledger.index().tailFromEventNr());
  }

  /** What the volume's history is after its newest writes became a branch. */
  static Live forked(Live live, Ledger ledger, HistoryForked e) {
    Mark keep = new Mark(e.keptSeq(), e.keptTimeMicros());
    List<DarkInterval> after =
        VolumeState.dark(live).stream().filter(dark -> dark.toSeq() > e.keptSeq()).toList();
    Branch left =
        new Branch(
            e.branch(),
            ledger.epoch(),
            keep,
            ledger.head(),
            ledger.eventNr() - 1,
            after,
            ledger.index().frontier(),
            ledger.index().tailFromEventNr(),
            e.reason(),
            e.timeMicros());
    List<NodeHeader> kept = keptNodes(ledger, e.keptSeq());
    Ledger back =
        ledger
            .withHead(keep)
            .withClosedDark(
                ledger.dark().stream().filter(dark -> dark.toSeq() < e.keptSeq()).toList())
            .withIndex(new Indexed(kept, tailFrom(ledger, kept), e.tailSegments(), e.tailWrites()))
            .withContinuity(ledger.continuity().own(ledger.tap().session() + 1))
            .withStanding(ledger.standing().withBranch(left));
    Optional<OpenSync> open = reopened(live, keep);
    if (open.isEmpty()) {
      return keep.seq() == 0 ? new Created(back) : new Protected(back);
    }
    return live instanceof Synchronizing
        ? new Synchronizing(back, open.get())
        : new Resyncing(back, open.get());
  }

  /** The dark interval that the kept history ends in. */
  private static Optional<OpenSync> reopened(Live live, Mark keep) {
    Optional<OpenSync> open = live.openSync().filter(sync -> sync.firstSeq() <= keep.seq());
    if (open.isPresent()) {
      OpenSync sync = open.get();
      Mark end = sync.gapEnd().seq() <= keep.seq() ? sync.gapEnd() : keep;
      return Optional.of(
          new OpenSync(sync.firstSeq(), sync.before(), end, sync.content(), sync.reason()));
    }
    return live.ledger().dark().stream()
        .filter(dark -> dark.fromSeq() <= keep.seq() && keep.seq() <= dark.toSeq())
        .findFirst()
        .map(
            dark ->
                new OpenSync(
                    dark.fromSeq(),
                    new Mark(dark.fromSeq() - 1, dark.fromTimeMicros()),
                    keep,
                    true,
                    dark.reason()));
  }

  /** The history of a branch, as readers see it; empty when there is none of that name. */
  static Optional<HistoryView> branchView(Live state, String persistenceId, String name) {
    Ledger ledger = state.ledger();
    return ledger.standing().branches().stream()
        .filter(branch -> branch.name().equals(name))
        .findFirst()
        .map(branch -> view(state, persistenceId, branch));
  }

  private static HistoryView view(Live state, String persistenceId, Branch branch) {
    Ledger ledger = state.ledger();
    List<DarkInterval> dark = new ArrayList<>();
    VolumeState.dark(state).stream()
        .filter(interval -> interval.toSeq() < branch.fork().seq())
        .forEach(dark::add);
    dark.addAll(branch.dark());
    return new HistoryView(
        ledger.settings().volume(),
        persistenceId,
        ledger.settings().sizeBytes(),
        branch.epoch(),
        branch.head().seq(),
        branch.head().timeMicros(),
        Math.min(ledger.horizon().seq(), branch.head().seq()),
        Math.min(ledger.horizon().timeMicros(), branch.head().timeMicros()),
        List.copyOf(dark),
        branch.frontier(),
        branch.tailFromEventNr(),
        branch.toEventNr(),
        List.of(),
        List.of(),
        0,
        left(ledger.standing().branches().stream().takeWhile(b -> !b.equals(branch)).toList()));
  }

  static List<HistoryView.Left> left(List<Branch> branches) {
    return branches.stream()
        .map(branch -> new HistoryView.Left(branch.fork().seq(), branch.toEventNr()))
        .toList();
  }
}
