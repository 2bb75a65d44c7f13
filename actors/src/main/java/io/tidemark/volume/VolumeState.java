package io.tidemark.volume;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.index.IndexWriter;
import io.tidemark.index.NodeHeader;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.volume.Ledger.Doomed;
import io.tidemark.volume.Ledger.Indexed;
import io.tidemark.volume.Ledger.Mark;
import io.tidemark.volume.Ledger.Orphans;
import io.tidemark.volume.Ledger.Tap;
import io.tidemark.volume.VolumeEvent.BranchFollowed;
import io.tidemark.volume.VolumeEvent.CompactionBegan;
import io.tidemark.volume.VolumeEvent.EpochRaised;
import io.tidemark.volume.VolumeEvent.GapRecorded;
import io.tidemark.volume.VolumeEvent.HistoryCompacted;
import io.tidemark.volume.VolumeEvent.HistoryForked;
import io.tidemark.volume.VolumeEvent.HistoryFreed;
import io.tidemark.volume.VolumeEvent.HorizonMoved;
import io.tidemark.volume.VolumeEvent.IndexAdvanced;
import io.tidemark.volume.VolumeEvent.OrphansCollected;
import io.tidemark.volume.VolumeEvent.PinsEnded;
import io.tidemark.volume.VolumeEvent.PointPinned;
import io.tidemark.volume.VolumeEvent.ReplicaMade;
import io.tidemark.volume.VolumeEvent.RetentionSet;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import io.tidemark.volume.VolumeEvent.StorageFreed;
import io.tidemark.volume.VolumeEvent.SyncCompleted;
import io.tidemark.volume.VolumeEvent.TagsKept;
import io.tidemark.volume.VolumeEvent.TapAttached;
import io.tidemark.volume.VolumeEvent.TapDetached;
import io.tidemark.volume.VolumeEvent.VolumeCreated;
import io.tidemark.volume.VolumeEvent.VolumeDeleted;
import io.tidemark.volume.VolumeEvent.VolumeFenced;
import io.tidemark.volume.VolumeEvent.VolumePromoted;
import io.tidemark.volume.VolumeEvent.WriteLeased;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A volume's state and its transitions: pure, immutable, without clock or chance. The {@code
 * refuse*} methods decide; {@link #apply} never rejects.
 */
public sealed interface VolumeState extends TidemarkMessage {
  /** The state before the first event. */
  VolumeState EMPTY = new Absent(0, List.of());

  /** Number of events so far. */
  long eventNr();

  /** Deleted incarnations whose storage remains to be freed. */
  List<Doomed> doomed();

  /** There is no volume of the name. */
  sealed interface Gone extends VolumeState permits Absent, Deleted {}

  /** There is a volume. */
  sealed interface Live extends VolumeState permits Created, Synchronizing, Protected, Resyncing {
    Ledger ledger();

    /** The synchronisation that runs, if any. */
    default Optional<OpenSync> openSync() {
      return Optional.empty();
    }

    @Override
    default long eventNr() {
      return ledger().eventNr();
    }

    @Override
    default List<Doomed> doomed() {
      return ledger().chores().doomed();
    }
  }

  /** Never was. */
  @JsonTypeName("state-absent")
  record Absent(long eventNr, List<Doomed> doomed) implements Gone {}

  /** Was, and may be created again. */
  @JsonTypeName("state-deleted")
  record Deleted(long eventNr, List<Doomed> doomed) implements Gone {}

  /** Nothing is journaled yet. */
  @JsonTypeName("state-created")
  record Created(Ledger ledger) implements Live {}

  /** The content that the backing store had at first is being copied. */
  @JsonTypeName("state-synchronizing")
  record Synchronizing(Ledger ledger, OpenSync sync) implements Live {
    @Override
    public Optional<OpenSync> openSync() {
      return Optional.of(sync);
    }
  }

  /** Every write is a recovery point. */
  @JsonTypeName("state-protected")
  record Protected(Ledger ledger) implements Live {}

  /** Capture was lost; journal and backing store are being compared. */
  @JsonTypeName("state-resyncing")
  record Resyncing(Ledger ledger, OpenSync sync) implements Live {
    @Override
    public Optional<OpenSync> openSync() {
      return Optional.of(sync);
    }
  }

  /**
   * A gap whose synchronisation is not complete.
   *
   * @param firstSeq first seq that was not captured
   * @param before the last write before it
   * @param gapEnd the newest seq that was not captured
   * @param content whether synchronised content was journaled since
   */
  record OpenSync(long firstSeq, Mark before, Mark gapEnd, boolean content, String reason) {}

  // ---- decisions ------------------------------------------------------------------------------

  /** Why the volume, whose name is taken, cannot be created with these settings. */
  static Optional<Refusal> refuseCreateAgain(Live state, long sizeBytes, boolean synchronous) {
    Ledger.Settings settings = state.ledger().settings();
    return settings.sizeBytes() == sizeBytes && settings.synchronous() == synchronous
        ? Optional.empty()
        : refuse(
            ErrorCode.ALREADY_EXISTS,
            "the volume exists with %d bytes, %s; delete it first or use another name",
            settings.sizeBytes(),
            settings.synchronous() ? "synchronous" : "asynchronous");
  }

  /** Why the holder of {@code key} may not append. */
  static Optional<Refusal> refuseKey(Live state, SessionKey key) {
    Ledger ledger = state.ledger();
    if (!ledger.settings().volume().equals(key.volume())) {
      return refuse(
          ErrorCode.FENCED, "the volume was deleted and created again; the tap must attach anew");
    }
    if (ledger.epoch() != key.epoch()) {
      return refuse(
          ErrorCode.FENCED,
          "epoch %d is over, the volume is in epoch %d: it was promoted elsewhere",
          key.epoch(),
          ledger.epoch());
    }
    if (ledger.tap().session() != key.session() || !ledger.tap().attached()) {
      return refuse(
          ErrorCode.FENCED, "session %d is over; the tap must attach again", key.session());
    }
    return Optional.empty();
  }

  /** Why the segments, from the first that is not journaled yet, may not follow the head. */
  static Optional<Refusal> refuseSegments(Live state, List<SegmentJournaled> fresh) {
    Ledger ledger = state.ledger();
    long seq = ledger.head().seq();
    long time = ledger.head().timeMicros();
    long ordinal = ledger.tap().journaledOrdinal();
    for (SegmentJournaled s : fresh) {
      if (s.firstSeq() != seq + 1 || s.lastSeq() < s.firstSeq()) {
        return refuse(
            ErrorCode.INVALID,
            "writes %d..%d do not follow the newest journaled write %d",
            s.firstSeq(),
            s.lastSeq(),
            seq);
      }
      if (s.firstTimeMicros() < time || s.lastTimeMicros() < s.firstTimeMicros()) {
        return refuse(
            ErrorCode.INVALID,
            "write %d is earlier than write %d before it",
            s.firstSeq(),
            s.firstSeq() - 1);
      }
      if (s.endOffset() > ledger.settings().sizeBytes()) {
        return refuse(
            ErrorCode.INVALID,
            "writes %d..%d reach byte %d of a volume of %d bytes",
            s.firstSeq(),
            s.lastSeq(),
            s.endOffset(),
            ledger.settings().sizeBytes());
      }
      if (s.number() >>> 32 != ledger.tap().session() || (s.number() & 0xffff_ffffL) <= ordinal) {
        return refuse(
            ErrorCode.INVALID,
            "segment number %d is not the next of session %d",
            s.number(),
            ledger.tap().session());
      }
      seq = s.lastSeq();
      time = s.lastTimeMicros();
      ordinal = s.number() & 0xffff_ffffL;
    }
    return Optional.empty();
  }

  /** Why the gap may not follow the head. */
  static Optional<Refusal> refuseGap(Live state, long firstSeq, long lastSeq, long timeMicros) {
    Mark head = state.ledger().head();
    if (firstSeq != head.seq() + 1 || lastSeq < firstSeq) {
      return refuse(
          ErrorCode.INVALID,
          "a gap of the writes %d..%d does not follow the newest journaled write %d",
          firstSeq,
          lastSeq,
          head.seq());
    }
    return timeMicros >= head.timeMicros()
        ? Optional.empty()
        : refuse(ErrorCode.INVALID, "the gap is earlier than write %d before it", head.seq());
  }

  /**
   * Why a mark that a tap attested will never be a recovery point: a gap that began at or before it
   * means that writes up to it were lost, whatever has been journaled at its seq since.
   *
   * @param session in which it was attested
   * @param gaps gaps recorded before it was
   */
  static Optional<Refusal> refuseMark(
      Live state, VolumeId volume, int session, long gaps, long seq) {
    Ledger.Continuity now = state.ledger().continuity();
    if (!state.ledger().settings().volume().equals(volume)) {
      return refuse(
          ErrorCode.NOT_FOUND, "the volume was deleted and created again since it was marked");
    }
    if (now.sinceSession() > session) {
      return refuse(
          ErrorCode.FENCED,
          "another tap was let in before it was known that write %d is kept",
          seq);
    }
    long since = now.gaps() - gaps;
    if (since > 1 || since == 1 && now.gapSeq() <= seq) {
      return refuse(
          ErrorCode.DARK_INTERVAL,
          "capture lost writes up to %d before they were journaled: it went on after a gap from %d",
          seq,
          now.gapSeq());
    }
    return Optional.empty();
  }

  private static Optional<Refusal> refuse(ErrorCode code, String sentence, Object... values) {
    return Optional.of(new Refusal(code, sentence.formatted(values)));
  }

  // ---- what readers see -----------------------------------------------------------------------

  /** Closed dark intervals and the open one. */
  static List<DarkInterval> dark(Live state) {
    List<DarkInterval> all = new ArrayList<>(state.ledger().dark());
    state
        .openSync()
        .ifPresent(
            sync ->
                all.add(
                    new DarkInterval(
                        sync.firstSeq(),
                        Long.MAX_VALUE,
                        sync.before().timeMicros(),
                        Long.MAX_VALUE,
                        sync.reason())));
    return List.copyOf(all);
  }

  static HistoryView view(Live state, String persistenceId) {
    Ledger ledger = state.ledger();
    return new HistoryView(
        ledger.settings().volume(),
        persistenceId,
        ledger.settings().sizeBytes(),
        ledger.epoch(),
        ledger.head().seq(),
        ledger.head().timeMicros(),
        ledger.horizon().seq(),
        ledger.horizon().timeMicros(),
        dark(state),
        ledger.index().frontier(),
        ledger.index().tailFromEventNr(),
        ledger.eventNr(),
        ledger.retained().layers(),
        ledger.retained().keptSeqs(ledger.horizon().seq()),
        ledger.settings().createdMicros(),
        VolumeRoles.left(ledger.standing().branches()));
  }

  /**
   * The oldest {@link IndexWriter#FAN_OUT} nodes of the lowest level that is full (X4).
   *
   * @param afterSeq nodes that begin at or before it are being cut: they and those of their level
   *     beside them are left alone
   */
  static Optional<List<NodeHeader>> mergeDue(Live state, long afterSeq) {
    List<NodeHeader> frontier =
        state.ledger().index().frontier().stream().filter(node -> !node.base()).toList();
    int end = frontier.size();
    // Levels fall from the oldest node to the newest: the last run of a level is the lowest.
    while (end > 0) {
      int begin = end - 1;
      while (begin > 0 && frontier.get(begin - 1).level() == frontier.get(end - 1).level()) {
        begin--;
      }
      if (end - begin >= IndexWriter.FAN_OUT && frontier.get(begin).firstSeq() > afterSeq) {
        return Optional.of(List.copyOf(frontier.subList(begin, begin + IndexWriter.FAN_OUT)));
      }
      end = begin;
    }
    return Optional.empty();
  }

  // ---- transitions ----------------------------------------------------------------------------

  /** The state after {@code event}. */
  static VolumeState apply(VolumeState state, VolumeEvent event) {
    if (event instanceof VolumeCreated created) {
      return created(state, created);
    }
    if (event instanceof StorageFreed freed) {
      return freed(state, freed);
    }
    if (!(state instanceof Live live)) {
      throw new IllegalStateException(event + " happened to a volume that does not exist");
    }
    if (event instanceof VolumeDeleted) {
      return deleted(live);
    }
    Ledger ledger = live.ledger().next();
    if (event instanceof SegmentJournaled e) {
      return segment(live, ledger, e);
    }
    if (event instanceof GapRecorded e) {
      return gap(live, ledger, e);
    }
    if (event instanceof SyncCompleted e) {
      return synced(live, ledger, e);
    }
    if (event instanceof HistoryForked e) {
      return VolumeRoles.forked(live, ledger, e);
    }
    return with(live, changed(ledger, event));
  }

  /** Events that leave the state as it is and change the ledger only. */
  private static Ledger changed(Ledger ledger, VolumeEvent event) {
    if (event instanceof TapAttached e) {
      Tap last = ledger.tap();
      boolean same = last.session() > 0 && last.tapId().equals(e.tapId());
      boolean unbroken = same && ledger.continuity().sinceSession() <= last.session();
      Ledger attached =
          ledger
              .withTap(new Tap(e.session(), e.tapId(), e.address(), true, -1))
              .withContinuity(continued(ledger.continuity(), same, unbroken, e.session()));
      return last.session() == 0
          ? attached
          : attached.withChores(
              attached
                  .chores()
                  .withOrphans(new Orphans(last.session(), last.journaledOrdinal() + 1)));
    }
    if (event instanceof TapDetached) {
      return ledger.withTap(ledger.tap().detached());
    }
    if (event instanceof IndexAdvanced e) {
      return ledger.withIndex(advanced(ledger.index(), e));
    }
    if (event instanceof EpochRaised e) {
      return ledger
          .withEpoch(e.epoch())
          .withTap(ledger.tap().detached())
          .withContinuity(ledger.continuity().since(ledger.tap().session() + 1));
    }
    if (event instanceof OrphansCollected e) {
      return ledger.withChores(ledger.chores().withoutOrphansOf(e.session()));
    }
    if (event instanceof ReplicaMade
        || event instanceof VolumeFenced
        || event instanceof VolumePromoted
        || event instanceof WriteLeased
        || event instanceof BranchFollowed) {
      return standing(ledger, event);
    }
    return retaining(ledger, ledger.retained(), event);
  }

  private static Ledger.Continuity continued(
      Ledger.Continuity before, boolean sameTap, boolean unbroken, int session) {
    Ledger.Continuity whose = sameTap ? before : before.own(session);
    return unbroken ? whose : whose.since(session);
  }

  /** Events of roles. */
  private static Ledger standing(Ledger ledger, VolumeEvent event) {
    Ledger stands = ledger.withStanding(changed(ledger.standing(), event));
    return event instanceof ReplicaMade || event instanceof VolumeFenced
        ? stands
            .withTap(ledger.tap().detached())
            .withContinuity(ledger.continuity().since(ledger.tap().session() + 1))
        : stands;
  }

  private static Standing changed(Standing standing, VolumeEvent event) {
    if (event instanceof ReplicaMade e) {
      return standing.replicaOf(e.link(), e.origin());
    }
    if (event instanceof VolumeFenced e) {
      return standing.fenced(e.reason());
    }
    if (event instanceof VolumePromoted e) {
      return standing.primary(e.branch());
    }
    if (event instanceof BranchFollowed e) {
      return standing.on(e.branch());
    }
    if (event instanceof WriteLeased e) {
      return standing.leased(e.on());
    }
    throw new IllegalStateException("no transition for " + event);
  }

  /** Events of retention. */
  private static Ledger retaining(Ledger ledger, Retained retained, VolumeEvent event) {
    if (event instanceof RetentionSet e) {
      return ledger.withRetained(retained.withPolicy(e.policy()));
    }
    if (event instanceof PointPinned e) {
      return ledger.withRetained(
          retained.withPin(new Retained.Pin(e.holder(), e.seq(), e.onward(), e.untilMicros())));
    }
    if (event instanceof PinsEnded e) {
      return ledger.withRetained(retained.ended(e));
    }
    if (event instanceof TagsKept e) {
      return ledger.withRetained(retained.withTags(e.tags()));
    }
    if (event instanceof HorizonMoved e) {
      return ledger.withHorizonMoved(new Mark(e.seq(), e.timeMicros()));
    }
    if (event instanceof CompactionBegan e) {
      return ledger.withRetained(
          retained.began(
              new Retained.Running(e.attempt(), e.firstNode(), e.nodes()), e.timeMicros()));
    }
    if (event instanceof HistoryCompacted e) {
      return ledger.withRetained(retained.compacted(e)).withIndex(compacted(ledger.index(), e));
    }
    if (event instanceof HistoryFreed) {
      return ledger.withRetained(retained.deleted());
    }
    throw new IllegalStateException("no transition for " + event);
  }

  private static Indexed compacted(Indexed index, HistoryCompacted e) {
    List<NodeHeader> frontier = new ArrayList<>();
    frontier.add(e.base());
    frontier.addAll(e.after());
    index.frontier().stream()
        .filter(node -> node.firstSeq() > e.prefixEndSeq())
        .forEach(frontier::add);
    return new Indexed(
        List.copyOf(frontier), index.tailFromEventNr(), index.tailSegments(), index.tailWrites());
  }

  private static VolumeState created(VolumeState state, VolumeCreated e) {
    long eventNr = state.eventNr() + 1;
    Mark base = new Mark(0, e.timeMicros());
    return new Created(
        new Ledger(
            eventNr,
            eventNr,
            new Ledger.Settings(e.volume(), e.sizeBytes(), e.synchronous(), e.timeMicros()),
            1,
            Tap.NONE,
            base,
            base,
            new Ledger.Counts(0, 0, 0),
            List.of(),
            new Indexed(List.of(), eventNr + 1, 0, 0),
            new Ledger.Chores(List.of(), state.doomed()),
            Retained.ALL,
            Ledger.Continuity.NONE,
            Standing.PRIMARY));
  }

  private static VolumeState deleted(Live live) {
    Ledger last = live.ledger().next();
    Doomed doomed =
        new Doomed(
            last.settings().volume(),
            last.tap().session(),
            last.bornEventNr(),
            last.eventNr(),
            doomedTrees(last),
            doomedNodes(last));
    return new Deleted(last.eventNr(), last.chores().withDoomed(doomed).doomed());
  }

  private static List<NodeHeader> doomedTrees(Ledger last) {
    List<NodeHeader> trees = new ArrayList<>(last.index().frontier());
    trees.addAll(last.retained().layers());
    last.retained().freed().forEach(freed -> trees.addAll(freed.trees()));
    return List.copyOf(trees);
  }

  private static List<Long> doomedNodes(Ledger last) {
    List<Long> nodes = new ArrayList<>();
    last.retained().freed().forEach(freed -> nodes.addAll(freed.nodes()));
    last.retained().running().ifPresent(running -> nodes.addAll(running.nodeIds()));
    if (last.retained().runs().id() != 0) {
      nodes.add(last.retained().runs().id());
    }
    return List.copyOf(nodes);
  }

  private static VolumeState freed(VolumeState state, StorageFreed e) {
    if (state instanceof Live live) {
      Ledger ledger = live.ledger().next();
      return with(live, ledger.withChores(ledger.chores().withoutDoomed(e.volume())));
    }
    List<Doomed> rest =
        state.doomed().stream().filter(d -> !d.volume().equals(e.volume())).toList();
    return state instanceof Deleted
        ? new Deleted(state.eventNr() + 1, rest)
        : new Absent(state.eventNr() + 1, rest);
  }

  private static VolumeState segment(Live live, Ledger ledger, SegmentJournaled e) {
    Tap tap = ledger.tap();
    Ledger longer =
        ledger
            .withHead(new Mark(e.lastSeq(), e.lastTimeMicros()))
            .withCounts(ledger.counts().plus(e))
            .withIndex(ledger.index().plus(e.writes()))
            .withTap(
                new Tap(
                    tap.session(),
                    tap.tapId(),
                    tap.address(),
                    tap.attached(),
                    e.number() & 0xffff_ffffL));
    if (live instanceof Created) {
      return new Protected(longer);
    }
    if (e.sync() && live instanceof Synchronizing s) {
      return new Synchronizing(longer, withContent(s.sync()));
    }
    if (e.sync() && live instanceof Resyncing s) {
      return new Resyncing(longer, withContent(s.sync()));
    }
    return with(live, longer);
  }

  private static OpenSync withContent(OpenSync s) {
    return new OpenSync(s.firstSeq(), s.before(), s.gapEnd(), true, s.reason());
  }

  private static VolumeState gap(Live live, Ledger ledger, GapRecorded e) {
    Mark end = new Mark(e.lastSeq(), e.timeMicros());
    OpenSync sync =
        live.openSync()
            .map(s -> new OpenSync(s.firstSeq(), s.before(), end, s.content(), s.reason()))
            .orElseGet(() -> new OpenSync(e.firstSeq(), ledger.head(), end, false, e.reason()));
    Ledger longer = ledger.withHead(end).withContinuity(ledger.continuity().withGap(e.firstSeq()));
    return live instanceof Created || live instanceof Synchronizing
        ? new Synchronizing(longer, sync)
        : new Resyncing(longer, sync);
  }

  /**
   * The newest write is a recovery point again. When nothing differed, everything after the gap was
   * captured on top of the right content: only the writes inside the gap but its last stay dark, so
   * that a gap of one seq, which stands for "maybe lost", leaves no trace (V4).
   */
  private static VolumeState synced(Live live, Ledger ledger, SyncCompleted e) {
    if (live instanceof Synchronizing) {
      return new Protected(ledger.withHorizon(ledger.head()));
    }
    OpenSync sync = live.openSync().orElse(null);
    if (sync == null) {
      return with(live, ledger);
    }
    boolean same = !sync.content() && e.differentBytes() == 0;
    Mark after = same ? sync.gapEnd() : ledger.head();
    if (after.seq() - 1 < sync.firstSeq()) {
      return new Protected(ledger);
    }
    return new Protected(
        ledger.withDark(
            new DarkInterval(
                sync.firstSeq(),
                after.seq() - 1,
                sync.before().timeMicros(),
                after.timeMicros(),
                sync.reason())));
  }

  private static Indexed advanced(Indexed index, IndexAdvanced e) {
    List<NodeHeader> frontier = new ArrayList<>(index.frontier());
    if (e.replaced().isEmpty()) {
      frontier.add(e.node());
      return new Indexed(
          List.copyOf(frontier),
          e.node().lastEventNr() + 1,
          index.tailSegments() - e.segments(),
          index.tailWrites() - e.writes());
    }
    int at = 0;
    while (frontier.get(at).id() != e.replaced().get(0)) {
      at++;
    }
    frontier.removeIf(node -> e.replaced().contains(node.id()));
    frontier.add(at, e.node());
    return new Indexed(
        List.copyOf(frontier), index.tailFromEventNr(), index.tailSegments(), index.tailWrites());
  }

  private static VolumeState with(Live live, Ledger ledger) {
    if (live instanceof Synchronizing s) {
      return new Synchronizing(ledger, s.sync());
    }
    if (live instanceof Resyncing s) {
      return new Resyncing(ledger, s.sync());
    }
    return live instanceof Created ? new Created(ledger) : new Protected(ledger);
  }
}
