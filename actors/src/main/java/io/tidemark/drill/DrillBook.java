package io.tidemark.drill;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.sharding.typed.javadsl.Entity;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.drill.DrillEvent.DrillCreated;
import io.tidemark.drill.DrillEvent.DrillDeleted;
import io.tidemark.drill.DrillEvent.DrillRunBegan;
import io.tidemark.drill.DrillEvent.DrillRunEnded;
import io.tidemark.drill.DrillState.Drill;
import io.tidemark.drill.DrillState.Running;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;
import java.util.Optional;

/** The drills of a site: who runs which, and what came of it. One entity (D1, D2, D3). */
public final class DrillBook
    extends EventSourcedBehaviorWithEnforcedReplies<DrillBook.Command, DrillEvent, DrillState> {
  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "drill-book");

  /** The one entity of this type. */
  public static final String ENTITY_ID = "site";

  public static final int DRILLS_MAX = 256;
  static final int SNAPSHOT_EVERY = 50;

  public sealed interface Command extends TidemarkMessage {}

  /**
   * Creates a drill. Answers {@link Book}; refuses with {@code ALREADY_EXISTS} or {@code LIMIT}.
   * Repeating it with the same spec is safe.
   */
  @JsonTypeName("drill.create")
  public record CreateDrill(DrillSpec spec, long nowMicros, ActorRef<Reply> replyTo)
      implements Command {}

  /** Forgets a drill. Answers {@link Book}; refuses with {@code NOT_FOUND}. */
  @JsonTypeName("drill.delete")
  public record DeleteDrill(String name, ActorRef<Reply> replyTo) implements Command {}

  /**
   * A node is about to run it. Answers {@link Book}; refuses with {@code NOT_FOUND}, or {@code
   * BUSY} when it runs or, unless by hand, is not due. Repeating with the same run is safe.
   *
   * @param untilMicros when the run counts as given up
   */
  @JsonTypeName("drill.begin")
  public record BeginRun(
      String name,
      String run,
      String node,
      boolean byHand,
      long nowMicros,
      long untilMicros,
      ActorRef<Reply> replyTo)
      implements Command {}

  /**
   * Records what came of a run. Answers {@link Book}; refuses with {@code NOT_FOUND} when that run
   * was given up or its drill is gone. Repeating is safe.
   */
  @JsonTypeName("drill.end")
  public record EndRun(String name, DrillResult result, ActorRef<Reply> replyTo)
      implements Command {}

  /** Answers {@link Book}. */
  @JsonTypeName("drill.get")
  public record GetDrills(ActorRef<Reply> replyTo) implements Command {}

  public sealed interface Reply extends TidemarkMessage {}

  /** All drills as they are after the command. */
  @JsonTypeName("drill.book")
  public record Book(DrillState state) implements Reply {}

  @JsonTypeName("drill.refused")
  public record Refused(ErrorCode code, String message) implements Reply {}

  private DrillBook() {
    super(PersistenceId.of(TYPE_KEY.name(), ENTITY_ID));
  }

  /** Makes the entity available on this node. */
  public static void init(ClusterSharding sharding) {
    sharding.init(Entity.of(TYPE_KEY, context -> create()));
  }

  public static Behavior<Command> create() {
    return new DrillBook();
  }

  @Override
  public DrillState emptyState() {
    return DrillState.EMPTY;
  }

  @Override
  public CommandHandlerWithReply<Command, DrillEvent, DrillState> commandHandler() {
    return newCommandHandlerWithReplyBuilder()
        .forAnyState()
        .onCommand(CreateDrill.class, this::onCreate)
        .onCommand(DeleteDrill.class, this::onDelete)
        .onCommand(BeginRun.class, this::onBegin)
        .onCommand(EndRun.class, this::onEnd)
        .onCommand(GetDrills.class, this::onGet)
        .build();
  }

  private ReplyEffect<DrillEvent, DrillState> onCreate(DrillState state, CreateDrill command) {
    Drill there = state.drills().get(command.spec().name());
    if (there != null) {
      return there.spec().equals(command.spec())
          ? Effect().reply(command.replyTo(), new Book(state))
          : refuse(
              command.replyTo(),
              ErrorCode.ALREADY_EXISTS,
              "a drill '" + command.spec().name() + "' exists; delete it or choose another name");
    }
    if (state.drills().size() >= DRILLS_MAX) {
      return refuse(
          command.replyTo(),
          ErrorCode.LIMIT,
          DRILLS_MAX + " drills exist, the most a site has; delete one first");
    }
    return Effect()
        .persist(new DrillCreated(command.spec(), command.nowMicros()))
        .thenReply(command.replyTo(), Book::new);
  }

  private ReplyEffect<DrillEvent, DrillState> onDelete(DrillState state, DeleteDrill command) {
    return state.drills().containsKey(command.name())
        ? Effect().persist(new DrillDeleted(command.name())).thenReply(command.replyTo(), Book::new)
        : refuseUnknown(command.replyTo(), command.name());
  }

  private ReplyEffect<DrillEvent, DrillState> onBegin(DrillState state, BeginRun command) {
    Drill drill = state.drills().get(command.name());
    if (drill == null) {
      return refuseUnknown(command.replyTo(), command.name());
    }
    Optional<Running> running = drill.running();
    if (running.isPresent() && running.get().run().equals(command.run())) {
      return Effect().reply(command.replyTo(), new Book(state));
    }
    if (drill.busy(command.nowMicros())) {
      return refuse(
          command.replyTo(),
          ErrorCode.BUSY,
          "the drill '" + command.name() + "' is running; wait for its end");
    }
    if (!command.byHand() && !drill.due(command.nowMicros())) {
      return refuse(
          command.replyTo(), ErrorCode.BUSY, "the drill '" + command.name() + "' is not due");
    }
    return Effect()
        .persist(
            new DrillRunBegan(
                command.name(),
                command.run(),
                command.node(),
                command.nowMicros(),
                command.untilMicros()))
        .thenReply(command.replyTo(), Book::new);
  }

  private ReplyEffect<DrillEvent, DrillState> onEnd(DrillState state, EndRun command) {
    Drill drill = state.drills().get(command.name());
    if (drill == null) {
      return refuseUnknown(command.replyTo(), command.name());
    }
    String run = command.result().run();
    if (drill.results().stream().anyMatch(result -> result.run().equals(run))) {
      return Effect().reply(command.replyTo(), new Book(state));
    }
    if (drill.running().isEmpty() || !drill.running().get().run().equals(run)) {
      return refuse(
          command.replyTo(),
          ErrorCode.NOT_FOUND,
          "the run of '" + command.name() + "' is given up");
    }
    return Effect()
        .persist(new DrillRunEnded(command.name(), command.result()))
        .thenReply(command.replyTo(), Book::new);
  }

  private ReplyEffect<DrillEvent, DrillState> onGet(DrillState state, GetDrills command) {
    return Effect().reply(command.replyTo(), new Book(state));
  }

  private ReplyEffect<DrillEvent, DrillState> refuseUnknown(ActorRef<Reply> replyTo, String name) {
    return refuse(replyTo, ErrorCode.NOT_FOUND, "there is no drill '" + name + "'");
  }

  private ReplyEffect<DrillEvent, DrillState> refuse(
      ActorRef<Reply> replyTo, ErrorCode code, String sentence) {
    return Effect().reply(replyTo, new Refused(code, sentence));
  }

  @Override
  public EventHandler<DrillState, DrillEvent> eventHandler() {
    return newEventHandlerBuilder().forAnyState().onAnyEvent(DrillState::apply);
  }

  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(SNAPSHOT_EVERY, 2);
  }
}
