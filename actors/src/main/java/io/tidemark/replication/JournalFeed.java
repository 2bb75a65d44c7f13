package io.tidemark.replication;

import akka.NotUsed;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.javadsl.AskPattern;
import akka.japi.Pair;
import akka.pattern.Patterns;
import akka.persistence.query.EventEnvelope;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentRef;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeEntity.Progress;
import io.tidemark.volume.VolumeEvent.GapRecorded;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import io.tidemark.volume.VolumeEvent.SyncCompleted;
import io.tidemark.volume.VolumeHistories;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/**
 * A volume's history as a stream that does not end: what its events tell, in their order, from a
 * position on (R1). It asks the volume how far it is and reads no further, so that nothing is sent
 * which its sole writer does not know of.
 */
final class JournalFeed {
  /** Events read at once: with their metadata of bounded size this bounds the memory. */
  private static final int EVENTS_READ = 32;

  /** A volume at rest is asked so much less often. */
  private static final int POLL_SLOWDOWN_MAX = 5;

  private static final Duration ASK_TIMEOUT = Duration.ofSeconds(10);

  private final ActorSystem<?> system;
  private final VolumeName name;
  private final RecipientRef<VolumeEntity.Command> volume;
  private final VolumeHistories histories;
  private final MicroClock clock;
  private final LaneGauge gauge;
  private final Duration pollEvery;

  JournalFeed(
      ActorSystem<?> system,
      VolumeName name,
      RecipientRef<VolumeEntity.Command> volume,
      VolumeHistories histories,
      MicroClock clock,
      LaneGauge gauge,
      Duration pollEvery) {
    this.system = system;
    this.name = name;
    this.volume = volume;
    this.histories = histories;
    this.clock = clock;
    this.gauge = gauge;
    this.pollEvery = pollEvery;
  }

  /** Asks the volume how far it is, for a target that holds everything up to {@code afterSeq}. */
  CompletionStage<Progress> progress(long afterSeq) {
    Function<ActorRef<VolumeEntity.Reply>, VolumeEntity.Command> question =
        ref -> new VolumeEntity.GetProgress(0, afterSeq, ref);
    CompletionStage<VolumeEntity.Reply> answer =
        AskPattern.ask(volume, question::apply, ASK_TIMEOUT, system.scheduler());
    return answer.thenApply(
        reply -> {
          if (reply instanceof VolumeEntity.Refused refused) {
            throw refused.refusal();
          }
          Progress progress = (Progress) reply;
          gauge.source(progress, clock.micros());
          return progress;
        });
  }

  /**
   * Everything after {@code afterSeq}. Fails with {@code BUSY} when the volume's epoch, branch or
   * incarnation is no more what it was: the target has to be told first.
   *
   * @param begun how the volume was when the line was opened
   * @param fromEventNr no event before it tells of a write after {@code afterSeq}
   */
  Source<JournalEntry, NotUsed> from(Progress begun, long afterSeq, long fromEventNr) {
    return Source.unfoldAsync(fromEventNr, next -> read(begun, next))
        .mapConcat(found -> found)
        .mapConcat(envelope -> entry(begun, afterSeq, envelope).map(List::of).orElseGet(List::of));
  }

  private CompletionStage<Optional<Pair<Long, List<EventEnvelope>>>> read(
      Progress begun, long next) {
    return newerThan(begun, next)
        .thenCompose(
            newest -> {
              long to = Math.min(newest, next + EVENTS_READ - 1);
              return histories
                  .events(VolumeEntity.persistenceIdOf(name), next, to)
                  .runWith(Sink.seq(), system)
                  .thenCompose(found -> complete(next, found));
            });
  }

  /** A node of the data base may not have the newest events yet. */
  private CompletionStage<Optional<Pair<Long, List<EventEnvelope>>>> complete(
      long next, List<EventEnvelope> read) {
    List<EventEnvelope> found = unbroken(read);
    if (!found.isEmpty()) {
      long last = found.get(found.size() - 1).sequenceNr();
      return CompletableFuture.completedStage(Optional.of(Pair.create(last + 1, found)));
    }
    return Patterns.after(
        pollEvery,
        system.classicSystem(),
        () -> CompletableFuture.completedStage(Optional.of(Pair.create(next, found))));
  }

  /**
   * Up to the first number that is missing. Of two events with one number the later is the
   * volume's: the other was written in vain by an entity that had lost its claim.
   */
  private static List<EventEnvelope> unbroken(List<EventEnvelope> read) {
    List<EventEnvelope> found = new ArrayList<>();
    for (EventEnvelope envelope : read) {
      int last = found.size() - 1;
      long step = last < 0 ? 1 : envelope.sequenceNr() - found.get(last).sequenceNr();
      if (step == 0) {
        found.set(last, envelope);
      } else if (step == 1) {
        found.add(envelope);
      } else {
        return found;
      }
    }
    return found;
  }

  /** The number of the newest event once there is one that was not read. */
  private CompletionStage<Long> newerThan(Progress begun, long next) {
    return newerThan(begun, next, pollEvery);
  }

  /** A volume that rests is asked less and less often. */
  private CompletionStage<Long> newerThan(Progress begun, long next, Duration wait) {
    return progress(gauge.ackedSeq())
        .thenCompose(
            now -> {
              if (!same(begun, now)) {
                return CompletableFuture.failedStage(
                    new Refusal(
                        ErrorCode.BUSY,
                        "volume '%s' is in epoch %d on branch %s by now"
                            .formatted(name, now.epoch(), now.branch())));
              }
              return now.eventNr() >= next
                  ? CompletableFuture.completedStage(now.eventNr())
                  : Patterns.after(
                      wait, system.classicSystem(), () -> newerThan(begun, next, longer(wait)));
            });
  }

  private Duration longer(Duration wait) {
    Duration next = wait.plus(pollEvery.dividedBy(10));
    Duration most = pollEvery.multipliedBy(POLL_SLOWDOWN_MAX);
    return next.compareTo(most) < 0 ? next : most;
  }

  private static boolean same(Progress begun, Progress now) {
    return begun.volume().equals(now.volume())
        && begun.epoch() == now.epoch()
        && begun.branch().equals(now.branch())
        && begun.left().equals(now.left());
  }

  private static Optional<JournalEntry> entry(
      Progress begun, long afterSeq, EventEnvelope envelope) {
    long eventNr = envelope.sequenceNr();
    if (envelope.event() instanceof SegmentJournaled e) {
      return wanted(begun, afterSeq, e.lastSeq(), eventNr)
          ? Optional.of(
              new JournalEntry.Segment(
                  e.decoded(), new SegmentRef(begun.volume(), e.number()), eventNr))
          : Optional.empty();
    }
    if (envelope.event() instanceof GapRecorded e) {
      return wanted(begun, afterSeq, e.lastSeq(), eventNr)
          ? Optional.of(
              new JournalEntry.Gap(e.firstSeq(), e.lastSeq(), e.timeMicros(), e.reason(), eventNr))
          : Optional.empty();
    }
    // One that the target knows of already is sent again: it may not, and then needs it.
    if (envelope.event() instanceof SyncCompleted e) {
      return wanted(begun, afterSeq - 1, e.headSeq(), eventNr)
          ? Optional.of(new JournalEntry.Synced(e.headSeq(), e.differentBytes(), eventNr))
          : Optional.empty();
    }
    return Optional.empty();
  }

  /** Not known at the target, and of the volume's own line of history. */
  private static boolean wanted(Progress begun, long afterSeq, long lastSeq, long eventNr) {
    return lastSeq > afterSeq
        && begun.left().entrySet().stream()
            .noneMatch(left -> eventNr <= left.getKey() && lastSeq > left.getValue());
  }
}
