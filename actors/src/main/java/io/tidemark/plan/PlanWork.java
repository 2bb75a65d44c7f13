package io.tidemark.plan;

import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.image.VolumePoints;
import io.tidemark.link.LinkRules;
import io.tidemark.link.LinkSummary;
import io.tidemark.link.Links;
import io.tidemark.link.VolumeCommand;
import io.tidemark.plan.PlanCommand.Answer;
import io.tidemark.plan.PlanCommand.Lane;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanRun.Outcome;
import io.tidemark.plan.PlanRun.Task;
import io.tidemark.plan.PlanRun.TaskKind;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.site.Replicas.Demotion;
import io.tidemark.site.Replicas.ReplicaSpec;
import io.tidemark.site.VolumeSummary;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/**
 * Does the tasks of a plan's runs, each with one or a few cluster messages. Every task may be done
 * again, from wherever a crash has left it: it looks first at what there is.
 */
final class PlanWork {
  static final int SHUT_SECONDS = 30;
  private static final Duration ANSWER = Duration.ofSeconds(10);
  private static final Duration FENCE_TRY = Duration.ofSeconds(5);

  /**
   * What it works with.
   *
   * @param points of this site
   * @param images of this site
   */
  record Parts(RemoteSites sites, Links links, VolumePoints points, Images images) {}

  private final Parts parts;

  PlanWork(Parts parts) {
    this.parts = parts;
  }

  // ---- tasks ----------------------------------------------------------------------------------

  /** Does one task of the run, which is carried out at this site. */
  CompletionStage<Outcome> perform(PlanSpec spec, PlanRun run, Task task) {
    Optional<PlanRun.Volume> volume = task.volume().map(run::volume);
    return switch (task.kind()) {
      case AGREE -> CompletableFuture.completedStage(Outcome.of("agreed before it began"));
      case NOTE -> tell(spec, run, run.kind().text());
      case TELL -> tellOutcome(spec, run);
      case PRE, POST, CHECK -> hook(spec, run, task);
      case SHUT -> shut(run, volume.orElseThrow());
      case TAG -> tag(spec, run, task);
      case DRAIN -> drain(run, volume.orElseThrow());
      case FENCE -> fence(spec, run, volume.orElseThrow());
      case TRY_FENCE -> tryFence(spec, run, volume.orElseThrow());
      case REWIND -> rewind(spec, run, volume.orElseThrow());
      case PROMOTE -> promote(spec, run, volume.orElseThrow());
      case IMAGE -> image(spec, run, volume.orElseThrow());
      case CLOSE_IMAGE -> closeImage(spec, volume.orElseThrow());
      case RETIRE -> retire(spec, run, volume.orElseThrow());
      case RETURN -> bringBack(spec, run, volume.orElseThrow());
      case REVERSE -> reverse(spec, run, volume.orElseThrow());
      case FOLLOW -> follow(spec, run);
    };
  }

  /** Also for later: a site that did not answer is told as soon as it does. */
  CompletionStage<Outcome> tellOutcome(PlanSpec spec, PlanRun run) {
    return tell(spec, run, after(spec, run));
  }

  private static String after(PlanSpec spec, PlanRun run) {
    return switch (run.kind()) {
      case PLANNED, FORCED -> "FailedOver";
      case COMMIT -> run.to().equals(spec.source()) ? "Ready" : "Committed";
      case ROLLBACK, FAILBACK, TEST, CLEANUP -> "Ready";
    };
  }

  private CompletionStage<Outcome> tell(PlanSpec spec, PlanRun run, String state) {
    List<PlanNote.Fork> forks =
        run.volumes().stream()
            .filter(volume -> volume.promotedEpoch() > 0 && volume.forkSeq() >= 0)
            .map(PlanRun.Volume::common)
            .toList();
    PlanNote note = new PlanNote(run.generation(), run.to(), state, forks);
    return parts
        .sites()
        .ask(run.from(), new PlanCommand.Note(spec.name(), note))
        .thenApply(answer -> Outcome.of("site '" + run.from() + "' knows: " + state));
  }

  private CompletionStage<Outcome> hook(PlanSpec spec, PlanRun run, Task task) {
    Step step = spec.steps().get(task.step());
    List<Hook> hooks =
        task.kind() == TaskKind.PRE
            ? step.pre()
            : task.kind() == TaskKind.POST ? step.post() : step.checks();
    Hook hook = hooks.get(task.hook());
    Duration limit = ANSWER.plusSeconds((long) hook.limitSeconds() * (hook.retries() + 1));
    return environment(spec, run, step, hook)
        .thenCompose(
            variables ->
                parts.sites().ask(hook.site(), new PlanCommand.RunHook(hook, variables), limit))
        .thenApply(
            answer -> {
              String words = hook.program() + " at '" + hook.site() + "': " + answer.words();
              if (!answer.succeeded() && task.must()) {
                throw new Refusal(ErrorCode.FAILED, words);
              }
              return new Outcome(answer.succeeded(), -1, 0, 0, -1, words);
            });
  }

  private CompletionStage<Map<String, String>> environment(
      PlanSpec spec, PlanRun run, Step step, Hook hook) {
    Map<String, String> variables = new HashMap<>();
    variables.put("TIDEMARK_PLAN", spec.name());
    variables.put("TIDEMARK_RUN", run.kind().name().toLowerCase(java.util.Locale.ROOT));
    variables.put("TIDEMARK_STEP", step.name());
    variables.put("TIDEMARK_SITE", hook.site());
    variables.put("TIDEMARK_FROM", run.from());
    variables.put("TIDEMARK_TO", run.to());
    variables.put(
        "TIDEMARK_VOLUMES",
        String.join(" ", step.volumes().stream().map(Object::toString).toList()));
    step.start().ifPresent(start -> variables.put("TIDEMARK_LISTEN", start.listen()));
    step.start().ifPresent(start -> variables.put("TIDEMARK_BACKING", start.backing()));
    if (run.kind() != Kind.TEST) {
      return CompletableFuture.completedStage(variables);
    }
    CompletionStage<List<String>> uris = CompletableFuture.completedStage(List.of());
    for (VolumeName volume : step.volumes()) {
      uris =
          uris.thenCombine(
              parts.images().get(imageName(spec, volume)),
              (all, image) -> with(all, volume + "=" + image.uri()));
    }
    return uris.thenApply(
        all -> {
          variables.put("TIDEMARK_IMAGES", String.join(" ", all));
          return variables;
        });
  }

  private static List<String> with(List<String> all, String more) {
    List<String> longer = new ArrayList<>(all);
    longer.add(more);
    return longer;
  }

  private CompletionStage<Outcome> shut(PlanRun run, PlanRun.Volume volume) {
    return order(run, volume, false)
        .thenApply(seq -> found(seq, 0, 0, "the tap is shut, journaled up to seq:" + seq));
  }

  private CompletionStage<Long> order(PlanRun run, PlanRun.Volume volume, boolean open) {
    long who = run.id().getMostSignificantBits();
    return parts
        .sites()
        .ask(
            run.from(),
            new PlanCommand.ShutTap(volume.name(), who, open, SHUT_SECONDS),
            ANSWER.plusSeconds(SHUT_SECONDS))
        .thenApply(Answer::seq);
  }

  private CompletionStage<Outcome> tag(PlanSpec spec, PlanRun run, Task task) {
    String group = spec.steps().get(task.step()).group().orElseThrow();
    String name = spec.name() + "-" + run.generation();
    return parts
        .sites()
        .ask(run.from(), new PlanCommand.TakeTag(group, name), ANSWER.plusSeconds(SHUT_SECONDS))
        .thenApply(answer -> Outcome.of(answer.words()));
  }

  private CompletionStage<Outcome> drain(PlanRun run, PlanRun.Volume volume) {
    return show(run.from(), volume.name())
        .thenCombine(
            show(run.to(), volume.name()),
            (source, target) -> {
              long behind = seq(source) - seq(target);
              if (behind > 0) {
                throw new Refusal(
                    ErrorCode.NOT_ACKNOWLEDGED,
                    "volume '%s' is %d writes behind at site '%s'; wait for its link"
                        .formatted(volume.name(), behind, run.to()));
              }
              return found(seq(target), 0, 0, "the target holds seq:" + seq(target));
            });
  }

  /** The tap is asked once more: what it has taken since would not be in the journal (P3). */
  private CompletionStage<Outcome> fence(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    return show(run.from(), volume.name())
        .thenCompose(
            source -> {
              if (source.epoch() > run.nextEpoch(volume)) {
                throw new Refusal(
                    ErrorCode.SECOND_PRIMARY,
                    "volume '%s' has gone on at site '%s' in epoch %d since; wait for that site to"
                            .formatted(volume.name(), run.from(), source.epoch())
                        + " tell, or force a failover");
              }
              if (!source.role().equals("Primary")) {
                boolean follows = source.role().equals("Replica");
                long last = follows ? volume.sourceHead() : seq(source);
                return CompletableFuture.completedStage(
                    found(last, 0, source.epoch(), "nobody writes it"));
              }
              CompletionStage<Long> shut =
                  run.kind() == Kind.COMMIT
                      ? CompletableFuture.completedStage(0L)
                      : order(run, volume, false);
              return shut.thenCompose(
                      journaled ->
                          demote(run.from(), volume.name(), fencing(spec, run, volume, source)))
                  .thenApply(
                      fenced ->
                          found(seq(fenced), 0, fenced.epoch(), "fenced at seq:" + seq(fenced)));
            });
  }

  /** One that has gone on in a later epoch is not touched: the demotion is refused. */
  private static Demotion fencing(
      PlanSpec spec, PlanRun run, PlanRun.Volume volume, VolumeSummary source) {
    return new Demotion(
        Math.min(source.epoch(), run.nextEpoch(volume) - 1),
        Optional.empty(),
        "plan '" + spec.name() + "' has it go on at site '" + run.to() + "'",
        -1,
        0);
  }

  /** Also for later: the source is fenced as soon as its site answers (P4). */
  CompletionStage<Outcome> tryFence(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    return parts
        .sites()
        .ask(run.from(), new VolumeCommand.Show(volume.name()), FENCE_TRY)
        .thenApply(VolumeCommand.Answer::volume)
        .thenCompose(
            source ->
                source.role().equals("Fenced")
                    ? CompletableFuture.completedStage(source)
                    : demote(run.from(), volume.name(), fencing(spec, run, volume, source)))
        .thenApply(fenced -> found(seq(fenced), 0, fenced.epoch(), "fenced at seq:" + seq(fenced)));
  }

  /** The target stands still from here on, at the point that it is promoted at. */
  private CompletionStage<Outcome> rewind(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    Demotion demotion =
        new Demotion(
            volume.epoch(),
            Optional.empty(),
            "plan '" + spec.name() + "' promotes it",
            volume.forkSeq(),
            volume.forkMicros());
    return demote(run.to(), volume.name(), demotion)
        .thenApply(
            target ->
                found(
                    seq(target),
                    target.head().time().micros(),
                    target.epoch(),
                    "goes on at seq:" + seq(target)));
  }

  private CompletionStage<Outcome> promote(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    boolean forced = run.kind() == Kind.FORCED;
    long drained = volume.fenced() ? volume.sourceHead() : -1;
    long before = run.nextEpoch(volume) - 1;
    return raised(spec, run, volume, before)
        .thenCompose(
            ready ->
                parts
                    .sites()
                    .ask(
                        run.to(),
                        new VolumeCommand.Promote(volume.name(), before, drained, forced)))
        .thenApply(VolumeCommand.Answer::volume)
        .thenApply(
            target ->
                found(
                    forced ? volume.forkSeq() : drained,
                    forced ? volume.forkMicros() : target.head().time().micros(),
                    target.epoch(),
                    "primary in epoch %d on %s".formatted(target.epoch(), target.branch())));
  }

  /** In the epoch before the one that it is promoted to, which may not be the next one (P9). */
  private CompletionStage<Outcome> raised(
      PlanSpec spec, PlanRun run, PlanRun.Volume volume, long before) {
    Outcome ready = Outcome.of("in epoch " + before);
    if (before == volume.epoch()) {
      return done(ready);
    }
    UUID link = UUID.nameUUIDFromBytes((run.id() + "/" + volume.name()).getBytes(UTF_8));
    String origin = "plan '" + spec.name() + "', which promotes it";
    return show(run.to(), volume.name())
        .thenCompose(
            target ->
                target.epoch() >= before
                    ? done(target)
                    : demote(
                            run.to(),
                            volume.name(),
                            new Demotion(volume.epoch(), Optional.of(link), origin, -1, 0))
                        .thenCompose(replica -> raise(run.to(), replica, before, link, origin)))
        .handle((target, failure) -> failure)
        .thenCompose(failure -> overtaken(run, volume, before, failure))
        .thenApply(target -> ready);
  }

  /** The end of what was begun before a crash may come between the look and the change. */
  private CompletionStage<Void> overtaken(
      PlanRun run, PlanRun.Volume volume, long before, Throwable failure) {
    if (failure == null) {
      return done(null);
    }
    return show(run.to(), volume.name())
        .thenCompose(
            target ->
                target.epoch() >= before
                    ? done(null)
                    : CompletableFuture.failedStage(Failures.cause(failure)));
  }

  // ---- test -----------------------------------------------------------------------------------

  static String imageName(PlanSpec spec, VolumeName volume) {
    String name = "plan-" + spec.name() + "-" + volume;
    return name.length() <= 128 ? name : name.substring(0, 128);
  }

  private CompletionStage<Outcome> image(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    String name = imageName(spec, volume.name());
    At at =
        volume.forkSeq() >= 0
            ? new At.Seq(new io.tidemark.position.WriteSeq(volume.forkSeq()))
            : At.parse(run.at());
    return parts
        .images()
        .open(new OpenImage(volume.name(), at, true, Optional.of(name)))
        .handle((image, failure) -> failure == null ? done(image) : openBefore(name, failure))
        .thenCompose(opened -> opened)
        .thenApply(
            image ->
                found(
                    image.at().seq().value(),
                    image.at().time().micros(),
                    0,
                    "%s in %d ms".formatted(image.uri(), image.openMillis())));
  }

  private CompletionStage<ImageSummary> openBefore(String name, Throwable failure) {
    return Failures.code(failure) == ErrorCode.ALREADY_EXISTS
        ? parts.images().get(name)
        : CompletableFuture.failedStage(Failures.cause(failure));
  }

  private CompletionStage<Outcome> closeImage(PlanSpec spec, PlanRun.Volume volume) {
    String name = imageName(spec, volume.name());
    return parts
        .images()
        .close(name, true)
        .handle(
            (closed, failure) -> {
              if (failure != null && Failures.code(failure) != ErrorCode.NOT_FOUND) {
                throw new CompletionException(Failures.cause(failure));
              }
              return Outcome.of("image " + name + " is closed");
            });
  }

  // ---- coming back ----------------------------------------------------------------------------

  /** What was promoted is a replica again; what was written meanwhile is kept as a branch (P7). */
  private CompletionStage<Outcome> retire(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    return show(run.to(), volume.name())
        .thenCombine(lane(run, volume), (target, lane) -> retire(spec, run, volume, target, lane))
        .thenCompose(retired -> retired);
  }

  private CompletionStage<Outcome> retire(
      PlanSpec spec, PlanRun run, PlanRun.Volume volume, VolumeSummary target, Lane lane) {
    boolean stands =
        target.role().equals("Replica")
            && (volume.promotedEpoch() == 0 || target.epoch() >= volume.promotedEpoch());
    if (stands) {
      return done(found(seq(target), 0, target.epoch(), "is a replica"));
    }
    PlanNote.Fork common = volume.common();
    boolean further = common.seq() >= 0 && seq(target) > common.seq();
    Demotion demotion =
        new Demotion(
            volume.promotedEpoch() == 0
                ? volume.epoch()
                : Math.min(target.epoch(), volume.promotedEpoch()),
            Optional.of(lane.id()),
            lane.origin(),
            further ? common.seq() : -1,
            further ? common.micros() : 0);
    return demote(run.to(), volume.name(), demotion)
        .thenCompose(
            replica ->
                volume.promotedEpoch() == 0
                    ? done(replica)
                    : raise(run.to(), replica, volume.promotedEpoch(), lane.id(), lane.origin()))
        .thenApply(replica -> found(seq(replica), 0, replica.epoch(), "is a replica again"));
  }

  /** So that no promotion from an earlier epoch that is still on its way comes true. */
  private CompletionStage<VolumeSummary> raise(
      String site, VolumeSummary replica, long epoch, UUID link, String origin) {
    if (replica.epoch() >= epoch) {
      return done(replica);
    }
    ReplicaSpec spec =
        new ReplicaSpec(replica.sizeBytes(), 0, epoch, replica.branch(), link, origin);
    return parts
        .sites()
        .ask(site, new VolumeCommand.CreateReplica(replica.name(), spec))
        .thenApply(VolumeCommand.Answer::volume);
  }

  private CompletionStage<Lane> lane(PlanRun run, PlanRun.Volume volume) {
    return parts
        .sites()
        .ask(run.from(), new PlanCommand.FindLanes(List.of(volume.name()), run.to()))
        .thenApply(
            answer ->
                answer.lanes().stream()
                    .findFirst()
                    .orElseThrow(
                        () ->
                            new Refusal(
                                ErrorCode.NOT_SYNCHRONIZED,
                                "no link of site '%s' has volume '%s' to site '%s' any more; create one"
                                    .formatted(run.from(), volume.name(), run.to()))));
  }

  /** The volume goes on where it was left, in an epoch that nobody wrote in (P7). */
  private CompletionStage<Outcome> bringBack(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    return show(run.from(), volume.name())
        .thenCompose(source -> bringBack(spec, run, volume, source))
        .thenCompose(
            back ->
                lane(run, volume)
                    .thenCompose(lane -> resume(run.from(), List.of(lane.link())))
                    .thenApply(
                        resumed ->
                            found(
                                seq(back),
                                0,
                                back.epoch(),
                                "primary in epoch %d".formatted(back.epoch()))));
  }

  private CompletionStage<VolumeSummary> bringBack(
      PlanSpec spec, PlanRun run, PlanRun.Volume volume, VolumeSummary source) {
    boolean primary = source.role().equals("Primary");
    boolean never = volume.promotedEpoch() == 0;
    if (primary && (never || source.epoch() > volume.promotedEpoch())) {
      boolean shut = never && source.epoch() == volume.epoch() && source.tapConnected();
      return shut
          ? order(run, volume, true).thenApply(opened -> source)
          : CompletableFuture.completedStage(source);
    }
    UUID link = UUID.nameUUIDFromBytes((run.id() + "/" + volume.name()).getBytes(UTF_8));
    String origin = "plan '" + spec.name() + "', which takes it back";
    long epoch = source.epoch();
    long before =
        PlanRun.epochAfter(Math.max(epoch, volume.promotedEpoch()), run.from(), run.to()) - 1;
    CompletionStage<VolumeSummary> raised =
        epoch >= before
            ? CompletableFuture.completedStage(source)
            : demote(
                    run.from(),
                    volume.name(),
                    new Demotion(epoch, Optional.of(link), origin, -1, 0))
                .thenCompose(replica -> raise(run.from(), replica, before, link, origin));
    return raised.thenCompose(
        ready ->
            parts
                .sites()
                .ask(
                    run.from(),
                    new VolumeCommand.Promote(volume.name(), ready.epoch(), seq(ready), true))
                .thenApply(VolumeCommand.Answer::volume));
  }

  private static final java.nio.charset.Charset UTF_8 = java.nio.charset.StandardCharsets.UTF_8;

  /** The old source follows the new primary; what it has beyond the fork is kept as a branch. */
  private CompletionStage<Outcome> reverse(PlanSpec spec, PlanRun run, PlanRun.Volume volume) {
    return linkBack(spec, run, volume.name())
        .thenCombine(
            show(run.from(), volume.name()),
            (link, source) -> {
              UUID id = link.spec().laneId(volume.name());
              if (source.role().equals("Replica")) {
                return done(found(-1, 0, source.epoch(), "follows"));
              }
              PlanNote.Fork common = volume.common();
              boolean further = seq(source) > common.seq();
              Demotion demotion =
                  new Demotion(
                      Math.min(source.epoch(), run.nextEpoch(volume) - 1),
                      Optional.of(id),
                      link.spec().origin(),
                      further ? common.seq() : -1,
                      further ? common.micros() : 0);
              return demote(run.from(), volume.name(), demotion)
                  .thenApply(
                      replica ->
                          found(
                              seq(replica),
                              0,
                              replica.epoch(),
                              "follows by link '%s' from seq:%d"
                                  .formatted(link.spec().name(), seq(replica))));
            })
        .thenCompose(done -> done);
  }

  /** The link of this site that has the volume to where it came from; made if there is none. */
  private CompletionStage<LinkSummary> linkBack(PlanSpec spec, PlanRun run, VolumeName volume) {
    return parts
        .links()
        .list()
        .thenCompose(
            links ->
                links.stream()
                    .filter(link -> link.spec().toSite().equals(run.from()))
                    .filter(link -> link.spec().volumes().contains(volume))
                    .findFirst()
                    .map(PlanWork::done)
                    .orElseGet(() -> createLinkBack(spec, run)));
  }

  private CompletionStage<LinkSummary> createLinkBack(PlanSpec spec, PlanRun run) {
    String wanted = spec.name() + "-to-" + run.from();
    String name =
        wanted.length() <= VolumeName.LENGTH_MAX
            ? wanted
            : wanted.substring(0, VolumeName.LENGTH_MAX);
    return parts
        .links()
        .create(
            new Links.NewLink(
                name, spec.volumes(), Optional.empty(), run.from(), LinkRules.DEFAULT));
  }

  private CompletionStage<Outcome> follow(PlanSpec spec, PlanRun run) {
    return parts
        .links()
        .list()
        .thenCompose(
            links -> {
              List<String> names =
                  links.stream()
                      .filter(link -> link.spec().toSite().equals(run.from()))
                      .filter(
                          link -> link.spec().volumes().stream().anyMatch(spec.volumes()::contains))
                      .map(link -> link.spec().name())
                      .toList();
              return resume(run.to(), names)
                  .thenApply(answer -> Outcome.of("links run: " + String.join(", ", names)));
            });
  }

  private CompletionStage<Answer> resume(String site, List<String> links) {
    return parts.sites().ask(site, new PlanCommand.ResumeLinks(links));
  }

  // ---- asking ---------------------------------------------------------------------------------

  CompletionStage<VolumeSummary> show(String site, VolumeName volume) {
    return parts
        .sites()
        .ask(site, new VolumeCommand.Show(volume))
        .thenApply(VolumeCommand.Answer::volume);
  }

  private CompletionStage<VolumeSummary> demote(String site, VolumeName volume, Demotion demotion) {
    return parts
        .sites()
        .ask(site, new VolumeCommand.Demote(volume, demotion))
        .thenApply(VolumeCommand.Answer::volume);
  }

  private static long seq(VolumeSummary volume) {
    return volume.head().seq().value();
  }

  private static <T> CompletionStage<T> done(T value) {
    return CompletableFuture.completedStage(value);
  }

  private static Outcome found(long seq, long micros, long epoch, String words) {
    return new Outcome(true, seq, micros, epoch, -1, words);
  }

  /** Where a volume would be failed over to. */
  CompletionStage<RecoveryPoint> locate(VolumeName volume, At at) {
    return parts.points().locate(volume, at).thenApply(VolumePoints.Located::point);
  }
}
