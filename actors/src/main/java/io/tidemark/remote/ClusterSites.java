package io.tidemark.remote;

import akka.actor.Address;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Props;
import akka.cluster.ClusterEvent.CurrentClusterState;
import akka.cluster.Member;
import akka.cluster.MemberStatus;
import akka.cluster.typed.Cluster;
import akka.pattern.AskTimeoutException;
import com.typesafe.config.Config;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.SiteEvent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;

/** {@link RemoteSites} by the cluster's membership and the gateways at their well-known path. */
public final class ClusterSites implements RemoteSites {
  private final ActorSystem<?> system;
  private final String here;
  private final MicroClock clock;
  private final long startedMicros;
  private final Duration timeout;
  private final Gateways gateways;
  private final SiteGateway.Handlers handlers = new SiteGateway.Handlers();
  private final Map<String, String> addresses = new ConcurrentHashMap<>();
  private final AtomicReference<List<RemoteSite>> known = new AtomicReference<>(List.of());
  private final AtomicInteger turn = new AtomicInteger();

  private ClusterSites(ActorSystem<?> system, Config config, MicroClock clock) {
    Envelopes envelopes = new Envelopes(system, config.getString("tidemark.site.name"));
    this.system = system;
    this.here = envelopes.here();
    this.clock = clock;
    this.startedMicros = clock.micros();
    this.timeout = config.getDuration("tidemark.remote.ask-timeout");
    this.gateways = new Gateways(system, envelopes);
    serve(SiteQuery.Describe.class, query -> CompletableFuture.completedStage(description()));
    system.systemActorOf(SiteGateway.create(envelopes, handlers), SiteGateway.NAME, Props.empty());
  }

  /**
   * Starts this node's gateway, and what watches the others.
   *
   * @param events told when a site goes or comes back and when clocks are far apart
   */
  public static RemoteSites start(
      ActorSystem<?> system, Config config, MicroClock clock, Consumer<SiteEvent> events) {
    ClusterSites sites = new ClusterSites(system, config, clock);
    SiteWatch.Settings settings =
        new SiteWatch.Settings(
            config.getDuration("tidemark.remote.poll-every"),
            config.getDuration("tidemark.remote.silence"),
            config.getDuration("tidemark.remote.clock-limit"));
    system.systemActorOf(
        SiteWatch.create(
            new SiteWatch.Parts(
                sites.here,
                settings,
                sites.gateways,
                clock,
                System::nanoTime,
                events,
                sites.known)),
        "site-watch",
        Props.empty());
    return sites;
  }

  private SiteQuery.Description description() {
    CurrentClusterState state = Cluster.get(system).state();
    List<String> members = new ArrayList<>();
    state.getMembers().forEach(member -> members.add(SiteWatch.hostPort(member.address())));
    String version = ClusterSites.class.getPackage().getImplementationVersion();
    return new SiteQuery.Description(
        here,
        version == null ? "not packaged" : version,
        clock.micros(),
        startedMicros,
        startedMicros,
        members,
        new TreeMap<>(addresses));
  }

  @Override
  public String here() {
    return here;
  }

  @Override
  public List<RemoteSite> sites() {
    return known.get();
  }

  @Override
  public void announce(String purpose, String address) {
    addresses.put(purpose, address);
  }

  @Override
  public <A extends SiteAnswer, C extends SiteCommand<A>> void serve(
      Class<C> command, Function<C, CompletionStage<A>> handler) {
    handlers.put(command, handler);
  }

  @Override
  public <A extends SiteAnswer> CompletionStage<A> ask(String site, SiteCommand<A> command) {
    return ask(site, command, timeout);
  }

  @Override
  public <A extends SiteAnswer> CompletionStage<A> ask(
      String site, SiteCommand<A> command, Duration within) {
    Address node;
    CompletionStage<A> answer;
    try {
      node = choose(site);
      answer = gateways.ask(node, command, within);
    } catch (Refusal e) {
      return CompletableFuture.failedStage(e);
    }
    return answer.exceptionallyCompose(
        failure -> {
          Throwable cause = SiteGateway.cause(failure);
          throw cause instanceof AskTimeoutException
              ? new Refusal(
                  ErrorCode.NOT_ACKNOWLEDGED,
                  ("site '%s' (node %s) did not answer within %.1f s; the request may or may not"
                          + " have been carried out there")
                      .formatted(site, SiteWatch.hostPort(node), within.toMillis() / 1e3),
                  cause)
              : new CompletionException(cause);
        });
  }

  /** A node of the site that can be reached, another one each time. */
  private Address choose(String site) {
    CurrentClusterState state = Cluster.get(system).state();
    List<Address> candidates = new ArrayList<>();
    boolean member = site.equals(here);
    for (Member one : state.getMembers()) {
      if (one.dataCenter().equals(site)) {
        member = true;
        if (serving(one) && !state.getUnreachable().contains(one)) {
          candidates.add(one.address());
        }
      }
    }
    Optional<RemoteSite> watched =
        sites().stream().filter(one -> one.name().equals(site)).findFirst();
    if (!member && watched.isEmpty()) {
      throw unknown(site);
    }
    candidates.removeIf(address -> watched.isPresent() && silent(watched.get(), address));
    if (candidates.isEmpty()) {
      throw new Refusal(
          ErrorCode.NOT_ACKNOWLEDGED,
          "site '%s' cannot be reached%s; nothing was sent: try again once it is back"
              .formatted(site, watched.map(one -> " since " + one.since()).orElse("")));
    }
    candidates.sort(Comparator.comparing(SiteWatch::hostPort));
    return candidates.get(Math.floorMod(turn.getAndIncrement(), candidates.size()));
  }

  private static boolean serving(Member member) {
    return member.status().equals(MemberStatus.up())
        || member.status().equals(MemberStatus.weaklyUp());
  }

  /** A node that has just joined was not asked yet, and is no reason to wait. */
  private static boolean silent(RemoteSite site, Address address) {
    return site.nodes().stream()
        .anyMatch(
            node ->
                node.address().equals(SiteWatch.hostPort(address))
                    && !node.reachable()
                    && node.version().isPresent());
  }

  private Refusal unknown(String site) {
    String others =
        sites().stream().map(RemoteSite::name).collect(Collectors.joining(", ", "", ""));
    return new Refusal(
        ErrorCode.NOT_FOUND,
        "no site '%s' is known to site '%s'; %s"
            .formatted(
                Refusal.printable(site),
                here,
                others.isEmpty() ? "it has met no other site" : "it knows " + others));
  }
}
