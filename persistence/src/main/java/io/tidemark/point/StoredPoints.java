package io.tidemark.point;

import io.tidemark.index.IndexSnapshot;
import io.tidemark.index.IndexedHistory;
import io.tidemark.index.SegmentHistory;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexReader.WritePosition;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentStore;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/** Recovery points over the extent index and the segment store. Thread-safe. */
public final class StoredPoints implements Points {
  private final StoredIndexReader index;
  private final ChunkReader chunks;
  private final MicroClock clock;

  /**
   * @param index shared by all volumes of the node
   * @param segments remembers what was read last ({@link io.tidemark.segment.ChunkCache}), or every
   *     read fetches its chunk again
   * @param clock tells a time in the future from one between the head and now
   * @param chunksInFlightMax chunks that all readers together ask {@code segments} for at once
   * @param aheadBytesMax how far ahead of a sequential reader chunks are fetched, 0 for not at all;
   *     the store must remember so much for each such reader
   */
  public StoredPoints(
      StoredIndexReader index,
      SegmentStore segments,
      MicroClock clock,
      int chunksInFlightMax,
      long aheadBytesMax) {
    this.index = index;
    this.chunks = new ChunkReader(segments, chunksInFlightMax, aheadBytesMax);
    this.clock = clock;
  }

  @Override
  public CompletionStage<RecoveryPoint> resolve(HistoryView view, SegmentHistory history, At at) {
    return refusing(
        () -> {
          if (at instanceof At.Latest) {
            return atSeq(view, history, view.headSeq());
          }
          if (at instanceof At.Seq named) {
            return atSeq(view, history, named.seq().value());
          }
          if (at instanceof At.Time named) {
            return atTime(view, history, named.time().micros());
          }
          throw new Refusal(
              ErrorCode.NOT_FOUND, "the volume has no " + Refusal.printable(at.toString()));
        });
  }

  /** Turns a refusal that is thrown into one that the stage fails with. */
  private static <T> CompletionStage<T> refusing(Supplier<CompletionStage<T>> work) {
    try {
      return work.get();
    } catch (Refusal e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private CompletionStage<RecoveryPoint> atSeq(HistoryView view, SegmentHistory history, long seq) {
    Refusals.checkSeq(view, seq);
    if (seq == view.headSeq()) {
      return done(point(seq, view.headTimeMicros()));
    }
    if (seq == view.horizonSeq()) {
      return done(point(seq, view.horizonTimeMicros()));
    }
    if (seq == 0) {
      return done(
          point(0, view.createdMicros() > 0 ? view.createdMicros() : view.horizonTimeMicros()));
    }
    if (view.layerTo(seq).isPresent()) {
      return done(point(seq, view.layerTo(seq).get().lastTimeMicros()));
    }
    for (DarkInterval dark : view.dark()) {
      if (!dark.open() && seq == dark.toSeq() + 1) {
        return done(point(seq, dark.toTimeMicros()));
      }
    }
    return index
        .atSeq(indexed(view, history), seq)
        .thenApply(
            found -> point(seq, found.seq() == 0 ? view.horizonTimeMicros() : found.timeMicros()));
  }

  private CompletionStage<RecoveryPoint> atTime(
      HistoryView view, SegmentHistory history, long micros) {
    Refusals.checkTime(view, micros, Math.max(clock.micros(), view.headTimeMicros()));
    if (micros >= view.headTimeMicros()) {
      return done(leavingDark(view, micros, point(view.headSeq(), view.headTimeMicros())));
    }
    return index
        .atTime(indexed(view, history), micros)
        .thenApply(found -> leavingDark(view, micros, atLeastHorizon(view, found)));
  }

  private static RecoveryPoint atLeastHorizon(HistoryView view, WritePosition found) {
    return found.seq() <= view.horizonSeq()
        ? point(view.horizonSeq(), view.horizonTimeMicros())
        : point(found.seq(), found.timeMicros());
  }

  /**
   * At the very time of the last point before a dark interval, that point is meant; from the first
   * point after it on, at least that one, even if it is the end of a gap and no write.
   */
  private static RecoveryPoint leavingDark(HistoryView view, long micros, RecoveryPoint found) {
    for (DarkInterval dark : view.dark()) {
      if (micros == dark.fromTimeMicros()
          && found.seq().value() >= dark.fromSeq()
          && found.seq().value() <= dark.toSeq()
          && dark.fromSeq() > view.horizonSeq()) {
        return point(dark.fromSeq() - 1, micros);
      }
      if (!dark.open() && micros >= dark.toTimeMicros() && found.seq().value() <= dark.toSeq()) {
        return point(dark.toSeq() + 1, dark.toTimeMicros());
      }
    }
    Refusals.checkSeq(view, found.seq().value());
    return found;
  }

  private static RecoveryPoint point(long seq, long micros) {
    return new RecoveryPoint(new WriteSeq(seq), new MicroTime(micros), RecoveryPoint.MAIN_BRANCH);
  }

  @Override
  public CompletionStage<PointReader> open(
      HistoryView view, SegmentHistory history, RecoveryPoint point) {
    return refusing(
        () -> {
          Refusals.checkSeq(view, point.seq().value());
          return reader(view, history, point, StoredPointReader.FIXED);
        });
  }

  @Override
  public CompletionStage<PointReader> open(
      HistoryView view,
      SegmentHistory history,
      RecoveryPoint point,
      Supplier<CompletionStage<HistoryView>> renewed) {
    return refusing(
        () -> {
          Refusals.checkSeq(view, point.seq().value());
          Supplier<CompletionStage<IndexSnapshot>> renewal =
              () -> renewed.get().thenCompose(now -> renewed(view, now, history, point));
          return reader(view, history, point, renewal)
              .exceptionallyCompose(
                  failure ->
                      renewal
                          .get()
                          .thenApply(
                              snapshot ->
                                  new StoredPointReader(
                                      point, view.sizeBytes(), snapshot, chunks, renewal)));
        });
  }

  /** The index of an open point after the history was cut: the same content in other places. */
  private CompletionStage<IndexSnapshot> renewed(
      HistoryView then, HistoryView now, SegmentHistory history, RecoveryPoint point) {
    Refusals.checkSeq(now, point.seq().value());
    return moved(then, now, history, point.seq().value());
  }

  private CompletionStage<IndexSnapshot> moved(
      HistoryView then, HistoryView now, SegmentHistory history, long seq) {
    if (!then.volume().equals(now.volume())) {
      throw new Refusal(ErrorCode.NOT_FOUND, "the volume was deleted while its point was read");
    }
    return index.snapshot(indexed(now, history), seq);
  }

  @Override
  public CompletionStage<PointReader> openHead(
      HistoryView view, SegmentHistory history, Supplier<CompletionStage<HistoryView>> renewed) {
    return refusing(
        () ->
            reader(
                view,
                history,
                point(view.headSeq(), view.headTimeMicros()),
                () -> renewed.get().thenCompose(now -> moved(view, now, history, view.headSeq()))));
  }

  private CompletionStage<PointReader> reader(
      HistoryView view,
      SegmentHistory history,
      RecoveryPoint point,
      Supplier<CompletionStage<IndexSnapshot>> renewal) {
    return index
        .snapshot(indexed(view, history), point.seq().value())
        .thenApply(
            snapshot -> new StoredPointReader(point, view.sizeBytes(), snapshot, chunks, renewal));
  }

  /**
   * How much was written when, from the tree's tables; reads at most {@link
   * Timeline#EVENTS_READ_MAX} events and the tail.
   *
   * @param buckets 1 to {@link Timeline#BUCKETS_MAX} spans of equal length
   * @return the spans in order; fails with {@code INVALID} for an empty interval or too many spans
   */
  public CompletionStage<List<TimelineBucket>> timeline(
      HistoryView view, SegmentHistory history, MicroTime from, MicroTime to, int buckets) {
    return refusing(
        () ->
            new Timeline(index, indexed(view, history))
                .buckets(from.micros(), to.micros(), buckets));
  }

  private static IndexedHistory indexed(HistoryView view, SegmentHistory history) {
    return new IndexedHistory(
        view.volume(),
        view.frontier(),
        view.onLine(history),
        view.tailFromEventNr(),
        view.tailToEventNr(),
        view.layers());
  }

  private static <T> CompletionStage<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }
}
