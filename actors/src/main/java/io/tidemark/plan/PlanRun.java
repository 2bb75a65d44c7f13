package io.tidemark.plan;

import io.tidemark.plan.PlanNote.Fork;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.position.VolumeName;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * One run of a plan: what is to be done, how far it is and what came of it.
 *
 * @param generation larger than that of every earlier run of the plan
 * @param from the site that volumes leave
 * @param to the site that they go on at, whose entity carries the run out
 * @param at the point, for a forced failover or a test
 * @param next the task that is under way; the number of tasks once all are done
 * @param outcomes of the tasks that are done
 * @param promotedMicros when the last volume was promoted, 0 before
 * @param endedMicros when it ended, 0 before
 */
public record PlanRun(
    UUID id,
    long generation,
    Kind kind,
    String from,
    String to,
    String at,
    List<Task> tasks,
    int next,
    List<Outcome> outcomes,
    List<Volume> volumes,
    long startedMicros,
    long promotedMicros,
    long endedMicros) {

  /** What a run does. */
  public enum Kind {
    PLANNED("FailingOver"),
    FORCED("FailingOver"),
    TEST("Testing"),
    COMMIT("Committing"),
    ROLLBACK("RollingBack"),
    FAILBACK("FailingBack"),
    CLEANUP("CleaningUp");

    private final String text;

    Kind(String text) {
      this.text = text;
    }

    /** The state of the plan meanwhile. */
    public String text() {
      return text;
    }

    boolean movesVolumes() {
      return this == PLANNED || this == FORCED || this == FAILBACK;
    }
  }

  /** What one task is. */
  public enum TaskKind {
    /** An automatic failover only: who agreed to it. */
    AGREE,
    NOTE,
    PRE,
    SHUT,
    TAG,
    DRAIN,
    FENCE,
    TRY_FENCE,
    REWIND,
    PROMOTE,
    POST,
    CHECK,
    IMAGE,
    CLOSE_IMAGE,
    RETIRE,
    RETURN,
    REVERSE,
    FOLLOW,
    TELL
  }

  /**
   * One task.
   *
   * @param step its number, -1 for none
   * @param hook the number of the hook in the step's list, -1 for none
   * @param must whether the run ends when it fails
   */
  public record Task(TaskKind kind, int step, Optional<VolumeName> volume, int hook, boolean must) {

    /** For people. */
    public String text() {
      return kind.name().toLowerCase(java.util.Locale.ROOT)
          + volume.map(v -> " " + v).orElse("")
          + (hook < 0 ? "" : " " + (hook + 1));
    }
  }

  /**
   * What came of a task.
   *
   * @param succeeded false only of a task that the run may do without
   * @param seq a position that it found, -1 for none
   * @param micros its time, 0 for none
   * @param epoch that it found or made, 0 for none
   * @param bytes that it counted, -1 for none
   * @param words for people
   */
  public record Outcome(
      boolean succeeded, long seq, long micros, long epoch, long bytes, String words) {
    static final int WORDS_MAX = 1_000;

    public Outcome {
      words = words.length() <= WORDS_MAX ? words : words.substring(0, WORDS_MAX - 3) + "...";
    }

    static Outcome of(String words) {
      return new Outcome(true, -1, 0, 0, -1, words);
    }
  }

  /**
   * A volume on its way.
   *
   * @param epoch that it was in before
   * @param lane of the link that brings it to the site it goes on at; the zero id when unknown
   * @param sourceHead the source's last write as far as it is known, -1 when it is not
   * @param fenced whether the source is written by nobody any more, so that this is its last
   * @param forkSeq what the promoted volume began with, -1 before
   * @param forkMicros its time
   * @param promotedEpoch 0 before
   * @param lagBytes what the target lacked when it was asked last, -1 when it is not known
   * @param parted where the two sites' histories parted in an earlier run that was not settled
   */
  public record Volume(
      VolumeName name,
      long sizeBytes,
      long epoch,
      UUID lane,
      long sourceHead,
      boolean fenced,
      long forkSeq,
      long forkMicros,
      long promotedEpoch,
      long lagBytes,
      Optional<Fork> parted) {

    public Volume {
      parted = parted == null ? Optional.empty() : parted; // Runs of version 1 have none.
    }

    /** Of a volume that no earlier run left halfway. */
    public Volume(
        VolumeName name,
        long sizeBytes,
        long epoch,
        UUID lane,
        long sourceHead,
        boolean fenced,
        long forkSeq,
        long forkMicros,
        long promotedEpoch,
        long lagBytes) {
      this(
          name,
          sizeBytes,
          epoch,
          lane,
          sourceHead,
          fenced,
          forkSeq,
          forkMicros,
          promotedEpoch,
          lagBytes,
          Optional.empty());
    }

    /** Writes that were lost; empty while they cannot be counted. */
    public Optional<Long> lostWrites() {
      return forkSeq < 0 || sourceHead < 0
          ? Optional.empty()
          : Optional.of(Math.max(0, sourceHead - common().seq()));
    }

    /** The newest write that the promoted volume and its source both have; once it is known. */
    Fork common() {
      return parted
          .filter(fork -> fork.seq() < forkSeq)
          .orElseGet(() -> new Fork(name, forkSeq, forkMicros));
    }

    Volume fencedAt(long seq) {
      return new Volume(
          name,
          sizeBytes,
          epoch,
          lane,
          seq,
          true,
          forkSeq,
          forkMicros,
          promotedEpoch,
          lagBytes,
          parted);
    }

    Volume promoted(long seq, long micros, long newEpoch) {
      return new Volume(
          name,
          sizeBytes,
          epoch,
          lane,
          sourceHead,
          fenced,
          seq,
          micros,
          newEpoch,
          lagBytes,
          parted);
    }
  }

  public PlanRun {
    tasks = List.copyOf(tasks);
    outcomes = List.copyOf(outcomes);
    volumes = List.copyOf(volumes);
  }

  /** The volume of that name. */
  Volume volume(VolumeName name) {
    return volumes.stream().filter(v -> v.name().equals(name)).findFirst().orElseThrow();
  }

  /** Whether any volume may be a primary where it goes on. */
  boolean promotedAny() {
    return tasks.stream().limit(next + 1L).anyMatch(task -> task.kind() == TaskKind.PROMOTE);
  }

  /** Whether the other site took the outcome. */
  boolean told() {
    int last = tasks.size() - 1;
    return tasks.get(last).kind() == TaskKind.TELL
        && outcomes.size() > last
        && outcomes.get(last).succeeded();
  }

  /** The volumes, those whose promotion was begun as promoted ones. */
  List<Volume> asPromoted() {
    return volumes.stream()
        .map(v -> v.promotedEpoch() == 0 && promotionBegun(v.name()) ? begun(v) : v)
        .toList();
  }

  private Volume begun(Volume v) {
    long fork = v.forkSeq() >= 0 ? v.forkSeq() : v.sourceHead();
    return v.promoted(fork, v.forkMicros(), nextEpoch(v));
  }

  /** The epoch that the volume is promoted to in this run, or was. */
  long nextEpoch(Volume volume) {
    return volume.promotedEpoch() > 0
        ? volume.promotedEpoch()
        : epochAfter(volume.epoch(), to, from);
  }

  /**
   * The epoch that a volume begins at {@code site}: of two sites the one that comes first by name
   * begins odd epochs only, and the other one even epochs only (P9).
   */
  static long epochAfter(long epoch, String site, String other) {
    boolean odd = site.compareTo(other) < 0;
    long next = epoch + 1;
    return next % 2 != 0 == odd ? next : next + 1;
  }

  private boolean promotionBegun(VolumeName name) {
    return tasks.stream()
        .limit(next + 1L)
        .anyMatch(t -> t.kind() == TaskKind.PROMOTE && t.volume().equals(Optional.of(name)));
  }

  /** The run after the task under way. */
  PlanRun done(Outcome outcome, long micros) {
    Task task = tasks.get(next);
    List<Outcome> more = new ArrayList<>(outcomes);
    more.add(outcome);
    List<Volume> changed = new ArrayList<>(volumes);
    boolean promoted = task.kind() == TaskKind.PROMOTE;
    task.volume()
        .ifPresent(
            name -> changed.replaceAll(v -> v.name().equals(name) ? after(v, task, outcome) : v));
    return new PlanRun(
        id,
        generation,
        kind,
        from,
        to,
        at,
        tasks,
        next + 1,
        more,
        changed,
        startedMicros,
        promoted ? micros : promotedMicros,
        endedMicros);
  }

  private static Volume after(Volume volume, Task task, Outcome outcome) {
    if (!outcome.succeeded()) {
      return volume;
    }
    return switch (task.kind()) {
      case FENCE, TRY_FENCE -> volume.fencedAt(outcome.seq());
      case REWIND -> volume.promoted(outcome.seq(), outcome.micros(), 0);
      case PROMOTE -> volume.promoted(outcome.seq(), outcome.micros(), outcome.epoch());
      default -> volume;
    };
  }

  /** The old source was reached later: it is fenced, and this is its last write (P4). */
  PlanRun fenced(VolumeName name, long seq) {
    return with(volumes.stream().map(v -> v.name().equals(name) ? v.fencedAt(seq) : v).toList());
  }

  private PlanRun with(List<Volume> changed) {
    return new PlanRun(
        id,
        generation,
        kind,
        from,
        to,
        at,
        tasks,
        next,
        outcomes,
        changed,
        startedMicros,
        promotedMicros,
        endedMicros);
  }

  PlanRun ended(long micros) {
    return new PlanRun(
        id,
        generation,
        kind,
        from,
        to,
        at,
        tasks,
        next,
        outcomes,
        volumes,
        startedMicros,
        promotedMicros,
        micros);
  }

  /** Whether nobody ordered it. */
  public boolean automatic() {
    return !tasks.isEmpty() && tasks.get(0).kind() == TaskKind.AGREE;
  }

  /** The same run, agreed to by others than an operator. */
  PlanRun agreed() {
    List<Task> more = new ArrayList<>();
    more.add(new Task(TaskKind.AGREE, -1, Optional.empty(), -1, true));
    more.addAll(tasks);
    return new PlanRun(
        id,
        generation,
        kind,
        from,
        to,
        at,
        more,
        next,
        outcomes,
        volumes,
        startedMicros,
        promotedMicros,
        endedMicros);
  }

  /** The tasks of such a run, in order. */
  static List<Task> tasks(PlanSpec spec, Kind kind, String from, String to) {
    List<Task> tasks = new ArrayList<>();
    boolean forced = kind == Kind.FORCED;
    switch (kind) {
      case PLANNED, FORCED, FAILBACK -> {
        tasks.add(new Task(TaskKind.NOTE, -1, Optional.empty(), -1, !forced));
        leave(tasks, spec, from, kind);
        if (forced) {
          each(tasks, spec, TaskKind.REWIND);
        }
        arrive(tasks, spec, to);
        if (kind == Kind.FAILBACK) {
          each(tasks, spec, TaskKind.REVERSE);
          tasks.add(new Task(TaskKind.FOLLOW, -1, Optional.empty(), -1, true));
        }
        tasks.add(new Task(TaskKind.TELL, -1, Optional.empty(), -1, !forced));
      }
      case TEST -> {
        each(tasks, spec, TaskKind.IMAGE);
        for (int i = 0; i < spec.steps().size(); i++) {
          hooks(tasks, TaskKind.CHECK, i, spec.steps().get(i).checks(), to, false);
        }
      }
      case CLEANUP -> each(tasks, spec, TaskKind.CLOSE_IMAGE);
      case COMMIT -> {
        each(tasks, spec, TaskKind.FENCE);
        each(tasks, spec, TaskKind.REVERSE);
        tasks.add(new Task(TaskKind.FOLLOW, -1, Optional.empty(), -1, true));
        tasks.add(new Task(TaskKind.TELL, -1, Optional.empty(), -1, true));
      }
      case ROLLBACK -> {
        // Back from 'to' to 'from': what was left comes to be again. Nothing is stopped here before
        // the other site has answered.
        tasks.add(new Task(TaskKind.NOTE, -1, Optional.empty(), -1, true));
        for (int i = spec.steps().size() - 1; i >= 0; i--) {
          hooks(tasks, TaskKind.PRE, i, spec.steps().get(i).pre(), to, false);
        }
        each(tasks, spec, TaskKind.RETIRE);
        for (int i = 0; i < spec.steps().size(); i++) {
          for (VolumeName volume : spec.steps().get(i).volumes()) {
            tasks.add(new Task(TaskKind.RETURN, i, Optional.of(volume), -1, true));
          }
          hooks(tasks, TaskKind.POST, i, spec.steps().get(i).post(), from, true);
          hooks(tasks, TaskKind.CHECK, i, spec.steps().get(i).checks(), from, false);
        }
        tasks.add(new Task(TaskKind.TELL, -1, Optional.empty(), -1, true));
      }
    }
    return tasks;
  }

  private static void each(List<Task> tasks, PlanSpec spec, TaskKind kind) {
    for (int i = 0; i < spec.steps().size(); i++) {
      for (VolumeName volume : spec.steps().get(i).volumes()) {
        tasks.add(new Task(kind, i, Optional.of(volume), -1, true));
      }
    }
  }

  private static void leave(List<Task> tasks, PlanSpec spec, String from, Kind kind) {
    boolean forced = kind == Kind.FORCED;
    for (int i = spec.steps().size() - 1; i >= 0; i--) {
      Step step = spec.steps().get(i);
      hooks(tasks, TaskKind.PRE, i, step.pre(), from, !forced);
      if (!forced) {
        for (VolumeName volume : step.volumes()) {
          tasks.add(new Task(TaskKind.SHUT, i, Optional.of(volume), -1, true));
        }
        if (step.group().isPresent()) {
          tasks.add(new Task(TaskKind.TAG, i, Optional.empty(), -1, false));
        }
      }
    }
    if (forced) {
      for (VolumeName volume : spec.volumes()) {
        tasks.add(new Task(TaskKind.TRY_FENCE, -1, Optional.of(volume), -1, false));
      }
      return;
    }
    each(tasks, spec, TaskKind.DRAIN);
    each(tasks, spec, TaskKind.FENCE);
  }

  private static void arrive(List<Task> tasks, PlanSpec spec, String to) {
    each(tasks, spec, TaskKind.PROMOTE);
    for (int i = 0; i < spec.steps().size(); i++) {
      hooks(tasks, TaskKind.POST, i, spec.steps().get(i).post(), to, true);
      hooks(tasks, TaskKind.CHECK, i, spec.steps().get(i).checks(), to, true);
    }
  }

  private static void hooks(
      List<Task> tasks, TaskKind kind, int step, List<Hook> hooks, String site, boolean must) {
    for (int i = 0; i < hooks.size(); i++) {
      if (hooks.get(i).site().equals(site)) {
        tasks.add(new Task(kind, step, Optional.empty(), i, must));
      }
    }
  }
}
