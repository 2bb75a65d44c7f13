package io.tidemark.taporder;

import io.tidemark.capture.ReplyHold;
import io.tidemark.capture.VolumeCapture;
import io.tidemark.order.Holds;
import io.tidemark.order.OrderKind;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out HOLD and RELEASE for one volume, one hold at a time. A hold is ended by its owner's
 * release or by this class's own timer, whichever is first (H2).
 */
public final class HoldOrders implements AutoCloseable {
  /** Ended holds that are remembered for a release that comes later. */
  private static final int ENDED_MAX = 64;

  private static final Logger log = LoggerFactory.getLogger(HoldOrders.class);

  private record Current(long owner, ReplyHold hold, ScheduledFuture<?> limit) {}

  private final String volume;
  private final Supplier<Optional<VolumeCapture>> capture;
  private final Map<String, HoldOrders> process;
  private final ScheduledExecutorService timer;
  private final Map<Long, Holds.Released> ended = new LinkedHashMap<>();
  private Current current;

  /**
   * @param capture what the volume's writes go to, empty before the first attach
   * @param process all volumes of this process by name; this one is put there
   */
  public HoldOrders(
      String volume, Supplier<Optional<VolumeCapture>> capture, Map<String, HoldOrders> process) {
    this.process = process;
    this.volume = volume;
    this.capture = capture;
    this.timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "tidemark-hold-" + volume);
              thread.setDaemon(true);
              return thread;
            });
  }

  /** Takes the orders of both kinds from now on. */
  public void register(OrderDesk desk) {
    process.put(volume, this);
    desk.handle(OrderKind.HOLD, this::hold).handle(OrderKind.RELEASE, this::release);
  }

  /** All that this process taps are held, or none (H1). */
  private CompletionStage<byte[]> hold(long id, byte[] body, Duration left) {
    Holds.Hold order = Holds.Hold.decode(body);
    List<HoldOrders> begun = new ArrayList<>();
    try {
      final Holds.Held own = begin(order);
      begun.add(this);
      List<Optional<Holds.Held>> others = new ArrayList<>();
      for (String name : order.companions()) {
        HoldOrders other = process.get(name);
        others.add(other == null ? Optional.empty() : Optional.of(other.begin(order)));
        if (other != null) {
          begun.add(other);
        }
      }
      return CompletableFuture.completedFuture(own.encode(others));
    } catch (RuntimeException e) {
      begun.forEach(held -> held.end(order.owner(), false));
      throw e;
    }
  }

  private synchronized Holds.Held begin(Holds.Hold order) {
    if (ended.containsKey(order.owner())) {
      throw new Refusal(
          ErrorCode.HOLD_TIMEOUT, "the hold was released before it began; ask for another");
    }
    if (current != null) {
      throw new Refusal(ErrorCode.BUSY, "volume " + volume + " is held for another tag");
    }
    VolumeCapture source =
        capture
            .get()
            .orElseThrow(
                () ->
                    new Refusal(
                        ErrorCode.NOT_ACKNOWLEDGED,
                        "the tap of volume " + volume + " is not attached yet"));
    ReplyHold hold = source.hold(TimeUnit.MICROSECONDS.toNanos(order.limitMicros()));
    current =
        new Current(
            order.owner(),
            hold,
            timer.schedule(
                () -> expire(order.owner()), order.limitMicros(), TimeUnit.MICROSECONDS));
    return new Holds.Held(hold.mark(), hold.time());
  }

  /** What was over already is answered as it ended; what never was is refused when it comes. */
  private CompletionStage<byte[]> release(long id, byte[] body, Duration left) {
    Holds.Release order = Holds.Release.decode(body);
    List<Holds.Released> all = new ArrayList<>();
    all.add(end(order.owner(), true));
    for (String name : order.companions()) {
      HoldOrders other = process.get(name);
      all.add(other == null ? new Holds.Released(false, 0, 0) : other.end(order.owner(), true));
    }
    return CompletableFuture.completedFuture(Holds.Released.encode(all));
  }

  private void expire(long owner) {
    Holds.Released result = end(owner, false);
    log.warn(
        "volume {}: a hold was not released within {} us; {} replies were withheld",
        volume,
        result.heldMicros(),
        result.withheld());
  }

  private Holds.Released end(long owner, boolean released) {
    Optional<ReplyHold.Ended> end;
    Holds.Released result;
    synchronized (this) {
      Holds.Released known = ended.get(owner);
      if (known != null) {
        return known;
      }
      end = takeCurrent(owner);
      // The write path ends a hold that is overdue, too: then it was not this release that did.
      result =
          end.map(
                  e ->
                      new Holds.Released(
                          released,
                          TimeUnit.NANOSECONDS.toMicros(e.heldNanos()),
                          e.replies().size()))
              .orElse(new Holds.Released(false, 0, 0));
      ended.put(owner, result);
      if (ended.size() > ENDED_MAX) {
        ended.remove(ended.keySet().iterator().next());
      }
    }
    end.ifPresent(ReplyHold.Ended::giveReplies);
    return result;
  }

  private Optional<ReplyHold.Ended> takeCurrent(long owner) {
    if (current == null || current.owner() != owner) {
      return Optional.empty();
    }
    Current ending = current;
    current = null;
    ending.limit().cancel(false);
    return ending.hold().end();
  }

  /** Ends a hold that there still is. */
  @Override
  public void close() {
    Optional<ReplyHold.Ended> end;
    process.remove(volume, this);
    synchronized (this) {
      end = current == null ? Optional.empty() : takeCurrent(current.owner());
    }
    end.ifPresent(ReplyHold.Ended::giveReplies);
    timer.shutdownNow();
  }
}
