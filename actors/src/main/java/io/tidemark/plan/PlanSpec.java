package io.tidemark.plan;

import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * What a plan is, the same at both of its sites.
 *
 * @param source the site that the volumes are at in ordinary times
 * @param target the site that they go on at
 * @param commitWithinSeconds how long a failover waits for its commit, 0 for ever
 * @param afterLimit what becomes of it then
 * @param rpoSeconds the loss that is accepted, 0 for no objective
 * @param rtoSeconds the time that a failover may take, 0 for no objective
 * @param automatic whether and how a failover happens without an order
 */
public record PlanSpec(
    String name,
    List<Step> steps,
    String source,
    String target,
    int commitWithinSeconds,
    AfterLimit afterLimit,
    int rpoSeconds,
    int rtoSeconds,
    Optional<Automatic> automatic) {
  public static final int STEPS_MAX = 32;
  public static final int VOLUMES_MAX = 64;
  public static final int HOOKS_MAX = 16;
  public static final int ARGUMENTS_MAX = 16;
  public static final int TEXT_MAX = 1_000;
  public static final int LIMIT_SECONDS_MAX = 3_600;
  public static final int RETRIES_MAX = 100;
  public static final int COMMIT_SECONDS_MAX = 30 * 24 * 3_600;
  private static final Pattern PROGRAM = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");

  /** What becomes of a failover that is not committed in time. */
  public enum AfterLimit {
    STAY,
    COMMIT,
    ROLLBACK
  }

  /**
   * Volumes that fail over together, with what has to happen around them.
   *
   * @param group whose volumes they are, if they are a group's: a final tag is taken of it
   * @param pre run before its volumes are stopped, where they are left
   * @param post run after its volumes were promoted, where they go on
   * @param checks run after that, there; and on the images of a test
   */
  public record Step(
      String name,
      Optional<String> group,
      List<VolumeName> volumes,
      List<Hook> pre,
      List<Hook> post,
      List<Hook> checks,
      Optional<Start> start) {
    public Step {
      volumes = List.copyOf(volumes);
      pre = List.copyOf(pre);
      post = List.copyOf(post);
      checks = List.copyOf(checks);
    }
  }

  /**
   * A program that a node of a site runs.
   *
   * @param site where it is run; hooks of the other site are passed over
   * @param program a file in the directory of that node's hooks
   * @param limitSeconds after which it is killed
   * @param retries how often it is tried again when it fails
   */
  public record Hook(
      String site, String program, List<String> arguments, int limitSeconds, int retries) {
    public Hook {
      arguments = List.copyOf(arguments);
    }
  }

  /**
   * How the volumes are to be served where they go on; hooks find it in their environment.
   *
   * @param listen where the tap listens
   * @param backing the directory of the backing stores
   */
  public record Start(String listen, String backing) {}

  /**
   * Failover without an order, when the source is silent and a third site agrees.
   *
   * @param witness that site
   * @param afterSeconds how long the source has to be silent; at least a lease in any case
   * @param config another one after each change, so that nothing of an earlier one counts
   */
  public record Automatic(String witness, int afterSeconds, UUID config) {
    public static final int AFTER_SECONDS_DEFAULT = 30;

    /** With a configuration that never was before. */
    public static Automatic of(String witness, int afterSeconds) {
      return new Automatic(witness, afterSeconds, UUID.randomUUID());
    }
  }

  /** What an older version stored has no automatic failover. */
  public PlanSpec {
    steps = List.copyOf(steps);
    automatic = automatic == null ? Optional.empty() : automatic;
  }

  public PlanSpec(
      String name,
      List<Step> steps,
      String source,
      String target,
      int commitWithinSeconds,
      AfterLimit afterLimit,
      int rpoSeconds,
      int rtoSeconds) {
    this(
        name,
        steps,
        source,
        target,
        commitWithinSeconds,
        afterLimit,
        rpoSeconds,
        rtoSeconds,
        Optional.empty());
  }

  /** The same with other automatic failover. */
  public PlanSpec with(Optional<Automatic> other) {
    return new PlanSpec(
        name,
        steps,
        source,
        target,
        commitWithinSeconds,
        afterLimit,
        rpoSeconds,
        rtoSeconds,
        other);
  }

  private void check(Automatic wanted) {
    if (wanted.witness().isBlank()
        || wanted.witness().equals(source)
        || wanted.witness().equals(target)) {
      throw invalid(
          "the witness of plan '%s' is a third site, neither '%s' nor '%s'", name, source, target);
    }
    if (wanted.afterSeconds() < 1 || wanted.afterSeconds() > LIMIT_SECONDS_MAX) {
      throw invalid("automatic failover comes after 1 to %d s of silence", LIMIT_SECONDS_MAX);
    }
  }

  /** Of all steps, in order. */
  public List<VolumeName> volumes() {
    return steps.stream().flatMap(step -> step.volumes().stream()).toList();
  }

  /** The site of the two that the given one is not. */
  public String other(String site) {
    return site.equals(source) ? target : source;
  }

  /**
   * @throws Refusal {@code INVALID} for what cannot be, {@code LIMIT} for what is too much
   */
  public PlanSpec checked() {
    String unused = new VolumeName(name).value();
    if (source.isBlank() || target.isBlank() || source.equals(target)) {
      throw invalid("plan '%s' needs two sites that are not the same", unused);
    }
    if (steps.isEmpty()) {
      throw invalid("plan '%s' has no steps; give at least one, with its volumes", name);
    }
    if (steps.size() > STEPS_MAX || volumes().size() > VOLUMES_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "a plan has at most %d steps and %d volumes".formatted(STEPS_MAX, VOLUMES_MAX));
    }
    if (commitWithinSeconds < 0
        || commitWithinSeconds > COMMIT_SECONDS_MAX
        || rpoSeconds < 0
        || rtoSeconds < 0) {
      throw invalid("times are in seconds, from 0; the commit's at most %d", COMMIT_SECONDS_MAX);
    }
    automatic.ifPresent(this::check);
    Set<VolumeName> seen = new LinkedHashSet<>();
    Set<String> names = new LinkedHashSet<>();
    for (Step step : steps) {
      String stepName = new VolumeName(step.name()).value();
      if (!names.add(stepName)) {
        throw invalid("two steps are named '%s'", stepName);
      }
      if (step.volumes().isEmpty()) {
        throw invalid("step '%s' names no volume", stepName);
      }
      for (VolumeName volume : step.volumes()) {
        if (!seen.add(volume)) {
          throw invalid("volume '%s' is named twice", volume);
        }
      }
      check(step);
    }
    return this;
  }

  private void check(Step step) {
    List<Hook> all = new ArrayList<>(step.pre());
    all.addAll(step.post());
    all.addAll(step.checks());
    if (all.size() > HOOKS_MAX) {
      throw new Refusal(ErrorCode.LIMIT, "a step has at most " + HOOKS_MAX + " hooks");
    }
    for (Hook hook : all) {
      if (!hook.site().equals(source) && !hook.site().equals(target)) {
        throw invalid(
            "a hook of step '%s' is for site '%s', which is not of the plan",
            step.name(), Refusal.printable(hook.site()));
      }
      if (!PROGRAM.matcher(hook.program()).matches()) {
        throw invalid(
            "'%s' is no name of a file in the directory of hooks",
            Refusal.printable(hook.program()));
      }
      if (hook.arguments().size() > ARGUMENTS_MAX
          || hook.arguments().stream().anyMatch(text -> text.length() > TEXT_MAX)) {
        throw new Refusal(
            ErrorCode.LIMIT,
            "a hook has at most %d arguments of %d characters".formatted(ARGUMENTS_MAX, TEXT_MAX));
      }
      if (hook.limitSeconds() < 1
          || hook.limitSeconds() > LIMIT_SECONDS_MAX
          || hook.retries() < 0
          || hook.retries() > RETRIES_MAX) {
        throw invalid(
            "a hook takes 1 to %d s and is tried again 0 to %d times",
            LIMIT_SECONDS_MAX, RETRIES_MAX);
      }
    }
    if (step.start()
        .filter(s -> s.listen().length() + s.backing().length() > TEXT_MAX)
        .isPresent()) {
      throw new Refusal(ErrorCode.LIMIT, "start options have at most " + TEXT_MAX + " characters");
    }
  }

  private static Refusal invalid(String sentence, Object... values) {
    return new Refusal(ErrorCode.INVALID, sentence.formatted(values));
  }
}
