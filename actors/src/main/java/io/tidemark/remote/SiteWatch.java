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
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Asks every node of every other site how it is, over and over, and keeps what they said where
 * {@link ClusterSites} finds it. A site that goes or comes back, or whose clock is far off, is an
 * event of this site, told by one of its nodes.
 */
final class SiteWatch extends AbstractBehavior<SiteWatch.Message> {
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

  /** What the watch works with. */
  record Parts(
      String here,
      Settings settings,
      Gateways gateways,
      MicroClock clock,
      LongSupplier nanos,
      Consumer<SiteEvent> events,
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
    Set<Address> present = new HashSet<>();
    for (Member member : state.getMembers()) {
      if (!member.dataCenter().equals(parts.here()) && !gone(member)) {
        present.add(member.address());
        nodes
            .computeIfAbsent(member.address(), a -> new WatchedNode(member.dataCenter(), now()))
            .status(member.status().toString());
      }
    }
    nodes.keySet().retainAll(present);
    long nanos = parts.nanos().getAsLong();
    for (Map.Entry<Address, WatchedNode> entry : nodes.entrySet()) {
      entry.getValue().silentFor(nanos, parts.settings().silence(), now());
      if (entry.getValue().ask()) {
        Address node = entry.getKey();
        getContext()
            .pipeToSelf(
                parts
                    .gateways()
                    .timed(
                        node,
                        new SiteQuery.Describe(),
                        parts.settings().silence(),
                        parts.clock()::micros),
                (answer, failure) -> failure == null ? new Heard(node, answer) : new Silent(node));
      }
    }
    publish(state);
    return this;
  }

  private static boolean gone(Member member) {
    return member.status().equals(MemberStatus.down())
        || member.status().equals(MemberStatus.removed());
  }

  private Behavior<Message> onHeard(Heard heard) {
    WatchedNode node = nodes.get(heard.node());
    if (node != null) {
      node.heard(heard.answer(), parts.nanos().getAsLong(), now());
      tellOfClock(heard.node(), node);
      publish(cluster.state());
    }
    return this;
  }

  private Behavior<Message> onSilent(Silent silent) {
    WatchedNode node = nodes.get(silent.node());
    if (node != null) {
      node.answered();
    }
    return this;
  }

  private void tellOfClock(Address address, WatchedNode node) {
    long limit = TimeUnit.NANOSECONDS.toMicros(parts.settings().clockLimit().toNanos());
    Optional<ClockOffset> wrong = node.clockGoneWrong(limit);
    if (wrong.isPresent() && tells()) {
      parts
          .events()
          .accept(
              new SiteEvent(
                  now(),
                  "clock-offset",
                  Optional.empty(),
                  Optional.empty(),
                  ("the clock of %s in site '%s' is %s this node's; nothing is lost by it, but times of"
                          + " recovery points of the two sites do not compare: synchronise the clocks")
                      .formatted(hostPort(address), node.site(), wrong.get().text())));
    }
  }

  private void publish(CurrentClusterState state) {
    Map<String, List<RemoteNode>> bySite = new TreeMap<>();
    for (Map.Entry<Address, WatchedNode> entry : nodes.entrySet()) {
      bySite
          .computeIfAbsent(entry.getValue().site(), s -> new ArrayList<>())
          .add(entry.getValue().view(hostPort(entry.getKey())));
    }
    sites.keySet().retainAll(bySite.keySet());
    bySite.forEach(this::update);
    parts.published().set(List.copyOf(sites.values()));
  }

  private void update(String name, List<RemoteNode> found) {
    found.sort(java.util.Comparator.comparing(RemoteNode::address));
    boolean reachable = found.stream().anyMatch(RemoteNode::reachable);
    RemoteSite before = sites.get(name);
    boolean changed = before == null || before.reachable() != reachable;
    MicroTime since = changed ? now() : before.since();
    sites.put(name, new RemoteSite(name, reachable, since, found));
    if (changed && (before != null || reachable) && tells()) {
      parts
          .events()
          .accept(
              new SiteEvent(
                  since,
                  reachable ? "site-found" : "site-lost",
                  Optional.empty(),
                  Optional.empty(),
                  reachable
                      ? "site '" + name + "' answers"
                      : "site '" + name + "' does not answer; this site goes on by itself"));
    }
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
