package io.tidemark.remote;

import io.tidemark.position.MicroTime;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;

/** One node of another site, as {@link SiteWatch} follows it. */
final class WatchedNode {
  /** Of so many measurements of the clock the one with the quickest answer counts. */
  private static final int SAMPLES = 5;

  private final Deque<ClockOffset> samples = new ArrayDeque<>();
  private MicroTime since;
  private String site = "";
  private String status = "";
  private Optional<SiteQuery.Description> description = Optional.empty();
  private boolean reachable;
  private boolean asking;
  private long incarnation;
  private boolean clockWrong;
  private long heardNanos;

  WatchedNode(MicroTime now, long nanos) {
    this.since = now;
    this.heardNanos = nanos;
  }

  /** Empty until it is known. */
  String site() {
    return site;
  }

  void is(String ofSite, String current) {
    site = ofSite;
    status = current;
  }

  /** A member, of that incarnation. */
  void is(String ofSite, String current, long ofIncarnation) {
    is(ofSite, current);
    incarnation = ofIncarnation;
  }

  void is(String current) {
    status = current;
  }

  /** It answered, and is no member. */
  void is(SiteQuery.Description said, long nanos) {
    asking = false;
    heardNanos = nanos;
    if (site.isEmpty()) {
      site = said.site();
    }
  }

  /** Whether what answered is the member, not the successor of its process. */
  boolean member(SiteQuery.Description said) {
    return !status.equals(SiteWatch.ABSENT) && said.incarnation() == incarnation;
  }

  private boolean serving() {
    return status.equals("Up") || status.equals("WeaklyUp");
  }

  /** Whether to ask now: one question at a time. */
  boolean ask() {
    boolean free = !asking;
    asking = true;
    return free;
  }

  void answered() {
    asking = false;
  }

  void heard(Gateways.Timed<SiteQuery.Description> timed, long nanos, MicroTime now) {
    asking = false;
    heardNanos = nanos;
    boolean restarted =
        description
            .filter(old -> old.startedMicros() != timed.answer().startedMicros())
            .isPresent();
    if (restarted) {
      samples.clear();
    }
    description = Optional.of(timed.answer());
    samples.addLast(
        ClockOffset.of(timed.sentMicros(), timed.answer().clockMicros(), timed.receivedMicros()));
    if (samples.size() > SAMPLES) {
      samples.removeFirst();
    }
    if (!reachable) {
      reachable = true;
      since = now;
    }
  }

  /** Whether it has said nothing for so long. */
  boolean silentFor(long nanos, Duration limit, MicroTime now) {
    boolean silent = nanos - heardNanos > limit.toNanos();
    if (silent && reachable) {
      reachable = false;
      since = now;
      samples.clear();
    }
    return silent;
  }

  Optional<ClockOffset> clock() {
    return samples.stream().min(Comparator.comparingLong(ClockOffset::uncertaintyMicros));
  }

  /** The offset, when it has just become larger than the limit. */
  Optional<ClockOffset> clockGoneWrong(long limitMicros) {
    Optional<ClockOffset> wrong = clock().filter(offset -> offset.exceeds(limitMicros));
    boolean news = wrong.isPresent() && !clockWrong;
    clockWrong = wrong.isPresent();
    return news ? wrong : Optional.empty();
  }

  RemoteNode view(String address) {
    return new RemoteNode(
        address,
        status,
        reachable && serving(),
        since,
        description.map(SiteQuery.Description::version),
        description.map(SiteQuery.Description::addresses).orElse(Map.of()),
        clock());
  }
}
