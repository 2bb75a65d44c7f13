package io.tidemark.volume;

import akka.NotUsed;
import akka.actor.typed.ActorSystem;
import akka.persistence.query.EventEnvelope;
import akka.persistence.query.PersistenceQuery;
import akka.persistence.query.javadsl.CurrentEventsByPersistenceIdQuery;
import akka.persistence.query.javadsl.ReadJournal;
import akka.stream.Materializer;
import akka.stream.SystemMaterializer;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.cassandra.Retries;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.SegmentHistory;
import io.tidemark.volume.VolumeEvent.HistoryForked;
import io.tidemark.volume.VolumeEvent.IndexAdvanced;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** Reads volumes' events back from the journal, by persistence id and event number. */
public final class VolumeHistories {
  /** How long Cassandra may be away before whoever reads is told. */
  private static final Duration DEADLINE = Duration.ofSeconds(10);

  /** Events read at once for a count. */
  private static final int COUNT_EVENTS = 1_024;

  private final CurrentEventsByPersistenceIdQuery journal;
  private final Materializer materializer;
  private final Retries retries;

  private VolumeHistories(CurrentEventsByPersistenceIdQuery journal, Materializer materializer) {
    this.journal = journal;
    this.materializer = materializer;
    this.retries = new Retries(DEADLINE, materializer.executionContext());
  }

  /**
   * Reads through the query plugin that {@code tidemark.journal.read-plugin} names.
   *
   * @throws IllegalArgumentException when that plugin cannot read a range of one id's events
   */
  public static VolumeHistories of(ActorSystem<?> system) {
    String plugin = system.settings().config().getString("tidemark.journal.read-plugin");
    ReadJournal found = PersistenceQuery.get(system).getReadJournalFor(ReadJournal.class, plugin);
    if (found instanceof CurrentEventsByPersistenceIdQuery journal) {
      return new VolumeHistories(journal, SystemMaterializer.get(system).materializer());
    }
    throw new IllegalArgumentException(
        "tidemark.journal.read-plugin: " + plugin + " cannot read events by persistence id");
  }

  /** The segments of one volume; {@code persistenceId} as in {@code HistoryView}. */
  public SegmentHistory of(String persistenceId) {
    return (from, to) ->
        collect(persistenceId, from, to, VolumeHistories::line)
            .thenApply(VolumeHistories::withoutLeft)
            .thenApply(VolumeHistories::withoutSuperseded);
  }

  /** All of a volume's events in a range, in order, for whoever goes through its history. */
  public Source<EventEnvelope, NotUsed> events(String persistenceId, long from, long to) {
    return journal.currentEventsByPersistenceId(persistenceId, from, to);
  }

  /** Segments that begin at or before {@code lastSeq}, and their writes up to it. */
  record Count(long segments, long writes) {}

  static CompletionStage<Count> count(SegmentHistory history, long from, long to, long lastSeq) {
    return history
        .segments(from, Math.min(to, from + COUNT_EVENTS - 1))
        .thenCompose(
            found -> {
              Count here = counted(found, lastSeq);
              return from + COUNT_EVENTS > to
                  ? CompletableFuture.completedStage(here)
                  : count(history, from + COUNT_EVENTS, to, lastSeq)
                      .thenApply(
                          rest ->
                              new Count(
                                  here.segments() + rest.segments(),
                                  here.writes() + rest.writes()));
            });
  }

  private static Count counted(List<SegmentEntry> found, long lastSeq) {
    long segments = 0;
    long writes = 0;
    for (SegmentEntry entry : found) {
      Optional<SegmentEntry> remains = entry.upTo(lastSeq);
      if (remains.isPresent()) {
        segments++;
        writes += remains.get().meta().count();
      }
    }
    return new Count(segments, writes);
  }

  /**
   * Leaves out what became another line of history: it was written after the fork and before it
   * happened.
   */
  private static List<SegmentEntry> withoutLeft(List<Line> lines) {
    List<SegmentEntry> kept = new ArrayList<>();
    for (Line line : lines) {
      if (line.entry().isPresent()) {
        kept.add(line.entry().get());
      } else {
        List<SegmentEntry> before = List.copyOf(kept);
        kept.clear();
        before.forEach(entry -> entry.upTo(line.forkSeq()).ifPresent(kept::add));
      }
    }
    return kept;
  }

  /** A segment, or a fork after {@code forkSeq}. */
  private record Line(Optional<SegmentEntry> entry, long forkSeq) {}

  private static Optional<Line> line(EventEnvelope envelope) {
    return envelope.event() instanceof HistoryForked fork
        ? Optional.of(new Line(Optional.empty(), fork.keptSeq()))
        : segment(envelope).map(entry -> new Line(Optional.of(entry), 0));
  }

  /**
   * Leaves out what an entity stored after another one had taken over and journaled the same
   * writes: the newer session's segment stands.
   */
  static List<SegmentEntry> withoutSuperseded(List<SegmentEntry> all) {
    Deque<SegmentEntry> kept = new ArrayDeque<>();
    for (SegmentEntry entry : all) {
      while (!kept.isEmpty()
          && kept.getLast().meta().lastSeq().value() >= entry.meta().firstSeq().value()
          && session(kept.getLast()) <= session(entry)) {
        kept.removeLast();
      }
      if (kept.isEmpty()
          || kept.getLast().meta().lastSeq().value() < entry.meta().firstSeq().value()) {
        kept.addLast(entry);
      }
    }
    return List.copyOf(kept);
  }

  private static long session(SegmentEntry entry) {
    return entry.segmentNumber() >>> 32;
  }

  /** Ids of all index nodes that the events tell of. */
  CompletionStage<List<Long>> indexNodes(String persistenceId, long fromEventNr, long toEventNr) {
    return collect(persistenceId, fromEventNr, toEventNr, VolumeHistories::indexNode);
  }

  private <T> CompletionStage<List<T>> collect(
      String persistenceId, long from, long to, Function<EventEnvelope, Optional<T>> pick) {
    return retries.run(
        () ->
            journal
                .currentEventsByPersistenceId(persistenceId, from, to)
                .map(pick::apply)
                .filter(Optional::isPresent)
                .map(Optional::get)
                .runWith(Sink.seq(), materializer));
  }

  private static Optional<SegmentEntry> segment(EventEnvelope envelope) {
    return envelope.event() instanceof SegmentJournaled e
        ? Optional.of(
            new SegmentEntry(e.decoded(), e.number(), envelope.sequenceNr(), e.storedBytes()))
        : Optional.empty();
  }

  private static Optional<Long> indexNode(EventEnvelope envelope) {
    return envelope.event() instanceof IndexAdvanced e
        ? Optional.of(e.node().id())
        : Optional.empty();
  }
}
