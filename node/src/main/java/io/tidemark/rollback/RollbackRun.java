package io.tidemark.rollback;

import io.tidemark.compare.Comparisons;
import io.tidemark.compare.ContentComparison;
import io.tidemark.image.HeldPoints;
import io.tidemark.image.VolumePoints;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.job.JobControl;
import io.tidemark.point.Changes;
import io.tidemark.point.PointReader;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;
import io.tidemark.taplink.LiveLink;
import io.tidemark.taplink.LiveLinks;
import io.tidemark.taprollback.RollbackOrder;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One rollback from its safety point to its end. Blocks; for one thread. */
public final class RollbackRun {
  /** A lost tap or link is waited for so long, so often. */
  static final Duration TAP_LIMIT = Duration.ofMinutes(5);

  static final int ATTEMPTS_MAX = 10;

  /** Comparisons until nothing differs: one to write, one to see that it is equal, and spare. */
  static final int PASSES_MAX = 5;

  static final Duration STEP_LIMIT = Duration.ofSeconds(60);
  private static final Duration HEAD_LIMIT = Duration.ofSeconds(60);
  private static final Duration POLL = Duration.ofMillis(50);
  private static final int PIECE_BYTES_MAX = 1 << 20;

  /** What it needs is kept so long for a node that is to go on with it (B4). */
  private static final Duration LEASE = Duration.ofDays(1);

  private static final Logger LOG = LoggerFactory.getLogger(RollbackRun.class);

  /** What every rollback of a node works with. */
  public record Parts(
      Site site, VolumePoints points, HeldPoints held, LiveLinks links, MicroClock clock) {}

  private final Parts parts;
  private final RollbackRecord record;
  private final JobControl control;
  private final BooleanSupplier nodeStops;
  private long writtenBytes;
  private long comparedBytes;

  /**
   * @param nodeStops whether it is cut short by the end of the node, which goes on later (B4)
   */
  RollbackRun(Parts parts, RollbackRecord record, JobControl control, BooleanSupplier nodeStops) {
    this.parts = parts;
    this.record = record;
    this.control = control;
    this.nodeStops = nodeStops;
  }

  /**
   * Does it all.
   *
   * @param begun whether the tap has been told to begin
   */
  void all(boolean begun) {
    control.note("at", "seq:" + record.at());
    control.note("safety", "seq:" + record.safety());
    boolean first = begun;
    for (int attempt = 1; ; attempt++) {
      try {
        TapSteps tap = first ? tap(link().orElseThrow(RollbackRun::noTap)) : beginAgain();
        first = false;
        long head = untilEqual(tap);
        tap.ask(new RollbackOrder.End(record.run()));
        control.note("head", "seq:" + head);
        control.note("written", Long.toString(writtenBytes));
        control.note("state", "the volume holds seq:" + record.at() + ", compared and equal");
        return;
      } catch (Refusal e) {
        first = false;
        if (nodeStops.getAsBoolean()) {
          throw e;
        }
        if (!mayPass(e) || attempt == ATTEMPTS_MAX || control.cancelled()) {
          throw ended(e);
        }
        LOG.warn("the rollback of {} is interrupted: {}", record.volume(), e.getMessage());
      } catch (CancellationException e) {
        if (!nodeStops.getAsBoolean()) {
          letClientsIn();
          control.note("state", state());
        }
        throw e;
      } catch (RuntimeException e) {
        if (!nodeStops.getAsBoolean()) {
          letClientsIn();
          control.note("state", state());
        }
        throw e;
      }
    }
  }

  /** Whether the tap or its link was lost, or capture is being resynchronised after that. */
  private static boolean mayPass(Refusal e) {
    return e.code() == ErrorCode.NOT_ACKNOWLEDGED
        || e.code() == ErrorCode.NOT_FOUND
        || e.code() == ErrorCode.DARK_INTERVAL;
  }

  private Refusal ended(Refusal why) {
    letClientsIn();
    String state = state();
    control.note("state", state);
    return new Refusal(why.code(), why.getMessage() + "; " + state, why);
  }

  /** What the volume holds when it ends early, in words (B3). */
  private String state() {
    return writtenBytes == 0
        ? "nothing was written, the volume is as it was"
        : "the volume holds a mixture of seq:%d and seq:%d, all of it journaled: take it back again, or undo with at seq:%d"
            .formatted(record.safety(), record.at(), record.safety());
  }

  private void letClientsIn() {
    try {
      link().ifPresent(link -> tap(link).ask(new RollbackOrder.End(record.run())));
    } catch (Refusal e) {
      LOG.warn(
          "the tap of {} was not told that its rollback is over; it finds out itself: {}",
          record.volume(),
          e.getMessage());
    }
  }

  private Optional<LiveLink> link() {
    return parts
        .links()
        .of(record.volume())
        .filter(live -> live.volume().equals(record.incarnation()));
  }

  static Refusal noTap() {
    return new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "no tap is attached to this node");
  }

  private TapSteps tap(LiveLink link) {
    return new TapSteps(link, parts.clock(), STEP_LIMIT);
  }

  /** Waits until the tap is back and has nothing to synchronise any more. */
  private TapSteps beginAgain() {
    long deadline = System.nanoTime() + TAP_LIMIT.toNanos();
    while (System.nanoTime() < deadline) {
      stopIfCancelled();
      Optional<LiveLink> link = link();
      if (link.isPresent() && tidied()) {
        TapSteps tap = tap(link.get());
        tap.ask(new RollbackOrder.Begin(record.run(), record.force()));
        return tap;
      }
      pause();
    }
    throw new Refusal(
        ErrorCode.FAILED,
        "the tap of '%s' was not attached and synchronised to this node within %d minutes"
            .formatted(record.volume(), TAP_LIMIT.toMinutes()));
  }

  private boolean tidied() {
    VolumeSummary volume = join(parts.site().volume(record.volume()));
    return volume.tapConnected() && volume.state().equals("Protected");
  }

  private long untilEqual(TapSteps tap) {
    holdAgain();
    PointReader target = join(parts.points().open(located(new At.Seq(new WriteSeq(record.at())))));
    for (int pass = 0; pass < PASSES_MAX; pass++) {
      PointReader head = head();
      if (pass == 0) {
        count(head);
      }
      if (!copied(target, head, tap, pass == 0)) {
        return head.point().seq().value(); // B2
      }
      awaitHead(parts, record.volume(), tap.ask(new RollbackOrder.Sync(record.run())));
    }
    throw new Refusal(
        ErrorCode.FAILED, "the volume was written by others again and again meanwhile");
  }

  /** The newest content; it is compared for longer than a window may be. */
  private PointReader head() {
    return join(parts.held().open(located(new At.Latest()), holder(record, "head")));
  }

  private Located located(At at) {
    Located located = join(parts.points().locate(record.volume(), at));
    if (!located.volume().equals(record.incarnation())) {
      throw new Refusal(ErrorCode.FAILED, "the volume was deleted and created again");
    }
    return located;
  }

  /** After a restart: without its safety point it had better go on than stop half-way. */
  private void holdAgain() {
    hold(parts, record, "target", record.at());
    try {
      hold(parts, record, "undo", record.safety());
    } catch (Refusal e) {
      if (e.code() != ErrorCode.BEYOND_HORIZON) {
        throw e;
      }
      control.note("safety", "gone: " + e.getMessage());
    }
  }

  /** Holds what it goes to and what undoes it (B6); blocks. Repeating is safe. */
  static void hold(Parts parts, RollbackRecord record) {
    hold(parts, record, "target", record.at());
    hold(parts, record, "undo", record.safety());
  }

  private static void hold(Parts parts, RollbackRecord record, String what, long seq) {
    Located located = join(parts.points().locate(record.volume(), new At.Seq(new WriteSeq(seq))));
    join(parts.held().hold(located, holder(record, what), false, LEASE));
  }

  private static String holder(RollbackRecord record, String what) {
    return "rollback:%016x:%s".formatted(record.run(), what);
  }

  /** Lets go all that it held. */
  static void release(Parts parts, RollbackRecord record) {
    for (String what : List.of("head", "target", "undo")) {
      parts.held().release(record.volume(), holder(record, what));
    }
  }

  /** How much there is to be compared, beside what an interrupted attempt has compared. */
  private void count(PointReader head) {
    long bytes = comparedBytes;
    for (long at = 0; at < head.sizeBytes(); ) {
      Changes changes = changes(head, at);
      bytes += changes.ranges().stream().mapToLong(ByteRange::length).sum();
      at = changes.end();
    }
    control.total(bytes);
  }

  private Changes changes(PointReader head, long from) {
    stopIfCancelled();
    return join(
        head.changedAfter(
            new WriteSeq(Math.min(record.at(), head.point().seq().value())),
            new ByteRange(from, head.sizeBytes() - from),
            Comparisons.RANGES_DEFAULT));
  }

  /** Writes what differs; returns whether anything did. */
  private boolean copied(PointReader target, PointReader head, TapSteps tap, boolean counting) {
    long before = writtenBytes;
    for (long at = 0; at < head.sizeBytes(); ) {
      Changes changes = changes(head, at);
      Changes different = new ContentComparison(target, head, Comparisons.RANGES_MAX).of(changes);
      for (ByteRange range : different.ranges()) {
        copy(target, range, tap);
      }
      long end = different.end();
      if (counting) {
        long compared =
            changes.ranges().stream()
                .mapToLong(range -> Math.max(0, Math.min(end, range.end()) - range.offset()))
                .sum();
        comparedBytes += compared;
        control.advance(compared);
      }
      at = end;
    }
    return writtenBytes > before;
  }

  private void copy(PointReader target, ByteRange range, TapSteps tap) {
    for (long at = range.offset(); at < range.end(); at += PIECE_BYTES_MAX) {
      stopIfCancelled();
      int length = (int) Math.min(PIECE_BYTES_MAX, range.end() - at);
      ByteBuffer piece = join(target.read(at, length)).slice();
      for (int from = 0; from < length; from += RollbackOrder.DATA_BYTES_MAX) {
        int size = Math.min(RollbackOrder.DATA_BYTES_MAX, length - from);
        ByteBuffer data = piece.slice(from, size);
        tap.send(
            zero(data)
                ? new RollbackOrder.Zero(record.run(), new ByteRange(at + from, size))
                : new RollbackOrder.Write(record.run(), at + from, data));
        writtenBytes += size;
      }
    }
  }

  private static boolean zero(ByteBuffer data) {
    for (int i = 0; i < data.limit(); i++) {
      if (data.get(i) != 0) {
        return false;
      }
    }
    return true;
  }

  /** Waits until the journal's head, as readers see it, is at least that seq. */
  static void awaitHead(Parts parts, io.tidemark.position.VolumeName volume, long seq) {
    long deadline = System.nanoTime() + HEAD_LIMIT.toNanos();
    while (join(parts.site().history(volume)).headSeq() < seq) {
      if (System.nanoTime() > deadline) {
        throw new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED, "the journal does not show seq:" + seq + " in time");
      }
      pause();
    }
  }

  private void stopIfCancelled() {
    if (control.cancelled()) {
      throw new CancellationException();
    }
  }

  private static void pause() {
    CompletableFuture.runAsync(
            () -> {}, CompletableFuture.delayedExecutor(POLL.toMillis(), TimeUnit.MILLISECONDS))
        .join();
  }

  static <T> T join(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof Refusal refusal ? refusal : e;
    }
  }
}
