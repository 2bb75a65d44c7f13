package io.tidemark.link;

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
import io.tidemark.point.Points;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.replication.Lines;
import io.tidemark.replication.Pace;
import io.tidemark.replication.PastContent;
import io.tidemark.replication.ReplicationSettings;
import io.tidemark.replication.Shipping;
import io.tidemark.segment.SegmentStore;
import io.tidemark.site.Site;
import io.tidemark.site.SiteEvent;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeHistories;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;

/** Starts what links need on a node, and asks them wherever they live. */
public final class ClusterLinks implements Links {
  private static final int ASKS_IN_FLIGHT = 16;

  private record WakeAll() {}

  /** What of the node they stand on. */
  public record Parts(
      Site site,
      Groups groups,
      RemoteSites remotes,
      Lines lines,
      SegmentStore store,
      Points points,
      VolumeHistories histories,
      MicroClock clock,
      Consumer<SiteEvent> events) {}

  private final ActorSystem<?> system;
  private final Parts parts;
  private final Function<String, RecipientRef<ReplicationLink.Command>> links;
  private final RecipientRef<LinkDirectory.Command> directory;
  private final Duration timeout;

  private ClusterLinks(
      ActorSystem<?> system,
      Parts parts,
      Function<String, RecipientRef<ReplicationLink.Command>> links,
      RecipientRef<LinkDirectory.Command> directory) {
    this.system = system;
    this.parts = parts;
    this.links = links;
    this.directory = directory;
    this.timeout = system.settings().config().getDuration("tidemark.site.ask-timeout");
  }

  /** Starts links on this node; those of the site that are to run begin to. */
  public static Links start(ActorSystem<?> system, Parts parts) {
    ReplicationSettings settings = ReplicationSettings.of(system.settings().config());
    ClusterSharding sharding = ClusterSharding.get(system);
    TagCommand.serve(parts.remotes(), parts.groups());
    var packers =
        system.dispatchers().lookup(DispatcherSelector.fromConfig("tidemark.pack-dispatcher"));
    Shipping.Parts shipping =
        new Shipping.Parts(
            system,
            settings,
            parts.lines(),
            new RemoteCounterparts(parts.remotes()),
            parts.store(),
            new PastContent(parts.site()::history, parts.points(), parts.histories()::of),
            parts.histories(),
            name -> sharding.entityRefFor(VolumeEntity.TYPE_KEY, name.value()),
            packers,
            parts.clock(),
            new Pace(
                system.scheduler(),
                system.executionContext(),
                parts.clock(),
                micros -> settings.nodeRate()));
    ReplicationLink.Parts linkParts =
        new ReplicationLink.Parts(shipping, parts.groups(), parts.remotes(), parts.events());
    sharding.init(
        Entity.of(
                ReplicationLink.TYPE_KEY,
                entity -> ReplicationLink.create(entity.getEntityId(), linkParts))
            .withStopMessage(ReplicationLink.sleep())
            .withSettings(ClusterShardingSettings.create(system).withNoPassivationStrategy()));
    Function<String, RecipientRef<ReplicationLink.Command>> links =
        name -> sharding.entityRefFor(ReplicationLink.TYPE_KEY, name);
    String here = parts.remotes().here();
    sharding.init(
        Entity.of(
            LinkDirectory.TYPE_KEY, entity -> LinkDirectory.create(entity.getEntityId(), links)));
    RecipientRef<LinkDirectory.Command> directory =
        sharding.entityRefFor(LinkDirectory.TYPE_KEY, here);
    akka.cluster.Cluster.get(system)
        .registerOnMemberUp(
            () ->
                system.systemActorOf(
                    waker(directory, settings.wakeEvery()), "link-waker", Props.empty()));
    return new ClusterLinks(system, parts, links, directory);
  }

  /** On every node: whichever nodes are lost, links go on with those that are left (K5). */
  private static Behavior<WakeAll> waker(
      RecipientRef<LinkDirectory.Command> directory, Duration every) {
    return Behaviors.withTimers(
        timers -> {
          timers.startTimerWithFixedDelay(new WakeAll(), Duration.ZERO, every);
          return Behaviors.receive(WakeAll.class)
              .onMessage(
                  WakeAll.class,
                  wake -> {
                    directory.tell(new LinkDirectory.WakeLinks());
                    return Behaviors.same();
                  })
              .build();
        });
  }

  @Override
  public CompletionStage<LinkSummary> create(NewLink link) {
    return checked(link)
        .thenCompose(
            spec ->
                names(ref -> new LinkDirectory.ListLink(spec.name(), ref))
                    .thenCompose(
                        listed ->
                            ask(
                                spec.name(),
                                ref -> new ReplicationLink.CreateLink(spec, link.rules(), ref))));
  }

  private CompletionStage<LinkSpec> checked(NewLink link) {
    try {
      String name = new VolumeName(link.name()).value();
      link.rules().checked();
      String here = parts.remotes().here();
      if (link.toSite().equals(here)) {
        throw new Refusal(
            ErrorCode.INVALID, "site '" + here + "' is this one; a link goes to another");
      }
      if (link.group().isPresent() == !link.volumes().isEmpty()) {
        throw new Refusal(ErrorCode.INVALID, "a link has either volumes or a group");
      }
      return volumes(link)
          .thenApply(
              volumes ->
                  new LinkSpec(
                      name, UUID.randomUUID(), volumes, link.group(), here, link.toSite()));
    } catch (Refusal e) {
      return CompletableFuture.failedStage(e);
    }
  }

  /** The volumes, all of which there are. */
  private CompletionStage<List<VolumeName>> volumes(NewLink link) {
    CompletionStage<List<VolumeName>> named =
        link.group().isPresent()
            ? parts.groups().get(link.group().get()).thenApply(GroupSummary::volumes)
            : CompletableFuture.completedStage(link.volumes());
    return named.thenCompose(
        volumes -> {
          if (volumes.size() > LinkSpec.VOLUMES_MAX) {
            throw new Refusal(
                ErrorCode.LIMIT, "a link has at most " + LinkSpec.VOLUMES_MAX + " volumes");
          }
          return Source.from(volumes)
              .mapAsync(ASKS_IN_FLIGHT, parts.site()::volume)
              .map(summary -> summary.name())
              .runWith(Sink.seq(), system);
        });
  }

  @Override
  public CompletionStage<List<LinkSummary>> list() {
    return names(LinkDirectory.GetLinks::new)
        .thenCompose(
            names ->
                Source.from(names)
                    .mapAsync(ASKS_IN_FLIGHT, this::existing)
                    .mapConcat(found -> found.map(List::of).orElseGet(List::of))
                    .runWith(Sink.seq(), system));
  }

  /** Empty for a name that is listed but has no link: it is being created or deleted. */
  private CompletionStage<Optional<LinkSummary>> existing(String name) {
    return Failures.found(get(name));
  }

  @Override
  public CompletionStage<LinkSummary> get(String name) {
    return ask(name, ReplicationLink.GetLink::new);
  }

  @Override
  public CompletionStage<LinkSummary> setRules(String name, LinkRules rules) {
    try {
      LinkRules checked = rules.checked();
      return ask(name, ref -> new ReplicationLink.SetRules(checked, ref));
    } catch (Refusal e) {
      return CompletableFuture.failedStage(e);
    }
  }

  @Override
  public CompletionStage<LinkSummary> pause(String name) {
    return ask(name, ReplicationLink.PauseLink::new);
  }

  @Override
  public CompletionStage<LinkSummary> resume(String name) {
    return ask(name, ReplicationLink.ResumeLink::new);
  }

  @Override
  public CompletionStage<LinkSummary> resync(String name) {
    return ask(name, ReplicationLink.ResyncLink::new);
  }

  @Override
  public CompletionStage<Void> delete(String name) {
    return get(name)
        .thenCompose(
            found -> reply(name, ReplicationLink.DeleteLink::new, ReplicationLink.Done.class))
        .thenCompose(done -> names(ref -> new LinkDirectory.UnlistLink(name, ref)))
        .thenApply(unlisted -> null);
  }

  private CompletionStage<LinkSummary> ask(
      String name, Function<ActorRef<ReplicationLink.Reply>, ReplicationLink.Command> command) {
    return reply(name, command, ReplicationLink.Summary.class)
        .thenApply(ReplicationLink.Summary::summary);
  }

  private <T extends ReplicationLink.Reply> CompletionStage<T> reply(
      String name,
      Function<ActorRef<ReplicationLink.Reply>, ReplicationLink.Command> command,
      Class<T> expected) {
    CompletionStage<ReplicationLink.Reply> answer =
        AskPattern.ask(links.apply(name), command::apply, timeout, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("link '" + Refusal.printable(name) + "'", failure);
          }
          if (reply instanceof ReplicationLink.Refused refused) {
            throw refused.refusal();
          }
          return expected.cast(reply);
        });
  }

  private CompletionStage<List<String>> names(
      Function<ActorRef<LinkDirectory.Reply>, LinkDirectory.Command> command) {
    CompletionStage<LinkDirectory.Reply> answer =
        AskPattern.ask(directory, command::apply, timeout, system.scheduler());
    return answer.handle(
        (reply, failure) -> {
          if (failure != null) {
            throw late("the list of links", failure);
          }
          if (reply instanceof LinkDirectory.Refused refused) {
            throw refused.refusal();
          }
          return ((LinkDirectory.Listing) reply).names();
        });
  }

  private RuntimeException late(String who, Throwable failure) {
    Throwable cause = Failures.cause(failure);
    return cause instanceof TimeoutException
        ? new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "%s did not answer within %d s; the request may or may not have been carried out"
                .formatted(who, timeout.toSeconds()),
            cause)
        : new CompletionException(cause);
  }
}
