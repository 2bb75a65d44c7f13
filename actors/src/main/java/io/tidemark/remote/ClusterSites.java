package io.tidemark.remote;

import akka.actor.Address;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.Props;
import akka.actor.typed.javadsl.Adapter;
import akka.cluster.ClusterEvent.CurrentClusterState;
import akka.cluster.Member;
import akka.cluster.MemberStatus;
import akka.cluster.typed.Cluster;
import akka.cluster.typed.Down;
import akka.pattern.AskTimeoutException;
import com.typesafe.config.Config;
import io.tidemark.artery.DialledConnections;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.SiteEvent;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@link RemoteSites} by the cluster's membership and the gateways at their well-known path. */
public final class ClusterSites implements RemoteSites {
  /** How long a starting node waits to hear which of the nodes that it knows are there. */
  private static final Duration PROBE = Duration.ofSeconds(4);

  private static final int OTHERS_TRIED_MAX = 16;

  private static final Logger LOG = LoggerFactory.getLogger(ClusterSites.class);

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
  private final SiteMemory memory;
  private final Set<Address> seeds;
  private final AtomicLong clusterMicros;
  private final CompletableFuture<String> rejoin = new CompletableFuture<>();

  private ClusterSites(ActorSystem<?> system, Config config, MicroClock clock) {
    Envelopes envelopes = new Envelopes(system, config.getString("tidemark.site.name"));
    this.system = system;
    this.here = envelopes.here();
    this.clock = clock;
    this.startedMicros = clock.micros();
    this.timeout = config.getDuration("tidemark.remote.ask-timeout");
    this.clusterMicros = new AtomicLong(startedMicros);
    this.gateways = new Gateways(system, envelopes);
    String file = config.getString("tidemark.remote.memory");
    this.memory = new SiteMemory(file.isEmpty() ? Optional.empty() : Optional.of(Path.of(file)));
    this.seeds = seeds(config.getStringList("tidemark.cluster.other-sites"));
    serve(SiteQuery.Describe.class, this::describe);
    serve(SiteQuery.RejoinSites.class, this::rejoin);
    serve(SiteQuery.ForgetSite.class, this::strike);
    system.systemActorOf(SiteGateway.create(envelopes, handlers), SiteGateway.NAME, Props.empty());
  }

  private static Set<Address> seeds(List<String> texts) {
    Set<Address> seeds = new LinkedHashSet<>();
    for (String text : texts) {
      seeds.add(
          Gateways.address(text)
              .orElseThrow(
                  () ->
                      new Refusal(
                          ErrorCode.INVALID,
                          "tidemark.cluster.other-sites: '%s' is not HOST:PORT"
                              .formatted(Refusal.printable(text)))));
    }
    return seeds;
  }

  /**
   * Starts this node's gateway, and what watches the others.
   *
   * @param events told when a site goes or comes back and when clocks are far apart
   * @throws Refusal {@code INVALID} for an address in {@code tidemark.cluster.other-sites}
   */
  public static ClusterSites start(
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
                sites.question(),
                settings,
                sites.gateways,
                sites.memory,
                sites.seeds,
                new Islands(system, sites.here, sites.clusterMicros, sites::orderRejoin),
                clock,
                System::nanoTime,
                events,
                address -> sites.breakOff(address, settings.silence()),
                sites.clusterMicros,
                sites.known)),
        "site-watch",
        DispatcherSelector.blocking());
    return sites;
  }

  /** Else TCP would wait about as long as the line was cut before it tries again. */
  private void breakOff(Address node, Duration silence) {
    int count =
        DialledConnections.of(Adapter.toClassic(system))
            .breakOff(node.getHost().orElse(""), node.getPort().orElse(0), silence);
    if (count > 0) {
      LOG.debug(
          "{} said nothing for {} s: {} connections to it are broken off",
          SiteWatch.hostPort(node),
          silence.toSeconds(),
          count);
    }
  }

  /**
   * Whom a starting node may join.
   *
   * @param nodes none: it forms a cluster of its own
   * @param found whether one of them said that it is in a cluster
   */
  public record Candidates(List<Address> nodes, boolean found) {}

  /**
   * Whom a starting node joins, in the order in which they are tried. The own site's nodes come
   * first: a node that joined another cluster than they would split its site.
   *
   * @param own the own site's seeds; this node may be among them
   * @return without this node. Blocks for at most {@link #PROBE}
   * @throws Refusal {@code INVALID} when another site has the name of this one
   */
  public Candidates toJoin(List<Address> own) {
    Address self = Cluster.get(system).selfMember().address();
    List<Address> ours = own.stream().filter(address -> !address.equals(self)).toList();
    Set<Address> others = new LinkedHashSet<>(seeds);
    for (Set<String> addresses : memory.sites().values()) {
      addresses.forEach(text -> Gateways.address(text).ifPresent(others::add));
    }
    others.remove(self);
    others.removeAll(ours);
    if (others.isEmpty()) {
      return new Candidates(ours, false);
    }
    Map<Address, SiteQuery.Description> said = probe(ours, others);
    for (Address other : others) {
      SiteQuery.Description description = said.get(other);
      if (description != null && description.site().equals(here)) {
        throw new Refusal(
            ErrorCode.INVALID,
            ("the node at %s belongs to a site that is also named '%s': give this one another name"
                    + " (tidemark up --site NAME, or tidemark.site.name), or list that node in"
                    + " tidemark.cluster.seeds if it is one of this site")
                .formatted(SiteWatch.hostPort(other), here));
      }
    }
    if (ours.stream().anyMatch(one -> said.containsKey(one) && joined(said.get(one)))) {
      return new Candidates(ours, true);
    }
    List<Address> all = new ArrayList<>(ours);
    others.stream().limit(OTHERS_TRIED_MAX).forEach(all::add);
    return new Candidates(all, said.values().stream().anyMatch(ClusterSites::joined));
  }

  private static boolean joined(SiteQuery.Description description) {
    return !description.members().isEmpty();
  }

  private Map<Address, SiteQuery.Description> probe(List<Address> ours, Set<Address> others) {
    Map<Address, SiteQuery.Description> said = new ConcurrentHashMap<>();
    List<CompletableFuture<?>> asked = new ArrayList<>();
    Stream.concat(ours.stream(), others.stream().limit(OTHERS_TRIED_MAX))
        .forEach(
            address ->
                asked.add(
                    gateways
                        .ask(address, question(), PROBE)
                        .handle((d, failure) -> d == null ? null : said.put(address, d))
                        .toCompletableFuture()));
    CompletableFuture.allOf(asked.toArray(CompletableFuture[]::new)).join();
    return said;
  }

  private void orderRejoin(String reason) {
    LOG.warn("this site joins anew: {}", reason);
    for (Member member : Cluster.get(system).state().getMembers()) {
      if (member.dataCenter().equals(here)) {
        gateways
            .ask(member.address(), new SiteQuery.RejoinSites(reason), timeout)
            .whenComplete((heeded, failure) -> logUnheeded(member, failure));
      }
    }
  }

  /** It will be told again, by the leader of those that are left behind. */
  private static void logUnheeded(Member member, Throwable failure) {
    if (failure != null) {
      LOG.warn(
          "{} did not take it that it is to join the other sites anew: {}",
          SiteWatch.hostPort(member.address()),
          failure.toString());
    }
  }

  private CompletionStage<SiteQuery.Heeded> rejoin(SiteQuery.RejoinSites order) {
    rejoin.complete(order.reason());
    return CompletableFuture.completedStage(new SiteQuery.Heeded());
  }

  private CompletionStage<SiteQuery.Heeded> strike(SiteQuery.ForgetSite order) {
    if (!order.site().equals(here)) {
      Cluster cluster = Cluster.get(system);
      for (Member member : cluster.state().getMembers()) {
        if (member.dataCenter().equals(order.site())) {
          cluster.manager().tell(new Down(member.address()));
        }
      }
      memory.forget(order.site());
    }
    return CompletableFuture.completedStage(new SiteQuery.Heeded());
  }

  @Override
  public CompletionStage<String> rejoin() {
    return rejoin;
  }

  private static SiteQuery.Heeded untold(Member member, String site, Throwable failure) {
    LOG.warn(
        "{} did not take it that site '{}' is to be forgotten, and may go on looking for it: {}",
        SiteWatch.hostPort(member.address()),
        site,
        failure.toString());
    return new SiteQuery.Heeded();
  }

  @Override
  public CompletionStage<Void> forget(String site) {
    Optional<RemoteSite> found =
        sites().stream().filter(one -> one.name().equals(site)).findFirst();
    if (site.equals(here)) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.INVALID, "'" + site + "' is this site: ask another one to forget it"));
    }
    if (found.isEmpty()) {
      return CompletableFuture.failedStage(unknown(site));
    }
    if (found.get().reachable()) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.BUSY,
              "site '%s' answers: stop all its nodes first, then have it forgotten"
                  .formatted(site)));
    }
    SiteQuery.ForgetSite order = new SiteQuery.ForgetSite(site);
    List<CompletableFuture<?>> told = new ArrayList<>();
    CurrentClusterState state = Cluster.get(system).state();
    for (Member member : state.getMembers()) {
      boolean reached = serving(member) && !state.getUnreachable().contains(member);
      if (!member.dataCenter().equals(site) && reached) {
        told.add(
            gateways
                .ask(member.address(), order, timeout)
                .exceptionally(failure -> untold(member, site, failure))
                .toCompletableFuture());
      }
    }
    return CompletableFuture.allOf(told.toArray(CompletableFuture[]::new));
  }

  private CompletionStage<SiteQuery.Description> describe(SiteQuery.Describe query) {
    if (query.site().equals(here)) {
      return CompletableFuture.completedStage(description());
    }
    Executor mayBlock = system.dispatchers().lookup(DispatcherSelector.blocking());
    return CompletableFuture.supplyAsync(
        () -> {
          memory.heardOf(query.site(), query.node());
          return description();
        },
        mayBlock);
  }

  /** What this node asks others: how they are, and that it is here. */
  private SiteQuery.Describe question() {
    return new SiteQuery.Describe(
        here, SiteWatch.hostPort(Cluster.get(system).selfMember().address()));
  }

  private SiteQuery.Description description() {
    CurrentClusterState state = Cluster.get(system).state();
    List<String> members = new ArrayList<>();
    if (!rejoin.isDone()) {
      state.getMembers().forEach(member -> members.add(Islands.incarnation(member)));
    }
    String version = ClusterSites.class.getPackage().getImplementationVersion();
    return new SiteQuery.Description(
        here,
        version == null ? "not packaged" : version,
        clock.micros(),
        startedMicros,
        clusterMicros.get(),
        members,
        new TreeMap<>(addresses),
        Cluster.get(system).selfMember().uniqueAddress().longUid());
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
          Throwable cause = Failures.cause(failure);
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
