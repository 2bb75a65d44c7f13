package io.tidemark.plan;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.plan.PlanEvent.AutomaticSet;
import io.tidemark.plan.PlanEvent.PlanCreated;
import io.tidemark.plan.PlanEvent.RunBegan;
import io.tidemark.plan.PlanEvent.RunEnded;
import io.tidemark.plan.PlanEvent.RunFailed;
import io.tidemark.plan.PlanEvent.RunNoted;
import io.tidemark.plan.PlanEvent.RunResumed;
import io.tidemark.plan.PlanEvent.SourceFenced;
import io.tidemark.plan.PlanEvent.TaskDone;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import java.util.Optional;

/** A plan's state at one site and its transitions: pure, immutable, without clock or chance. */
public sealed interface PlanState extends TidemarkMessage {
  PlanState EMPTY = new Absent();

  /** There is no plan of the name. */
  @JsonTypeName("plan-state-absent")
  record Absent() implements PlanState {}

  /** Volumes are where they are in ordinary times; {@code last} is the run that ended last. */
  @JsonTypeName("plan-state-ready")
  record Ready(PlanSpec spec, long generation, Optional<PlanRun> last) implements Live {
    @Override
    public Optional<PlanRun> run() {
      return last;
    }

    @Override
    public String text() {
      return "Ready";
    }
  }

  /** A run is under way here. */
  @JsonTypeName("plan-state-active")
  record Active(PlanSpec spec, PlanRun current) implements Busy {
    @Override
    public long generation() {
      return current.generation();
    }

    @Override
    public String text() {
      return current.kind().text();
    }
  }

  /** A run cannot go on by itself. */
  @JsonTypeName("plan-state-failed")
  record Failed(PlanSpec spec, PlanRun current, ErrorCode code, String reason) implements Busy {
    @Override
    public long generation() {
      return current.generation();
    }

    @Override
    public String text() {
      return "Failed";
    }
  }

  /** The images of a test are open. */
  @JsonTypeName("plan-state-tested")
  record Tested(PlanSpec spec, PlanRun current) implements Settled {
    @Override
    public String text() {
      return "Tested";
    }
  }

  /**
   * Volumes are primaries here, and the old source can still be returned to.
   *
   * @param untilMicros when the plan says what becomes of it, 0 for never
   */
  @JsonTypeName("plan-state-failed-over")
  record FailedOver(PlanSpec spec, PlanRun current, long untilMicros) implements Settled {
    @Override
    public String text() {
      return "FailedOver";
    }
  }

  /** The old source follows this site. */
  @JsonTypeName("plan-state-committed")
  record Committed(PlanSpec spec, PlanRun current) implements Settled {
    @Override
    public String text() {
      return "Committed";
    }
  }

  /** The other site carries a run out, or did. */
  @JsonTypeName("plan-state-elsewhere")
  record Elsewhere(PlanSpec spec, PlanNote note) implements Live {
    @Override
    public long generation() {
      return note.generation();
    }

    @Override
    public Optional<PlanRun> run() {
      return Optional.empty();
    }

    @Override
    public String text() {
      return note.state();
    }
  }

  /** There is a plan. */
  sealed interface Live extends PlanState permits Ready, Busy, Settled, Elsewhere {
    PlanSpec spec();

    /** Of the newest run that is known of. */
    long generation();

    /** That is under way or was last. */
    Optional<PlanRun> run();

    /** As administrators read it. */
    String text();
  }

  /** A run of this site's has begun and not ended. */
  sealed interface Busy extends Live permits Active, Failed {
    PlanRun current();

    @Override
    default Optional<PlanRun> run() {
      return Optional.of(current());
    }
  }

  /** A run of this site's has ended, and another one will follow from it. */
  sealed interface Settled extends Live permits Tested, FailedOver, Committed {
    PlanRun current();

    @Override
    default long generation() {
      return current().generation();
    }

    @Override
    default Optional<PlanRun> run() {
      return Optional.of(current());
    }
  }

  /** Why a run of that kind cannot begin, or be taken up again, at {@code here}. */
  static Optional<Refusal> refuse(Live state, Kind kind, String here) {
    boolean fits =
        switch (kind) {
          case PLANNED -> state instanceof Ready || again(state, kind) || unpromoted(state);
          case FORCED ->
              state instanceof Ready
                  || again(state, kind)
                  || unpromoted(state)
                  || state instanceof Elsewhere;
          case TEST -> state instanceof Ready || again(state, kind);
          case CLEANUP -> state instanceof Tested || testing(state);
          case COMMIT -> state instanceof FailedOver || again(state, kind);
          case ROLLBACK ->
              state instanceof FailedOver
                  || again(state, kind)
                  || state instanceof Failed f && f.current().kind().movesVolumes();
          case FAILBACK ->
              state instanceof Elsewhere e && e.text().equals("Committed") || again(state, kind);
        };
    if (fits) {
      return Optional.empty();
    }
    boolean runs =
        state instanceof Active || state instanceof Elsewhere e && e.text().endsWith("ing");
    return Optional.of(
        new Refusal(
            ErrorCode.BUSY,
            "plan '%s' is %s%s; it cannot be %s now"
                .formatted(
                    state.spec().name(),
                    state.text(),
                    runs ? ", ordered before" : "",
                    wanted(kind))));
  }

  private static String wanted(Kind kind) {
    return switch (kind) {
      case PLANNED, FORCED -> "failed over";
      case TEST -> "tested";
      case CLEANUP -> "cleaned up";
      case COMMIT -> "committed: only what has failed over can be";
      case ROLLBACK -> "rolled back: only what has failed over or failed can be";
      case FAILBACK -> "failed back: only what is committed at the other site can be";
    };
  }

  private static boolean again(Live state, Kind kind) {
    return state instanceof Failed failed && failed.current().kind() == kind;
  }

  private static boolean testing(Live state) {
    return state instanceof Failed f
        && (f.current().kind() == Kind.TEST || f.current().kind() == Kind.CLEANUP);
  }

  /** A failover that failed before anything was promoted may be begun anew. */
  private static boolean unpromoted(Live state) {
    return state instanceof Failed failed
        && (failed.current().kind() == Kind.PLANNED || failed.current().kind() == Kind.FORCED)
        && !failed.current().promotedAny();
  }

  /** Whether the order takes a failed run up again, instead of beginning another. */
  static boolean resumes(Live state, Kind kind) {
    return again(state, kind) && !(unpromoted(state) && kind == Kind.FORCED);
  }

  /** The state after {@code event}. */
  static PlanState apply(PlanState state, PlanEvent event) {
    if (event instanceof PlanCreated e) {
      return new Ready(e.spec(), 0, Optional.empty());
    }
    if (!(state instanceof Live live)) {
      throw new IllegalStateException(event + " happened to a plan that does not exist");
    }
    if (event instanceof RunBegan e) {
      return new Active(live.spec(), e.run());
    }
    if (event instanceof RunNoted e) {
      return e.note().state().equals("Ready")
          ? new Ready(live.spec(), e.note().generation(), Optional.empty())
          : new Elsewhere(live.spec(), e.note());
    }
    if (event instanceof SourceFenced e) {
      return fenced(live, e);
    }
    if (event instanceof AutomaticSet e) {
      return with(live, live.spec().with(e.automatic()));
    }
    if (event instanceof RunResumed && live instanceof Failed failed) {
      return new Active(failed.spec(), failed.current());
    }
    if (live instanceof Active active) {
      if (event instanceof TaskDone e) {
        return new Active(active.spec(), active.current().done(e.outcome(), e.timeMicros()));
      }
      if (event instanceof RunFailed e) {
        return new Failed(active.spec(), active.current(), e.code(), e.reason());
      }
      if (event instanceof RunEnded e) {
        return ended(active, e.timeMicros());
      }
    }
    throw new IllegalStateException("no transition for " + event + " in " + live.text());
  }

  private static PlanState with(Live live, PlanSpec spec) {
    if (live instanceof Ready ready) {
      return new Ready(spec, ready.generation(), ready.last());
    }
    if (live instanceof Active active) {
      return new Active(spec, active.current());
    }
    if (live instanceof Failed failed) {
      return new Failed(spec, failed.current(), failed.code(), failed.reason());
    }
    if (live instanceof Tested tested) {
      return new Tested(spec, tested.current());
    }
    if (live instanceof FailedOver over) {
      return new FailedOver(spec, over.current(), over.untilMicros());
    }
    if (live instanceof Committed committed) {
      return new Committed(spec, committed.current());
    }
    return new Elsewhere(spec, ((Elsewhere) live).note());
  }

  private static PlanState ended(Active active, long micros) {
    PlanSpec spec = active.spec();
    PlanRun run = active.current().ended(micros);
    return switch (run.kind()) {
      case PLANNED, FORCED ->
          new FailedOver(
              spec,
              run,
              spec.commitWithinSeconds() == 0
                  ? 0
                  : micros + spec.commitWithinSeconds() * 1_000_000L);
      case TEST -> new Tested(spec, run);
      case COMMIT ->
          run.to().equals(spec.source())
              ? new Ready(spec, run.generation(), Optional.of(run))
              : new Committed(spec, run);
      case ROLLBACK, FAILBACK, CLEANUP -> new Ready(spec, run.generation(), Optional.of(run));
    };
  }

  private static PlanState fenced(Live live, SourceFenced e) {
    if (live instanceof FailedOver over) {
      return new FailedOver(
          over.spec(), over.current().fenced(e.volume(), e.headSeq()), over.untilMicros());
    }
    throw new IllegalStateException("no transition for " + e + " in " + live.text());
  }
}
