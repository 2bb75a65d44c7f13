package io.tidemark.remote;

import akka.actor.Address;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.AbstractBehavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.Receive;
import akka.actor.typed.javadsl.TimerScheduler;
import akka.cluster.ClusterEvent.CurrentClusterState;
import akka.cluster.Member;
import akka.cluster.MemberStatus;
import akka.cluster.typed.Cluster;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.site.SiteEvent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Asks every other node how it is, over and over, and keeps what they said where {@link
 * ClusterSites} finds it; also the nodes of sites that it remembers and that are no members now. A
 * site that goes or comes back, or whose clock is far off, is an event of this site, told by one of
 * its nodes. It writes {@link SiteMemory}, so it runs where blocking is allowed.
 */
final class SiteWatch extends AbstractBehavior<SiteWatch.Message> {
  /** The status of a node that is remembered and no member. */
  static final String ABSENT = "Absent";

  /** In polls. */
  private static final int SILENT_ASKED_EVERY = 2;

  sealed interface Message {}

  private record Look() implements Message {}

  private record Heard(Address node, Gateways.Timed<SiteQuery.Description> answer)
      implements Message {}

  private record Silent(Address node) implements Message {}

  /**
   * @param every how often each node is asked
   * @param silence a node that said nothing for so long is unreachable
   * @param clockLimit clocks further apart than this are an event
   */
  record Settings(Duration every, Duration silence, Duration clockLimit) {}

  /**
   * What the watch works with.
   *
   * @param question what each node is asked
   * @param seeds of other sites, as configured
   * @param silent told of each node that has been silent for too long, at each look
   * @param clusterMicros when the cluster's first node was started, as far as is known
   * @param published where the sites are kept for {@link ClusterSites}
   */
  record Parts(
      String here,
      SiteQuery.Describe question,
      Settings settings,
      Gateways gateways,
      SiteMemory memory,
      Set<Address> seeds,
      Islands islands,
      MicroClock clock,
      LongSupplier nanos,
      Consumer<SiteEvent> events,
      Consumer<Address> silent,
      AtomicLong clusterMicros,
      AtomicReference<List<RemoteSite>> published) {}

  private final Parts parts;
  private final Cluster cluster;
  private final Map<Address, WatchedNode> nodes = new HashMap<>();
  private final Map<String, RemoteSite> sites = new TreeMap<>();

  static Behavior<Message> create(Parts parts) {
    return Behaviors.setup(
        context -> Behaviors.withTimers(timers -> new SiteWatch(context, timers, parts)));
  }

  private SiteWatch(ActorContext<Message> context, TimerScheduler<Message> timers, Parts parts) {
    super(context);
    this.parts = parts;
    this.cluster = Cluster.get(context.getSystem());
    timers.startTimerWithFixedDelay(new Look(), Duration.ZERO, parts.settings().every());
  }

  @Override
  public Receive<Message> createReceive() {
    return newReceiveBuilder()
        .onMessage(Look.class, this::onLook)
        .onMessage(Heard.class, this::onHeard)
        .onMessage(Silent.class, this::onSilent)
        .build();
  }

  private Behavior<Message> onLook(Look look) {
    CurrentClusterState state = cluster.state();
    Set<Address> wanted = members(state);
    remember(state);
    wanted.addAll(absent());
    nodes.keySet().retainAll(wanted);
    long nanos = parts.nanos().getAsLong();
    nodes.forEach(
        (address, node) -> {
          boolean silent = node.silentFor(nanos, parts.settings().silence(), now());
          if (silent) {
            parts.silent().accept(address);
          }
          if (node.ask()) {
            ask(address, silent);
          }
        });
    publish();
    return this;
  }

  private Set<Address> members(CurrentClusterState state) {
    Set<Address> present = new HashSet<>();
    for (Member member : state.getMembers()) {
      if (!member.address().equals(cluster.selfMember().address()) && !gone(member)) {
        present.add(member.address());
        nodes
            .computeIfAbsent(
                member.address(), a -> new WatchedNode(now(), parts.nanos().getAsLong()))
            .is(member.dataCenter(), member.status().toString(), member.uniqueAddress().longUid());
      }
    }
    return present;
  }

  private void remember(CurrentClusterState state) {
    Map<String, SortedSet<String>> met = new TreeMap<>();
    for (Member member : state.getMembers()) {
      if (!member.dataCenter().equals(parts.here()) && member.status().equals(MemberStatus.up())) {
        met.computeIfAbsent(member.dataCenter(), site -> new TreeSet<>())
            .add(hostPort(member.address()));
      }
    }
    met.forEach(parts.memory()::met);
  }

  /** Nodes of other sites that are no members, as remembered or configured. */
  private Set<Address> absent() {
    Set<Address> members = new HashSet<>();
    cluster.state().getMembers().forEach(member -> members.add(member.address()));
    Set<Address> absent = new HashSet<>();
    parts
        .memory()
        .sites()
        .forEach(
            (site, addresses) ->
                addresses.stream()
                    .flatMap(text -> Gateways.address(text).stream())
                    .filter(address -> !members.contains(address))
                    .forEach(
                        address -> {
                          absent.add(address);
                          nodes
                              .computeIfAbsent(
                                  address, a -> new WatchedNode(now(), parts.nanos().getAsLong()))
                              .is(site, ABSENT);
                        }));
    for (Address seed : parts.seeds()) {
      if (!members.contains(seed) && absent.add(seed)) {
        nodes
            .computeIfAbsent(seed, a -> new WatchedNode(now(), parts.nanos().getAsLong()))
            .is(ABSENT);
      }
    }
    return absent;
  }

  /**
   * Who is silent is asked again soon: what was asked before its line was back is lost, and the
   * answer to the first question after that is what is waited for.
   */
  private void ask(Address node, boolean silent) {
    Duration within =
        silent
            ? parts.settings().every().multipliedBy(SILENT_ASKED_EVERY)
            : parts.settings().silence();
    getContext()
        .pipeToSelf(
            parts.gateways().timed(node, parts.question(), within, parts.clock()::micros),
            (answer, failure) -> failure == null ? new Heard(node, answer) : new Silent(node));
  }

  private static boolean gone(Member member) {
    return member.status().equals(MemberStatus.down())
        || member.status().equals(MemberStatus.removed());
  }

  private Behavior<Message> onHeard(Heard heard) {
    WatchedNode node = nodes.get(heard.node());
    if (node != null) {
      SiteQuery.Description said = heard.answer().answer();
      if (node.member(said)) {
        node.heard(heard.answer(), parts.nanos().getAsLong(), now());
        parts.clusterMicros().accumulateAndGet(said.clusterMicros(), Math::min);
        parts.islands().together(heard.node());
        tellOfClock(heard.node(), node);
      } else {
        node.is(said, parts.nanos().getAsLong());
        parts.islands().apart(heard.node(), said);
      }
      publish();
    }
    return this;
  }

  private Behavior<Message> onSilent(Silent silent) {
    WatchedNode node = nodes.get(silent.node());
    if (node != null) {
      node.answered();
      parts.islands().together(silent.node());
    }
    return this;
  }

  private void tellOfClock(Address address, WatchedNode node) {
    long limit = TimeUnit.NANOSECONDS.toMicros(parts.settings().clockLimit().toNanos());
    Optional<ClockOffset> wrong = node.clockGoneWrong(limit);
    if (wrong.isPresent() && tells()) {
      event(
          "clock-offset",
          ("the clock of %s in site '%s' is %s this site's; nothing is lost by it, but the times of"
                  + " their recovery points do not compare: synchronise the clocks")
              .formatted(hostPort(address), node.site(), wrong.get().text()));
    }
  }

  private void publish() {
    Map<String, List<RemoteNode>> bySite = new TreeMap<>();
    nodes.forEach(
        (address, node) -> {
          if (!node.site().isEmpty() && !node.site().equals(parts.here())) {
            bySite
                .computeIfAbsent(node.site(), s -> new ArrayList<>())
                .add(node.view(hostPort(address)));
          }
        });
    sites.keySet().retainAll(bySite.keySet());
    bySite.forEach(this::update);
    parts.published().set(List.copyOf(sites.values()));
  }

  private void update(String name, List<RemoteNode> found) {
    found.sort(Comparator.comparing(RemoteNode::address));
    boolean reachable = found.stream().anyMatch(RemoteNode::reachable);
    RemoteSite before = sites.get(name);
    boolean changed = before == null || before.reachable() != reachable;
    MicroTime since = changed ? now() : before.since();
    sites.put(name, new RemoteSite(name, reachable, since, found));
    if (changed && (before != null || reachable) && tells()) {
      event(
          reachable ? "site-found" : "site-lost",
          reachable
              ? "site '" + name + "' answers"
              : "site '" + name + "' does not answer; this site goes on by itself");
    }
  }

  private void event(String type, String message) {
    parts.events().accept(new SiteEvent(now(), type, Optional.empty(), Optional.empty(), message));
  }

  /** One node of a site tells what all of them notice. */
  private boolean tells() {
    return cluster.selfMember().address().equals(cluster.state().getLeader());
  }

  private MicroTime now() {
    return new MicroTime(parts.clock().micros());
  }

  static String hostPort(Address address) {
    return address.getHost().orElse("?") + ":" + address.getPort().orElse(0);
  }
}
