package io.tidemark.plan;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.Props;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.javadsl.AskPattern;
import akka.actor.typed.javadsl.Behaviors;
import akka.cluster.sharding.typed.ClusterShardingSettings;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.sharding.typed.javadsl.Entity;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.group.GroupSummary;
import io.tidemark.group.Groups;
import io.tidemark.group.TagRequest;
import io.tidemark.image.Images;
import io.tidemark.image.VolumePoints;
import io.tidemark.link.LinkSummary;
import io.tidemark.link.Links;
import io.tidemark.order.Gate;
import io.tidemark.order.OrderKind;
import io.tidemark.order.TapOrder;
import io.tidemark.plan.PlanCommand.Answer;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.site.Site;
import io.tidemark.site.SiteEvent;
import io.tidemark.tag.TagSummary;
import io.tidemark.witness.WitnessCommand;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;

/** Starts what plans need on a node, and asks them wherever they are carried out. */
public final class ClusterPlans implements Plans {
  private static final int ASKS_IN_FLIGHT = 16;

  private record WakeAll() {}

  /**
   * What of the node they stand on.
   *
   * @param hooks the directory of the programs that plans may run at this node
   */
  public record Parts(
      Site site,
      Groups groups,
      Links links,
      RemoteSites remotes,
      VolumePoints points,
      Images images,
      Path hooks,
      MicroClock clock,
      Consumer<SiteEvent> events) {}

  private final ActorSystem<?> system;
  private final Parts parts;
  private final String here;
  private final Function<String, RecipientRef<RecoveryPlan.Command>> plans;
  private final RecipientRef<PlanDirectory.Command> directory;
  private final PlanSurvey survey;
  private final HookPrograms hooks;
  private final Duration timeout;

  private ClusterPlans(ActorSystem<?> system, Parts parts) {
    ClusterSharding sharding = ClusterSharding.get(system);
    this.system = system;
    this.parts = parts;
    this.here = parts.remotes().here();
    this.plans = name -> sharding.entityRefFor(RecoveryPlan.TYPE_KEY, name);
    this.timeout = system.settings().config().getDuration("tidemark.site.ask-timeout");
    this.hooks =
        new HookPrograms(parts.hooks(), system.dispatchers().lookup(DispatcherSelector.blocking()));
    PlanWork work =
        new PlanWork(
            new PlanWork.Parts(parts.remotes(), parts.links(), parts.points(), parts.images()));
    this.survey = new PlanSurvey(parts.remotes(), work, parts.clock());
    RecoveryPlan.Parts planParts =
        new RecoveryPlan.Parts(
            work,
            survey,
            here,
            parts.clock(),
            system.settings().config().getDuration("tidemark.plan.retry-every"),
            system.settings().config().getDuration("tidemark.plan.task-limit"),
            parts.events(),
            new PlanAutomatic.Parts(
                parts.remotes(),
                new SiteTaps(parts.remotes(), parts.site()),
                system.settings().config().getDuration("tidemark.witness.renew-every"),
                parts.clock()));
    sharding.init(
        Entity.of(
                RecoveryPlan.TYPE_KEY,
                entity -> RecoveryPlan.create(entity.getEntityId(), planParts))
            .withStopMessage(RecoveryPlan.sleep())
            .withSettings(ClusterShardingSettings.create(system).withNoPassivationStrategy()));
    sharding.init(
        Entity.of(
            PlanDirectory.TYPE_KEY, entity -> PlanDirectory.create(entity.getEntityId(), plans)));
    this.directory = sharding.entityRefFor(PlanDirectory.TYPE_KEY, here);
  }

  /** Starts plans on this node; those of the site that are at something go on with it (P1). */
  public static Plans start(ActorSystem<?> system, Parts parts) {
    ClusterPlans plans = new ClusterPlans(system, parts);
    plans.serve();
    Duration every = system.settings().config().getDuration("tidemark.plan.wake-every");
    akka.cluster.Cluster.get(system)
        .registerOnMemberUp(
            () -> system.systemActorOf(waker(plans.directory, every), "plan-waker", Props.empty()));
    return plans;
  }

  /** On every node: whichever nodes are lost, plans go on with those that are left (P1). */
  private static Behavior<WakeAll> waker(
      RecipientRef<PlanDirectory.Command> directory, Duration every) {
    return Behaviors.withTimers(
        timers -> {
          timers.startTimerWithFixedDelay(new WakeAll(), Duration.ZERO, every);
          return Behaviors.receive(WakeAll.class)
              .onMessage(
                  WakeAll.class,
                  wake -> {
                    directory.tell(new PlanDirectory.WakePlans());
                    return Behaviors.same();
                  })
              .build();
        });
  }

  // ---- what other sites ask -------------------------------------------------------------------

  private void serve() {
    RemoteSites sites = parts.remotes();
    sites.serve(PlanCommand.Adopt.class, c -> adopt(c.spec()).thenApply(Answer::of));
    sites.serve(PlanCommand.Show.class, c -> local(c.name()).thenApply(Answer::of));
    sites.serve(
        PlanCommand.Order.class,
        c -> ask(c.name(), ref -> new RecoveryPlan.BeginRun(c.order(), ref)).thenApply(Answer::of));
    sites.serve(
        PlanCommand.SetAutomatic.class,
        c ->
            ask(c.name(), ref -> new RecoveryPlan.SetAutomatic(c.automatic(), c.overridden(), ref))
                .thenApply(Answer::of));
    sites.serve(
        PlanCommand.Note.class,
        c -> ask(c.name(), ref -> new RecoveryPlan.NoteRun(c.note(), ref)).thenApply(Answer::of));
    sites.serve(PlanCommand.FindLanes.class, this::lanes);
    sites.serve(PlanCommand.ResumeLinks.class, this::resume);
    sites.serve(PlanCommand.ShutTap.class, this::shut);
    sites.serve(PlanCommand.TakeTag.class, this::tag);
    sites.serve(PlanCommand.RunHook.class, c -> hooks.run(c.hook(), c.environment()));
  }

  private CompletionStage<Answer> lanes(PlanCommand.FindLanes c) {
    return parts
        .links()
        .list()
        .thenApply(
            links -> {
              List<PlanCommand.Lane> found = new ArrayList<>();
              for (LinkSummary link : links) {
                if (link.spec().toSite().equals(c.toSite())) {
                  link.lanes().stream()
                      .filter(lane -> c.volumes().contains(lane.volume()))
                      .forEach(lane -> found.add(lane(link, lane)));
                }
              }
              return new Answer(Optional.empty(), found, 0, true, "");
            });
  }

  private static PlanCommand.Lane lane(LinkSummary link, LinkSummary.Lane lane) {
    return new PlanCommand.Lane(
        lane.volume(),
        link.spec().name(),
        link.spec().laneId(lane.volume()),
        link.spec().origin(),
        lane.state().equals("Streaming"),
        lane.ackedSeq(),
        lane.lagBytes(),
        lane.lagSeconds(),
        lane.stale(),
        lane.fault());
  }

  private CompletionStage<Answer> resume(PlanCommand.ResumeLinks c) {
    CompletionStage<Answer> all = CompletableFuture.completedStage(Answer.of("links run"));
    for (String link : c.links()) {
      all = all.thenCombine(parts.links().resume(link), (answer, resumed) -> answer);
    }
    return all;
  }

  private CompletionStage<Answer> shut(PlanCommand.ShutTap c) {
    long id = UUID.randomUUID().getMostSignificantBits();
    long deadline = parts.clock().micros() + c.limitSeconds() * 1_000_000L;
    byte[] body = c.open() ? Gate.open(c.run()) : Gate.shut(c.run());
    return parts
        .site()
        .order(c.volume(), new TapOrder(id, OrderKind.ROLLBACK, deadline, body))
        .thenApply(answer -> new Answer(Optional.empty(), List.of(), Gate.seq(answer), true, ""));
  }

  private CompletionStage<Answer> tag(PlanCommand.TakeTag c) {
    TagRequest request = new TagRequest(c.tag(), false, List.of(), "before a failover", 0);
    return parts.groups().take(c.group(), request).thenApply(ClusterPlans::taken);
  }

  private static Answer taken(TagSummary tag) {
    if (tag.code().isPresent()) {
      throw new Refusal(tag.code().get(), tag.reason());
    }
    return Answer.of("tag '%s' is %s".formatted(tag.spec().name(), tag.state()));
  }

  // ---- plans ----------------------------------------------------------------------------------

  @Override
  public CompletionStage<PlanSummary> create(PlanSpec spec) {
    try {
      if (!here.equals(spec.source()) && !here.equals(spec.target())) {
        throw new Refusal(
            ErrorCode.INVALID,
            "a plan is created at one of its sites, '%s' or '%s'; this is '%s'"
                .formatted(
                    Refusal.printable(spec.source()), Refusal.printable(spec.target()), here));
      }
    } catch (Refusal e) {
      return CompletableFuture.failedStage(e);
    }
    return resolved(spec)
        .thenApply(PlanSpec::checked)
        .thenCompose(this::createBoth)
        .thenCompose(
            plan ->
                spec.automatic().isEmpty()
                    ? CompletableFuture.completedStage(plan)
                    : automatic(spec.name(), spec.automatic(), false));
  }

  /** Without automatic failover, which is turned on once both sites know the plan. */
  private CompletionStage<PlanSummary> createBoth(PlanSpec checked) {
    PlanSpec whole = checked.with(Optional.empty());
    return parts
        .remotes()
        .ask(whole.other(here), new PlanCommand.Adopt(whole))
        .thenCompose(adopted -> adopt(whole));
  }

  // ---- automatic failover ---------------------------------------------------------------------

  @Override
  public CompletionStage<PlanSummary> automatic(
      String name, Optional<PlanSpec.Automatic> wanted, boolean overridden) {
    return local(name)
        .thenCompose(
            plan -> {
              PlanSpec spec = plan.spec();
              boolean same =
                  wanted.isPresent()
                      && spec.automatic().isPresent()
                      && wanted.get().witness().equals(spec.automatic().get().witness())
                      && wanted.get().afterSeconds() == spec.automatic().get().afterSeconds();
              if (wanted.isPresent()) {
                Optional<PlanSpec.Automatic> on = same ? spec.automatic() : wanted;
                spec.with(on).checked();
                return turnOn(spec, on);
              }
              return turnOff(spec, overridden);
            });
  }

  /** Nothing can happen before all the source's taps obey, so the order is of no importance. */
  private CompletionStage<PlanSummary> turnOn(PlanSpec spec, Optional<PlanSpec.Automatic> on) {
    WitnessCommand.Show question = new WitnessCommand.Show(spec.name());
    return parts
        .remotes()
        .ask(on.orElseThrow().witness(), question)
        .thenCompose(
            known -> set(spec.target(), new PlanCommand.SetAutomatic(spec.name(), on, false)))
        .thenCompose(
            set -> set(spec.source(), new PlanCommand.SetAutomatic(spec.name(), on, false)));
  }

  /**
   * First at the target, which claims nothing from then on, then at the arbiters, which let nobody
   * claim by it any more, and last at the source, whose taps then need no lease.
   */
  private CompletionStage<PlanSummary> turnOff(PlanSpec spec, boolean overridden) {
    PlanCommand.SetAutomatic off =
        new PlanCommand.SetAutomatic(spec.name(), Optional.empty(), overridden);
    CompletionStage<PlanSummary> target = set(spec.target(), off);
    return (overridden ? target.handle((done, gone) -> null) : target)
        .thenCompose(done -> retire(spec, overridden))
        .thenCompose(done -> set(spec.source(), off));
  }

  private CompletionStage<?> retire(PlanSpec spec, boolean overridden) {
    if (spec.automatic().isEmpty()) {
      return CompletableFuture.completedStage(null);
    }
    WitnessCommand.Retire retire =
        new WitnessCommand.Retire(spec.name(), spec.automatic().get().config());
    CompletionStage<?> target = parts.remotes().ask(spec.target(), retire);
    return parts
        .remotes()
        .ask(spec.automatic().get().witness(), retire)
        .thenCombine(
            overridden ? target.handle((done, gone) -> null) : target, (one, other) -> null);
  }

  private CompletionStage<PlanSummary> set(String site, PlanCommand.SetAutomatic command) {
    return parts.remotes().ask(site, command).thenApply(answer -> answer.plan().orElseThrow());
  }

  /** With the volumes of its groups. */
  private CompletionStage<PlanSpec> resolved(PlanSpec spec) {
    CompletionStage<List<Step>> all = CompletableFuture.completedStage(List.of());
    for (Step step : spec.steps()) {
      boolean asked = step.group().isPresent() && step.volumes().isEmpty();
      CompletionStage<Step> whole =
          asked
              ? parts.groups().get(step.group().get()).thenApply(group -> with(step, group))
              : CompletableFuture.completedStage(step);
      all =
          all.thenCombine(
              whole,
              (steps, one) -> {
                List<Step> longer = new ArrayList<>(steps);
                longer.add(one);
                return longer;
              });
    }
    return all.thenApply(
        steps ->
            new PlanSpec(
                spec.name(),
                steps,
                spec.source(),
                spec.target(),
                spec.commitWithinSeconds(),
                spec.afterLimit(),
                spec.rpoSeconds(),
                spec.rtoSeconds(),
                spec.automatic()));
  }

  private static Step with(Step step, GroupSummary group) {
    return new Step(
        step.name(),
        step.group(),
        group.volumes(),
        step.pre(),
        step.post(),
        step.checks(),
        step.start());
  }

  private CompletionStage<PlanSummary> adopt(PlanSpec spec) {
    return names(ref -> new PlanDirectory.ListPlan(spec.checked().name(), ref))
        .thenCompose(listed -> ask(spec.name(), ref -> new RecoveryPlan.CreatePlan(spec, ref)));
  }

  @Override
  public CompletionStage<List<PlanSummary>> list() {
    return names(PlanDirectory.GetPlans::new)
        .thenCompose(
            names ->
                Source.from(names)
                    .mapAsync(ASKS_IN_FLIGHT, this::existing)
                    .filter(Optional::isPresent)
                    .map(Optional::get)
                    .runWith(Sink.seq(), system));
  }

  /** Empty for a name that is listed but has no plan: it is being created. */
  private CompletionStage<Optional<PlanSummary>> existing(String name) {
    return Failures.found(local(name));
  }

  @Override
  public CompletionStage<PlanSummary> get(String name) {
    return local(name)
        .thenCompose(
            plan -> {
              // A test, or a run whose note was lost, is known at the other site only.
              boolean idle = plan.site().equals(here) && plan.state().equals("Ready");
              String site = idle ? plan.spec().other(here) : plan.site();
              long newer = idle ? plan.generation() + 1 : plan.generation();
              return site.equals(here)
                  ? CompletableFuture.completedStage(plan)
                  : parts
                      .remotes()
                      .ask(site, new PlanCommand.Show(name))
                      .handle(
                          (answer, gone) ->
                              gone == null
                                      && answer.plan().isPresent()
                                      && answer.plan().get().generation() >= newer
                                  ? answer.plan().get()
                                  : plan);
            });
  }

  private CompletionStage<PlanSummary> local(String name) {
    return ask(name, RecoveryPlan.GetPlan::new);
  }

  @Override
  public CompletionStage<List<PlanExposure>> exposure(String name) {
    return get(name)
        .thenCompose(
            plan -> {
              boolean away =
                  plan.run().filter(run -> run.to().equals(plan.spec().target())).isPresent()
                      && plan.state().startsWith("Commit");
              String to = away ? plan.spec().source() : plan.spec().target();
              String from = plan.spec().other(to);
              return survey
                  .look(plan.spec(), from, to)
                  .thenApply(looks -> survey.exposure(plan.spec(), from, to, looks));
            });
  }

  // ---- orders ---------------------------------------------------------------------------------

  @Override
  public CompletionStage<PlanSummary> failover(String name, RunOrder order) {
    return local(name)
        .thenCompose(
            plan -> {
              boolean away = !plan.site().equals(here);
              boolean comesHere = order.kind() == Kind.FORCED && away;
              return order(comesHere ? here : plan.spec().target(), name, order.checked());
            });
  }

  @Override
  public CompletionStage<PlanSummary> commit(String name) {
    return get(name).thenCompose(plan -> order(carrier(plan), name, RunOrder.of(Kind.COMMIT)));
  }

  @Override
  public CompletionStage<PlanSummary> rollback(String name) {
    return get(name)
        .thenCompose(
            plan -> {
              boolean test =
                  plan.run()
                      .filter(run -> run.kind() == Kind.TEST || run.kind() == Kind.CLEANUP)
                      .isPresent();
              return order(carrier(plan), name, RunOrder.of(test ? Kind.CLEANUP : Kind.ROLLBACK));
            });
  }

  @Override
  public CompletionStage<PlanSummary> failback(String name) {
    return local(name)
        .thenCompose(plan -> order(plan.spec().source(), name, RunOrder.of(Kind.FAILBACK)));
  }

  private static String carrier(PlanSummary plan) {
    return plan.run().map(PlanRun::to).orElse(plan.site());
  }

  private CompletionStage<PlanSummary> order(String site, String name, RunOrder order) {
    return site.equals(here)
        ? ask(name, ref -> new RecoveryPlan.BeginRun(order, ref), surveyLimit())
        : parts
            .remotes()
            .ask(site, new PlanCommand.Order(name, order), surveyLimit())
            .thenApply(answer -> answer.plan().orElseThrow());
  }

  /** A survey waits for a site that does not answer. */
  private Duration surveyLimit() {
    return timeout.plusSeconds(10);
  }

  private CompletionStage<PlanSummary> ask(
      String name, Function<ActorRef<RecoveryPlan.Reply>, RecoveryPlan.Command> command) {
    return ask(name, command, timeout);
  }

  private CompletionStage<PlanSummary> ask(
      String name,
      Function<ActorRef<RecoveryPlan.Reply>, RecoveryPlan.Command> command,
      Duration within) {
    CompletionStage<RecoveryPlan.Reply> answer =
        AskPattern.ask(plans.apply(name), command::apply, within, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("plan '" + Refusal.printable(name) + "'", failure);
          }
          if (reply instanceof RecoveryPlan.Refused refused) {
            throw refused.refusal();
          }
          return ((RecoveryPlan.Summary) reply).summary();
        });
  }

  private CompletionStage<List<String>> names(
      Function<ActorRef<PlanDirectory.Reply>, PlanDirectory.Command> command) {
    CompletionStage<PlanDirectory.Reply> answer =
        AskPattern.ask(directory, command::apply, timeout, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("the list of plans", failure);
          }
          if (reply instanceof PlanDirectory.Refused refused) {
            throw refused.refusal();
          }
          return ((PlanDirectory.Listing) reply).names();
        });
  }

  private static RuntimeException late(String who, Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof TimeoutException
        ? new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            who + " did not answer in time; the request may or may not have been carried out",
            cause)
        : new CompletionException(cause);
  }
}
