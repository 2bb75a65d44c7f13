package io.tidemark.plan;

import io.tidemark.link.VolumeCommand;
import io.tidemark.plan.PlanCommand.Lane;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.site.VolumeSummary;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Looks at a plan's volumes at both sites: what a failover would lose, and what forbids it. */
final class PlanSurvey {
  private static final Duration ANSWER = Duration.ofSeconds(5);
  private static final UUID UNKNOWN = new UUID(0, 0);

  /** A volume as both sites have it now. */
  record Look(
      VolumeName volume,
      Optional<VolumeSummary> source,
      Optional<Refusal> sourceTrouble,
      Optional<VolumeSummary> target,
      Optional<Refusal> targetTrouble,
      Optional<Lane> lane) {}

  /** One side of a look. */
  private record Seen(Optional<VolumeSummary> volume, Optional<Refusal> trouble) {}

  private final RemoteSites sites;
  private final PlanWork work;
  private final MicroClock clock;

  PlanSurvey(RemoteSites sites, PlanWork work, MicroClock clock) {
    this.sites = sites;
    this.work = work;
    this.clock = clock;
  }

  /** In the plan's order; what a site does not answer is missing. */
  CompletionStage<List<Look>> look(PlanSpec spec, String from, String to) {
    CompletionStage<List<Lane>> lanes =
        sites
            .ask(from, new PlanCommand.FindLanes(spec.volumes(), to), ANSWER)
            .handle((answer, failure) -> failure == null ? answer.lanes() : List.of());
    CompletionStage<List<Look>> all = CompletableFuture.completedStage(List.of());
    for (VolumeName volume : spec.volumes()) {
      CompletionStage<Look> look =
          seen(from, volume)
              .thenCombine(
                  seen(to, volume),
                  (source, target) ->
                      new Look(
                          volume,
                          source.volume(),
                          source.trouble(),
                          target.volume(),
                          target.trouble(),
                          Optional.empty()));
      all = all.thenCombine(look, PlanSurvey::with);
    }
    return all.thenCombine(lanes, PlanSurvey::withLanes);
  }

  private static List<Look> with(List<Look> all, Look more) {
    List<Look> longer = new ArrayList<>(all);
    longer.add(more);
    return longer;
  }

  private static List<Look> withLanes(List<Look> looks, List<Lane> lanes) {
    return looks.stream()
        .map(
            look ->
                new Look(
                    look.volume(),
                    look.source(),
                    look.sourceTrouble(),
                    look.target(),
                    look.targetTrouble(),
                    lanes.stream().filter(lane -> lane.volume().equals(look.volume())).findFirst()))
        .toList();
  }

  private CompletionStage<Seen> seen(String site, VolumeName volume) {
    return sites
        .ask(site, new VolumeCommand.Show(volume), ANSWER)
        .handle(
            (answer, failure) ->
                failure == null
                    ? new Seen(Optional.of(answer.volume()), Optional.empty())
                    : new Seen(Optional.empty(), Optional.of(refusal(failure))));
  }

  private static Refusal refusal(Throwable failure) {
    return Failures.cause(failure) instanceof Refusal refusal
        ? refusal
        : new Refusal(ErrorCode.FAILED, "no answer: " + Failures.cause(failure), failure);
  }

  /** Fails with {@code NOT_ACKNOWLEDGED} while the site does not answer for a plan's volume. */
  CompletionStage<Void> answers(PlanSpec spec, String site) {
    return seen(site, spec.volumes().get(0))
        .thenCompose(
            seen -> {
              Optional<Refusal> gone =
                  seen.trouble().filter(refusal -> refusal.code() != ErrorCode.NOT_FOUND);
              return gone.isEmpty()
                  ? CompletableFuture.completedStage(null)
                  : CompletableFuture.failedStage(
                      new Refusal(
                          ErrorCode.NOT_ACKNOWLEDGED,
                          "volumes cannot go back to site '%s' while it does not answer: %s"
                              .formatted(site, gone.get().getMessage())));
            });
  }

  // ---- what would be lost ---------------------------------------------------------------------

  /** In the plan's order. */
  List<PlanExposure> exposure(PlanSpec spec, String from, String to, List<Look> looks) {
    return looks.stream().map(look -> exposure(spec, from, to, look)).toList();
  }

  private PlanExposure exposure(PlanSpec spec, String from, String to, Look look) {
    long sourceSeq = look.source().map(PlanSurvey::seq).orElse(-1L);
    long targetSeq = look.target().map(PlanSurvey::seq).orElse(-1L);
    long targetMicros = look.target().map(v -> v.head().time().micros()).orElse(0L);
    boolean counted = sourceSeq >= 0 && targetSeq >= 0;
    Optional<Long> writes =
        counted ? Optional.of(Math.max(0, sourceSeq - targetSeq)) : Optional.empty();
    Optional<Long> bytes =
        counted && sourceSeq <= targetSeq
            ? Optional.of(0L)
            : look.lane().filter(lane -> !lane.stale()).map(Lane::lagBytes);
    double silent = targetSeq < 0 ? 0 : Math.max(0, (clock.micros() - targetMicros) / 1e6);
    double seconds =
        counted
            ? sourceSeq <= targetSeq ? 0 : look.lane().map(Lane::lagSeconds).orElse(silent)
            : silent;
    RunOrder forced = new RunOrder(Kind.FORCED, "latest", List.of());
    return new PlanExposure(
        look.volume(),
        sourceSeq,
        targetSeq,
        targetMicros,
        writes,
        bytes,
        seconds,
        guard(spec, forced, from, to, look).map(r -> r.code() + ": " + r.getMessage()));
  }

  private static long seq(VolumeSummary volume) {
    return volume.head().seq().value();
  }

  // ---- what forbids it (P5) -------------------------------------------------------------------

  /** The volumes as the run begins with them; fails with what forbids it. */
  CompletionStage<List<PlanRun.Volume>> volumes(
      PlanSpec spec, RunOrder order, String from, String to, Optional<PlanNote> known) {
    return look(spec, from, to)
        .thenCompose(
            looks -> {
              for (Look look : looks) {
                Optional<Refusal> refusal = guard(spec, order, from, to, look);
                if (refusal.isPresent()) {
                  return CompletableFuture.failedStage(refusal.get());
                }
              }
              return located(order, looks, known);
            });
  }

  private CompletionStage<List<PlanRun.Volume>> located(
      RunOrder order, List<Look> looks, Optional<PlanNote> known) {
    At at = At.parse(order.at());
    CompletionStage<List<PlanRun.Volume>> all = CompletableFuture.completedStage(List.of());
    for (Look look : looks) {
      CompletionStage<Optional<RecoveryPoint>> point =
          at instanceof At.Latest
              ? CompletableFuture.completedStage(Optional.empty())
              : work.locate(look.volume(), at).thenApply(Optional::of);
      all =
          all.thenCombine(
              point,
              (volumes, found) -> {
                List<PlanRun.Volume> longer = new ArrayList<>(volumes);
                longer.add(volume(look, found, known));
                return longer;
              });
    }
    return all;
  }

  /** What the other site has told of an earlier run is where the histories parted. */
  private static PlanRun.Volume volume(
      Look look, Optional<RecoveryPoint> point, Optional<PlanNote> known) {
    VolumeSummary target = look.target().orElseThrow();
    return new PlanRun.Volume(
        look.volume(),
        target.sizeBytes(),
        target.epoch(),
        look.lane().map(Lane::id).orElse(UNKNOWN),
        look.source().map(PlanSurvey::seq).orElse(-1L),
        false,
        point.map(p -> p.seq().value()).orElse(-1L),
        point.map(p -> p.time().micros()).orElse(0L),
        0,
        look.lane().map(Lane::lagBytes).orElse(-1L),
        target.role().equals("Fenced")
            ? known.flatMap(note -> note.fork(look.volume()))
            : Optional.empty());
  }

  private static Optional<Refusal> guard(
      PlanSpec spec, RunOrder order, String from, String to, Look look) {
    Optional<Refusal> there = targetGuard(spec, order, to, look);
    if (there.isPresent() || order.kind() == Kind.TEST) {
      return there;
    }
    return order.kind() == Kind.FORCED
        ? forcedGuard(order, from, look)
        : plannedGuard(spec, from, to, look);
  }

  private static Optional<Refusal> targetGuard(
      PlanSpec spec, RunOrder order, String to, Look look) {
    if (look.target().isEmpty()) {
      Refusal trouble = look.targetTrouble().orElseThrow();
      return trouble.code() == ErrorCode.NOT_FOUND
          ? refuse(
              ErrorCode.NOT_FOUND,
              "plan '%s' names volume '%s', which site '%s' does not have: it was deleted or never"
                  + " replicated; create a link for it, or the plan without it",
              spec.name(),
              look.volume(),
              to)
          : Optional.of(trouble);
    }
    VolumeSummary target = look.target().get();
    if (order.kind() == Kind.TEST) {
      return Optional.empty();
    }
    if (target.role().equals("Primary")) {
      return refuse(
          ErrorCode.SECOND_PRIMARY,
          "volume '%s' is a primary at site '%s' in epoch %d; it is not promoted again, and no"
              + " override changes that",
          look.volume(),
          to,
          target.epoch());
    }
    boolean laneWaits =
        order.kind() != Kind.FORCED && !look.lane().map(Lane::streaming).orElse(false);
    boolean whole =
        !target.state().equals("Synchronizing")
            && !(target.state().equals("Created")
                && look.source().map(PlanSurvey::seq).orElse(1L) > 0);
    if ((!whole || laneWaits) && !order.overrides().contains(ErrorCode.NOT_SYNCHRONIZED)) {
      return refuse(
          ErrorCode.NOT_SYNCHRONIZED,
          "volume '%s' at site '%s' does not hold all of its source's content%s; wait for its"
              + " link, or force with the override NOT_SYNCHRONIZED",
          look.volume(),
          to,
          look.lane().flatMap(Lane::fault).map(fault -> " (" + fault + ")").orElse(""));
    }
    boolean latest = At.parse(order.at()) instanceof At.Latest;
    return latest
            && target.state().equals("Resyncing")
            && !order.overrides().contains(ErrorCode.DARK_INTERVAL)
        ? refuse(
            ErrorCode.DARK_INTERVAL,
            "volume '%s' at site '%s' ends inside a dark interval; wait for its end, go to an"
                + " earlier point, or force with the override DARK_INTERVAL",
            look.volume(),
            to)
        : Optional.empty();
  }

  private static Optional<Refusal> plannedGuard(PlanSpec spec, String from, String to, Look look) {
    if (look.source().isEmpty()) {
      Refusal trouble = look.sourceTrouble().orElseThrow();
      return trouble.code() == ErrorCode.NOT_FOUND
          ? refuse(
              ErrorCode.NOT_FOUND,
              "plan '%s' names volume '%s', which site '%s' does not have any more; force the"
                  + " failover, or create the plan without it",
              spec.name(),
              look.volume(),
              from)
          : refuse(
              trouble.code(),
              "%s; a planned failover needs both sites, a forced one does not",
              trouble.getMessage());
    }
    VolumeSummary source = look.source().get();
    VolumeSummary target = look.target().orElseThrow();
    if (!source.role().equals("Primary")) {
      return refuse(
          ErrorCode.FENCED,
          "volume '%s' is %s at site '%s', no primary: there is nothing to fail over from; force"
              + " the failover",
          look.volume(),
          source.role(),
          from);
    }
    if (source.epoch() != target.epoch()) {
      return refuse(
          ErrorCode.NOT_SYNCHRONIZED,
          "volume '%s' is in epoch %d at site '%s' and in %d at '%s'; wait for its link",
          look.volume(),
          source.epoch(),
          from,
          target.epoch(),
          to);
    }
    return source.tapConnected()
        ? Optional.empty()
        : refuse(
            ErrorCode.NOT_ACKNOWLEDGED,
            "no tap of volume '%s' is attached at site '%s', so nobody knows what it has not"
                + " journaled; start it, or force the failover",
            look.volume(),
            from);
  }

  private static Optional<Refusal> forcedGuard(RunOrder order, String from, Look look) {
    boolean unknown =
        look.source().isEmpty() && look.sourceTrouble().orElseThrow().code() != ErrorCode.NOT_FOUND;
    return unknown && !order.overrides().contains(ErrorCode.SECOND_PRIMARY)
        ? refuse(
            ErrorCode.SECOND_PRIMARY,
            "site '%s' does not answer, so volume '%s' cannot be fenced there and may still be"
                + " written: make sure that it is not, then force with the override SECOND_PRIMARY",
            from,
            look.volume())
        : Optional.empty();
  }

  private static Optional<Refusal> refuse(ErrorCode code, String sentence, Object... values) {
    return Optional.of(new Refusal(code, sentence.formatted(values)));
  }
}
