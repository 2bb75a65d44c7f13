package io.tidemark.plan;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.SupervisorStrategy;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import java.time.Duration;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Function;

/** The names of a site's plans, one entity a site. It wakes them when it is told to (P1). */
public final class PlanDirectory
    extends EventSourcedBehaviorWithEnforcedReplies<
        PlanDirectory.Command, PlanDirectory.Event, PlanDirectory.Listed> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "plan-directory");

  public static final int PLANS_MAX = 256;

  private static final int SNAPSHOT_EVERY = 100;

  /** What the directory is asked. */
  public sealed interface Command extends TidemarkMessage {}

  /** Lists a plan. Replies {@link Listing}; {@code LIMIT}. Safe to repeat. */
  @JsonTypeName("list-plan")
  public record ListPlan(String name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}, also when it was not listed: safe to repeat. */
  @JsonTypeName("unlist-plan")
  public record UnlistPlan(String name, ActorRef<Reply> replyTo) implements Command {}

  /** Replies {@link Listing}. */
  @JsonTypeName("get-plans")
  public record GetPlans(ActorRef<Reply> replyTo) implements Command {}

  /** Wakes every plan. No reply. */
  @JsonTypeName("wake-plans")
  public record WakePlans() implements Command {}

  /** What the directory answers. */
  public sealed interface Reply extends TidemarkMessage {}

  /** In name order. */
  @JsonTypeName("plan-listing")
  public record Listing(List<String> names) implements Reply {}

  @JsonTypeName("plan-directory-refused")
  public record Refused(ErrorCode code, String message) implements Reply {
    Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  /** What has happened to it. */
  public sealed interface Event extends TidemarkMessage {}

  @JsonTypeName("plan-listed")
  public record PlanListed(String name) implements Event {}

  @JsonTypeName("plan-unlisted")
  public record PlanUnlisted(String name) implements Event {}

  /** In name order. */
  @JsonTypeName("plans-listed")
  public record Listed(List<String> names) implements TidemarkMessage {
    static final Listed NONE = new Listed(List.of());

    Listed apply(Event event) {
      TreeSet<String> changed = new TreeSet<>(names);
      if (event instanceof PlanListed e) {
        changed.add(e.name());
      } else if (event instanceof PlanUnlisted e) {
        changed.remove(e.name());
      }
      return new Listed(List.copyOf(changed));
    }
  }

  private final Function<String, RecipientRef<RecoveryPlan.Command>> plans;

  /**
   * @param plans the entity of a name
   */
  public static Behavior<Command> create(
      String site, Function<String, RecipientRef<RecoveryPlan.Command>> plans) {
    return new PlanDirectory(site, plans);
  }

  private PlanDirectory(String site, Function<String, RecipientRef<RecoveryPlan.Command>> plans) {
    super(
        PersistenceId.of(TYPE_KEY.name(), site),
        SupervisorStrategy.restartWithBackoff(Duration.ofMillis(500), Duration.ofSeconds(10), 0.2));
    this.plans = plans;
  }

  @Override
  public Listed emptyState() {
    return Listed.NONE;
  }

  @Override
  public CommandHandlerWithReply<Command, Event, Listed> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(ListPlan.class, this::onList)
        .onCommand(UnlistPlan.class, this::onUnlist)
        .onCommand(GetPlans.class, this::onGet)
        .onCommand(WakePlans.class, this::onWake)
        .build();
  }

  private ReplyEffect<Event, Listed> onList(Listed state, ListPlan c) {
    if (state.names().contains(c.name())) {
      return Effect().reply(c.replyTo(), new Listing(state.names()));
    }
    if (state.names().size() >= PLANS_MAX) {
      return Effect()
          .reply(
              c.replyTo(),
              new Refused(ErrorCode.LIMIT, "a site has at most " + PLANS_MAX + " plans"));
    }
    return Effect()
        .persist((Event) new PlanListed(c.name()))
        .thenReply(c.replyTo(), next -> (Reply) new Listing(next.names()));
  }

  private ReplyEffect<Event, Listed> onUnlist(Listed state, UnlistPlan c) {
    return state.names().contains(c.name())
        ? Effect()
            .persist((Event) new PlanUnlisted(c.name()))
            .thenReply(c.replyTo(), next -> (Reply) new Listing(next.names()))
        : Effect().reply(c.replyTo(), new Listing(state.names()));
  }

  private ReplyEffect<Event, Listed> onGet(Listed state, GetPlans c) {
    return Effect().reply(c.replyTo(), new Listing(state.names()));
  }

  private ReplyEffect<Event, Listed> onWake(Listed state, WakePlans c) {
    state.names().forEach(name -> plans.apply(name).tell(new RecoveryPlan.Wake()));
    return Effect().noReply();
  }

  @Override
  public EventHandler<Listed, Event> eventHandler() {
    return newEventHandlerBuilder().forAnyState().onAnyEvent(Listed::apply);
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
