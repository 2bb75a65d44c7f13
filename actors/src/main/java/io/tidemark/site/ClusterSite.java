package io.tidemark.site;

import akka.NotUsed;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.javadsl.AskPattern;
import akka.actor.typed.pubsub.Topic;
import akka.stream.OverflowStrategy;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import akka.stream.typed.javadsl.ActorSource;
import io.tidemark.order.TapOrder;
import io.tidemark.point.HistoryView;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.volume.Standing;
import io.tidemark.volume.VolumeEntity;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/** The site as any node of its cluster sees it: asks the entities, wherever they live. */
public final class ClusterSite implements Site, Replicas, Retention {
  /** Volumes asked at once for a list of summaries. */
  private static final int ASKS_IN_FLIGHT = 64;

  /** Events that a slow reader may be behind before the oldest are dropped. */
  private static final int EVENTS_BUFFERED = 1_024;

  /** An order's refusal at its deadline may take so long to arrive. */
  private static final Duration ORDER_GRACE = Duration.ofSeconds(1);

  /** A scheduler's timers do not reach further than some months. */
  private static final Duration ORDER_WAIT_MAX = Duration.ofDays(1);

  private final ActorSystem<?> system;
  private final Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes;
  private final RecipientRef<SiteDirectory.Command> directory;
  private final ActorRef<Topic.Command<SitePublication>> topic;
  private final RestingSummaries resting;
  private final Duration timeout;

  ClusterSite(
      ActorSystem<?> system,
      Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
      RecipientRef<SiteDirectory.Command> directory,
      ActorRef<Topic.Command<SitePublication>> topic,
      RestingSummaries resting,
      Duration timeout) {
    this.system = system;
    this.volumes = volumes;
    this.directory = directory;
    this.topic = topic;
    this.resting = resting;
    this.timeout = timeout;
  }

  @Override
  public CompletionStage<VolumeSummary> createVolume(
      VolumeName name, long sizeBytes, boolean synchronous) {
    return names(ref -> new SiteDirectory.ListVolume(name, ref))
        .thenCompose(
            listed ->
                ask(
                    name,
                    ref -> new VolumeEntity.CreateVolume(sizeBytes, synchronous, ref),
                    VolumeEntity.Summary.class))
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<List<VolumeSummary>> volumes() {
    return names(SiteDirectory.GetNames::new)
        .thenCompose(
            names ->
                Source.from(names)
                    .mapAsync(ASKS_IN_FLIGHT, this::restingOrAwake)
                    .filter(Optional::isPresent)
                    .map(Optional::get)
                    .runWith(Sink.seq(), system));
  }

  private CompletionStage<Optional<VolumeSummary>> restingOrAwake(VolumeName name) {
    return resting
        .find(name)
        .thenCompose(
            found -> found.isPresent() ? CompletableFuture.completedStage(found) : existing(name));
  }

  /** Empty for a name that is listed but has no volume: it is being created or deleted. */
  private CompletionStage<Optional<VolumeSummary>> existing(VolumeName name) {
    return Failures.found(volume(name));
  }

  @Override
  public CompletionStage<VolumeSummary> volume(VolumeName name) {
    return ask(name, VolumeEntity.GetSummary::new, VolumeEntity.Summary.class)
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeName name) {
    return ask(name, VolumeEntity.DeleteVolume::new, VolumeEntity.Done.class)
        .thenCompose(done -> names(ref -> new SiteDirectory.UnlistVolume(name, ref)))
        .thenCompose(unlisted -> existing(name))
        .thenCompose(found -> relist(name, found));
  }

  /** Somebody may have created the volume anew between its deletion and the unlisting. */
  private CompletionStage<Void> relist(VolumeName name, Optional<VolumeSummary> found) {
    return found.isEmpty()
        ? CompletableFuture.completedStage(null)
        : names(ref -> new SiteDirectory.ListVolume(name, ref)).thenApply(listed -> null);
  }

  @Override
  public CompletionStage<RetentionSummary> retention(VolumeName name) {
    return ask(name, VolumeEntity.GetRetention::new, VolumeEntity.RetentionShown.class)
        .thenApply(VolumeEntity.RetentionShown::summary);
  }

  @Override
  public CompletionStage<VolumeSummary> setRetention(VolumeName name, RetentionPolicy policy) {
    return ask(name, ref -> new VolumeEntity.SetRetention(policy, ref), VolumeEntity.Summary.class)
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<Void> hold(
      VolumeName name, VolumeId id, String holder, WriteSeq seq, boolean onward, Duration lease) {
    return ask(
            name,
            ref ->
                new VolumeEntity.PinPoint(id, holder, seq.value(), onward, lease.toMillis(), ref),
            VolumeEntity.Done.class)
        .thenApply(done -> null);
  }

  @Override
  public CompletionStage<Void> release(VolumeName name, String holder) {
    return ask(name, ref -> new VolumeEntity.UnpinPoint(holder, ref), VolumeEntity.Done.class)
        .thenApply(done -> null);
  }

  @Override
  public CompletionStage<Void> keepTag(VolumeName name, VolumeId id, KeptTag tag) {
    return ask(name, ref -> new VolumeEntity.KeepTag(id, tag, ref), VolumeEntity.Done.class)
        .thenApply(done -> null);
  }

  @Override
  public CompletionStage<HistoryView> history(VolumeName name) {
    return ask(name, ref -> new VolumeEntity.GetHistory(0, ref), VolumeEntity.History.class)
        .thenApply(VolumeEntity.History::view);
  }

  @Override
  public CompletionStage<VolumeSummary> createReplica(VolumeName name, ReplicaSpec spec) {
    return names(ref -> new SiteDirectory.ListVolume(name, ref))
        .thenCompose(
            listed ->
                ask(
                    name,
                    ref ->
                        new VolumeEntity.CreateReplica(
                            spec.sizeBytes(),
                            spec.baseMicros(),
                            spec.epoch(),
                            spec.branch(),
                            spec.link(),
                            spec.origin(),
                            ref),
                    VolumeEntity.Summary.class))
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<VolumeSummary> promote(
      VolumeName name, long epoch, long drainedSeq, boolean forced) {
    return ask(
            name,
            ref -> new VolumeEntity.PromoteVolume(epoch, drainedSeq, forced, ref),
            VolumeEntity.Summary.class)
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<VolumeSummary> demote(VolumeName name, Demotion demotion) {
    return ask(
            name,
            ref ->
                new VolumeEntity.DemoteVolume(
                    demotion.epoch(),
                    demotion.link(),
                    demotion.origin(),
                    demotion.keepSeq(),
                    demotion.keepMicros(),
                    ref),
            VolumeEntity.Summary.class)
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<VolumeSummary> lease(VolumeName name, boolean on) {
    return ask(name, ref -> new VolumeEntity.LeaseWrites(on, ref), VolumeEntity.Summary.class)
        .thenApply(VolumeEntity.Summary::summary);
  }

  @Override
  public CompletionStage<List<Standing.Branch>> branches(VolumeName name) {
    return ask(name, VolumeEntity.GetBranches::new, VolumeEntity.BranchesShown.class)
        .thenApply(VolumeEntity.BranchesShown::branches);
  }

  @Override
  public CompletionStage<HistoryView> branch(VolumeName name, String branch) {
    return ask(
            name,
            ref -> new VolumeEntity.GetBranchHistory(0, branch, ref),
            VolumeEntity.History.class)
        .thenApply(VolumeEntity.History::view);
  }

  @Override
  public CompletionStage<byte[]> order(VolumeName name, TapOrder order) {
    long left = order.deadlineMicros() - MicroClock.system().micros();
    long waited = Math.max(0, Math.min(left, ORDER_WAIT_MAX.toNanos() / 1_000));
    return ask(
            name,
            ref -> new VolumeEntity.OrderTap(order, ref),
            VolumeEntity.OrderDone.class,
            ORDER_GRACE.plusNanos(TimeUnit.MICROSECONDS.toNanos(waited)))
        .thenApply(VolumeEntity.OrderDone::body);
  }

  @Override
  public Source<SiteEvent, NotUsed> events() {
    return ActorSource.<SitePublication>actorRef(
            message -> false,
            message -> Optional.empty(),
            EVENTS_BUFFERED,
            OverflowStrategy.dropHead())
        .mapMaterializedValue(
            reader -> {
              topic.tell(Topic.subscribe(reader));
              return NotUsed.getInstance();
            })
        .map(SitePublication::event);
  }

  private <T extends VolumeEntity.Reply> CompletionStage<T> ask(
      VolumeName name,
      Function<ActorRef<VolumeEntity.Reply>, VolumeEntity.Command> command,
      Class<T> expected) {
    return ask(name, command, expected, timeout);
  }

  private <T extends VolumeEntity.Reply> CompletionStage<T> ask(
      VolumeName name,
      Function<ActorRef<VolumeEntity.Reply>, VolumeEntity.Command> command,
      Class<T> expected,
      Duration within) {
    CompletionStage<VolumeEntity.Reply> answer =
        AskPattern.ask(volumes.apply(name), command::apply, within, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("volume '" + name + "'", failure, within);
          }
          if (reply instanceof VolumeEntity.Refused refused) {
            throw refused.refusal();
          }
          return expected.cast(reply);
        });
  }

  private CompletionStage<List<VolumeName>> names(
      Function<ActorRef<SiteDirectory.Reply>, SiteDirectory.Command> command) {
    CompletionStage<SiteDirectory.Reply> answer =
        AskPattern.ask(directory, command::apply, timeout, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("the list of volumes", failure, timeout);
          }
          if (reply instanceof SiteDirectory.Refused refused) {
            throw refused.refusal();
          }
          return ((SiteDirectory.Listing) reply).names();
        });
  }

  private RuntimeException late(String who, Throwable failure, Duration within) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof TimeoutException
        ? new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "%s did not answer within %d s; the request may or may not have been carried out"
                .formatted(who, within.toSeconds()),
            cause)
        : new CompletionException(cause);
  }
}
