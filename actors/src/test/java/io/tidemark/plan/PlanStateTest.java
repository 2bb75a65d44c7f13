package io.tidemark.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanRun.Outcome;
import io.tidemark.plan.PlanRun.TaskKind;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.plan.PlanState.Live;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** Which run may follow which, what a run is made of, and what a plan may be. */
class PlanStateTest {
  private static final VolumeName DISK = new VolumeName("disk");
  private static final PlanSpec SPEC = spec(List.of());

  private static PlanSpec spec(List<Hook> hooks) {
    Step step =
        new Step("one", Optional.empty(), List.of(DISK), hooks, hooks, hooks, Optional.empty());
    return new PlanSpec("p", List.of(step), "a", "b", 60, AfterLimit.ROLLBACK, 0, 0);
  }

  private static PlanRun run(Kind kind, String from, String to) {
    PlanRun.Volume volume = new PlanRun.Volume(DISK, 512, 1, new UUID(1, 2), 7, false, -1, 0, 0, 0);
    return new PlanRun(
        new UUID(3, 4),
        1,
        kind,
        from,
        to,
        "latest",
        PlanRun.tasks(SPEC, kind, from, to),
        0,
        List.of(),
        List.of(volume),
        100,
        0,
        0);
  }

  private static Live ready() {
    return (Live) PlanState.apply(PlanState.EMPTY, new PlanEvent.PlanCreated(SPEC, 1));
  }

  private static Live ended(Live before, PlanRun run) {
    Live state = (Live) PlanState.apply(before, new PlanEvent.RunBegan(run));
    for (int i = 0; i < run.tasks().size(); i++) {
      state =
          (Live)
              PlanState.apply(
                  state, new PlanEvent.TaskDone(i, new Outcome(true, 7, 6, 2, -1, "done"), 200));
    }
    return (Live) PlanState.apply(state, new PlanEvent.RunEnded(300));
  }

  private static Set<Kind> allowed(Live state) {
    Set<Kind> kinds = EnumSet.noneOf(Kind.class);
    for (Kind kind : Kind.values()) {
      Optional<Refusal> refusal = PlanState.refuse(state, kind, "b");
      refusal.ifPresent(r -> assertEquals(ErrorCode.BUSY, r.code()));
      if (refusal.isEmpty()) {
        kinds.add(kind);
      }
    }
    return kinds;
  }

  /** Every kind of run in every state is either begun or refused with BUSY. */
  @Test
  void shouldAllowWhatFollows() {
    assertEquals(EnumSet.of(Kind.PLANNED, Kind.FORCED, Kind.TEST), allowed(ready()));
    Live active =
        (Live) PlanState.apply(ready(), new PlanEvent.RunBegan(run(Kind.PLANNED, "a", "b")));
    assertEquals("FailingOver", active.text());
    assertEquals(EnumSet.noneOf(Kind.class), allowed(active));
    Live over = ended(ready(), run(Kind.PLANNED, "a", "b"));
    assertEquals("FailedOver", over.text());
    assertEquals(300 + 60_000_000L, ((PlanState.FailedOver) over).untilMicros());
    assertEquals(EnumSet.of(Kind.COMMIT, Kind.ROLLBACK), allowed(over));
    Live committed = ended(over, run(Kind.COMMIT, "a", "b"));
    assertEquals("Committed", committed.text());
    assertEquals(EnumSet.noneOf(Kind.class), allowed(committed));
    assertEquals("Ready", ended(over, run(Kind.ROLLBACK, "a", "b")).text());
    Live tested = ended(ready(), run(Kind.TEST, "a", "b"));
    assertEquals(EnumSet.of(Kind.CLEANUP), allowed(tested));
    Live there =
        (Live) PlanState.apply(ready(), new PlanEvent.RunNoted(new PlanNote(2, "b", "Committed")));
    assertEquals(EnumSet.of(Kind.FAILBACK, Kind.FORCED), allowed(there));
    assertEquals("Ready", ended(there, run(Kind.FAILBACK, "b", "a")).text());
    assertEquals("Ready", ended(over, run(Kind.COMMIT, "b", "a")).text());
  }

  /** What failed is taken up again or rolled back; before a promotion it may also be begun anew. */
  @Test
  void shouldGoOnAfterAFailure() {
    PlanRun run = run(Kind.PLANNED, "a", "b");
    PlanEvent failure = new PlanEvent.RunFailed(0, ErrorCode.FAILED, "no", 5);
    Live early =
        (Live) PlanState.apply(PlanState.apply(ready(), new PlanEvent.RunBegan(run)), failure);
    assertEquals(EnumSet.of(Kind.PLANNED, Kind.FORCED, Kind.ROLLBACK), allowed(early));
    assertTrue(PlanState.resumes(early, Kind.PLANNED));
    assertFalse(PlanState.resumes(early, Kind.FORCED));
    PlanState late = PlanState.apply(ready(), new PlanEvent.RunBegan(run));
    for (int i = 0; run.tasks().get(i).kind() != TaskKind.PROMOTE; i++) {
      late =
          PlanState.apply(
              late, new PlanEvent.TaskDone(i, new Outcome(true, 7, 0, 1, -1, "done"), 9));
    }
    Live failed = (Live) PlanState.apply(late, failure);
    assertEquals(EnumSet.of(Kind.PLANNED, Kind.ROLLBACK), allowed(failed));
    PlanRun.Volume maybe = failed.run().orElseThrow().asPromoted().get(0);
    assertEquals(2, maybe.promotedEpoch(), "its promotion may have been carried out");
    assertEquals(7, maybe.forkSeq());
  }

  /** A planned run fences after the drain and promotes after the fence (P3). */
  @Test
  void shouldOrderTheTasksOfARun() {
    Hook left = new Hook("a", "x.sh", List.of(), 1, 0);
    Hook entered = new Hook("b", "x.sh", List.of(), 1, 0);
    List<TaskKind> planned =
        PlanRun.tasks(spec(List.of(left, entered)), Kind.PLANNED, "a", "b").stream()
            .map(PlanRun.Task::kind)
            .toList();
    assertEquals(
        List.of(
            TaskKind.NOTE,
            TaskKind.PRE,
            TaskKind.SHUT,
            TaskKind.DRAIN,
            TaskKind.FENCE,
            TaskKind.PROMOTE,
            TaskKind.POST,
            TaskKind.CHECK,
            TaskKind.TELL),
        planned);
    assertTrue(
        PlanRun.tasks(SPEC, Kind.FORCED, "a", "b").stream()
            .filter(task -> task.kind() == TaskKind.NOTE || task.kind() == TaskKind.TRY_FENCE)
            .noneMatch(PlanRun.Task::must));
  }

  private static ErrorCode refused(PlanSpec spec) {
    return assertThrows(Refusal.class, spec::checked).code();
  }

  @Test
  void shouldRefuseWhatNoPlanCanBe() {
    assertEquals(SPEC, SPEC.checked());
    Step step = SPEC.steps().get(0);
    assertEquals(
        ErrorCode.INVALID,
        refused(new PlanSpec("p", List.of(), "a", "b", 0, AfterLimit.STAY, 0, 0)));
    assertEquals(
        ErrorCode.INVALID,
        refused(new PlanSpec("p", List.of(step), "a", "a", 0, AfterLimit.STAY, 0, 0)));
    assertEquals(
        ErrorCode.INVALID,
        refused(new PlanSpec("p", List.of(step, step), "a", "b", 0, AfterLimit.STAY, 0, 0)));
    assertEquals(ErrorCode.INVALID, refused(spec(List.of(new Hook("c", "x.sh", List.of(), 1, 0)))));
    assertEquals(
        ErrorCode.INVALID, refused(spec(List.of(new Hook("a", "../x.sh", List.of(), 1, 0)))));
    assertEquals(ErrorCode.INVALID, refused(spec(List.of(new Hook("a", "x.sh", List.of(), 0, 0)))));
    assertEquals(
        ErrorCode.INVALID,
        assertThrows(Refusal.class, () -> new RunOrder(Kind.PLANNED, "seq:4", List.of()).checked())
            .code());
  }
}
