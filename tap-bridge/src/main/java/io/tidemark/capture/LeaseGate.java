package io.tidemark.capture;

import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.witness.TapLease;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives replies only while the tap has a lease; what comes without one waits for the next lease,
 * and is refused when there was none for too long. Thread-safe.
 */
public final class LeaseGate {
  private static final Logger log = LoggerFactory.getLogger(LeaseGate.class);

  private final String volume;
  private final TapLease lease = new TapLease();
  private final LongSupplier nanos;
  private final MicroClock wall;
  private final long waitNanos;
  private final long madeNanos;
  private List<Runnable> waiting = new ArrayList<>();
  private boolean told;

  /** Whether writes are refused. */
  private volatile boolean lost;

  /**
   * @param waitNanos so long after the lease ended writes that wait are refused, and those that
   *     come
   */
  LeaseGate(String volume, LongSupplier nanos, MicroClock wall, long waitNanos) {
    this.volume = volume;
    this.nanos = nanos;
    this.wall = wall;
    this.waitNanos = waitNanos;
    this.madeNanos = nanos.getAsLong();
  }

  /** A round begins: what it grants counts from now. */
  void mark(long round) {
    lease.mark(round, nanos.getAsLong(), wall.micros());
  }

  /** The round was granted; gives what waited. */
  void grant(long round, long leaseMicros) {
    lease.grant(round, leaseMicros);
    List<Runnable> replies;
    synchronized (this) {
      if (!valid()) {
        return;
      }
      if (lost || told) {
        log.warn("volume {}: there is a lease again, writes are acknowledged", volume);
      }
      lost = false;
      told = false;
      replies = waiting;
      waiting = new ArrayList<>();
    }
    replies.forEach(this::pass);
  }

  /** Whether there is a lease now (W1). */
  public boolean valid() {
    return lease.valid(nanos.getAsLong(), wall.micros());
  }

  /** Gives the reply, or keeps it until there is a lease. */
  void pass(Runnable reply) {
    if (!valid()) {
      synchronized (this) {
        if (!valid()) {
          if (!told) {
            told = true;
            log.warn("volume {}: no lease; writes are not acknowledged until there is", volume);
          }
          waiting.add(reply);
          return;
        }
      }
    }
    give(reply);
  }

  private void give(Runnable reply) {
    try {
      reply.run();
    } catch (RuntimeException e) {
      log.error("volume {}: a reply failed", volume, e); // the others' clients wait, too
    }
  }

  /** Whether writes are refused because there has been no lease for too long. */
  boolean lost() {
    return lost;
  }

  /** What is refused for want of a lease is told so. */
  static String refusal(String volume) {
    return "%s: another site may have taken volume '%s' over, and its plan's sites cannot be asked"
        .formatted(ErrorCode.LEASE_EXPIRED, volume);
  }

  /** To be called now and then: refuses what has waited for too long. */
  void expire() {
    synchronized (this) {
      long now = nanos.getAsLong();
      long since = lease.granted() ? -lease.leftNanos(now) : now - madeNanos;
      if (valid() || since < waitNanos) {
        return;
      }
      if (!lost) {
        log.error("volume {}: no lease for {} s: writes fail", volume, since / 1_000_000_000L);
      }
      lost = true;
    }
    refuse(refusal(volume));
  }

  /** Refuses what waits. */
  void refuse(String reason) {
    List<Runnable> replies;
    synchronized (this) {
      replies = waiting;
      waiting = new ArrayList<>();
      // Nobody waits for what cannot be refused: it stays until there is a lease.
      replies.stream().filter(r -> !(r instanceof CaptureSink.Answer)).forEach(waiting::add);
    }
    for (Runnable reply : replies) {
      if (reply instanceof CaptureSink.Answer answer) {
        give(() -> answer.refuse(reason));
      }
    }
  }

  /** No lease is needed any more; gives what waited. */
  void open() {
    List<Runnable> replies;
    synchronized (this) {
      replies = waiting;
      waiting = new ArrayList<>();
    }
    replies.forEach(this::give);
  }
}
