package io.tidemark.site;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.RecoveryCompleted;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import akka.persistence.typed.javadsl.SignalHandler;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.DirectoryEvent.VolumeForgotten;
import io.tidemark.site.DirectoryEvent.VolumeListed;
import io.tidemark.site.DirectoryEvent.VolumeUnlisted;
import io.tidemark.volume.VolumeEntity;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;

/**
 * The names of a site's volumes, one entity a site. A name is listed before its volume is created
 * and unlisted after it is deleted, so that no volume is ever missing; a listed name without a
 * volume is passed over by who reads the list. A volume that is deleted is asked again and again
 * until its storage is freed, which also wakes it to do so should its node have crashed before.
 */
public final class SiteDirectory
    extends EventSourcedBehaviorWithEnforcedReplies<
        SiteDirectory.Command, DirectoryEvent, DirectoryState> {

  public static final EntityTypeKey<Command> TYPE_KEY = EntityTypeKey.create(Command.class, "site");

  /** Volumes of one site. */
  public static final int VOLUMES_MAX = 20_000;

  private static final int SNAPSHOT_EVERY = 100;
  private static final int SNAPSHOTS_KEPT = 2;

  /** What the directory is asked. */
  public sealed interface Command {}

  /** Replies {@link Listing}; {@code LIMIT} when the site is full. Safe to repeat. */
  @JsonTypeName("list-volume")
  public record ListVolume(VolumeName name, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Listing}, also when the name was not listed: safe to repeat. */
  @JsonTypeName("unlist-volume")
  public record UnlistVolume(VolumeName name, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Listing}. */
  @JsonTypeName("get-names")
  public record GetNames(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  private record Sweep() implements Command {}

  private record VolumeSaid(VolumeEntity.Reply reply) implements Command {}

  /** What the directory answers. */
  public sealed interface Reply extends TidemarkMessage {}

  /** All names, in order. */
  @JsonTypeName("listing")
  public record Listing(List<VolumeName> names) implements Reply {}

  /** An expected refusal. */
  @JsonTypeName("directory-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  private final TimerScheduler<Command> timers;
  private final Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes;
  private final ActorRef<VolumeEntity.Reply> answers;
  private final Duration sweepEvery;

  /**
   * @param sweepEvery how often deleted volumes are asked whether their storage is freed
   */
  static Behavior<Command> create(
      String site,
      Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
      Duration sweepEvery) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(
                timers -> new SiteDirectory(context, timers, site, volumes, sweepEvery)));
  }

  private SiteDirectory(
      ActorContext<Command> context,
      TimerScheduler<Command> timers,
      String site,
      Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
      Duration sweepEvery) {
    super(
        PersistenceId.of(TYPE_KEY.name(), site),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(500), Duration.ofSeconds(10), 0.2));
    this.timers = timers;
    this.volumes = volumes;
    this.answers = context.messageAdapter(VolumeEntity.Reply.class, VolumeSaid::new);
    this.sweepEvery = sweepEvery;
  }

  @Override
  public DirectoryState emptyState() {
    return DirectoryState.EMPTY;
  }

  @Override
  public CommandHandlerWithReply<Command, DirectoryEvent, DirectoryState> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(ListVolume.class, this::onList)
        .onCommand(UnlistVolume.class, this::onUnlist)
        .onCommand(GetNames.class, this::onGetNames)
        .onCommand(Sweep.class, this::onSweep)
        .onCommand(VolumeSaid.class, this::onVolumeSaid)
        .build();
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onList(DirectoryState state, ListVolume c) {
    if (state.names().contains(c.name())) {
      return Effect().reply(c.replyTo(), new Listing(state.names()));
    }
    if (state.names().size() >= VOLUMES_MAX) {
      return Effect()
          .reply(
              c.replyTo(),
              new Refused(ErrorCode.LIMIT, "a site has at most " + VOLUMES_MAX + " volumes"));
    }
    return Effect()
        .persist(new VolumeListed(c.name()))
        .thenReply(c.replyTo(), next -> new Listing(next.names()));
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onUnlist(
      DirectoryState state, UnlistVolume c) {
    if (!state.names().contains(c.name())) {
      return Effect().reply(c.replyTo(), new Listing(state.names()));
    }
    return Effect()
        .persist(new VolumeUnlisted(c.name()))
        .thenRun(this::sweepLater)
        .thenReply(c.replyTo(), next -> new Listing(next.names()));
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onGetNames(DirectoryState state, GetNames c) {
    return Effect().reply(c.replyTo(), new Listing(state.names()));
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onSweep(DirectoryState state, Sweep c) {
    state
        .leaving()
        .forEach(name -> volumes.apply(name).tell(new VolumeEntity.GetLeftovers(answers)));
    sweepLater(state);
    return Effect().noReply();
  }

  private ReplyEffect<DirectoryEvent, DirectoryState> onVolumeSaid(
      DirectoryState state, VolumeSaid c) {
    return c.reply() instanceof VolumeEntity.Leftovers left
            && left.incarnations() == 0
            && state.leaving().contains(left.name())
        ? Effect().persist(new VolumeForgotten(left.name())).thenNoReply()
        : Effect().noReply();
  }

  private void sweepLater(DirectoryState state) {
    if (!state.leaving().isEmpty()) {
      timers.startSingleTimer(new Sweep(), sweepEvery);
    }
  }

  @Override
  public SignalHandler<DirectoryState> signalHandler() {
    return newSignalHandlerBuilder()
        .onSignal(RecoveryCompleted.instance(), this::sweepLater)
        .build();
  }

  @Override
  public EventHandler<DirectoryState, DirectoryEvent> eventHandler() {
    return DirectoryState::apply;
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, SNAPSHOTS_KEPT);
  }
}
