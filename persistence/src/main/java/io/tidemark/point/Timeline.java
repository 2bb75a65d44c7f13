package io.tidemark.point;

import io.tidemark.index.IndexedHistory;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexReader.Spot;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Cuts a span of time into buckets and counts the writes of each. A boundary inside a segment is
 * found exactly by reading the segment's event when there are few such segments, otherwise as if
 * the segment's writes were evenly spread over its time. Used once.
 */
final class Timeline {
  static final int BUCKETS_MAX = 10_000;
  static final int EVENTS_READ_MAX = 64;

  private final StoredIndexReader index;
  private final IndexedHistory history;
  private final List<SegmentEntry> tail = new ArrayList<>();

  Timeline(StoredIndexReader index, IndexedHistory history) {
    this.index = index;
    this.history = history;
  }

  CompletionStage<List<TimelineBucket>> buckets(long from, long to, int count) {
    if (count < 1 || count > BUCKETS_MAX || to <= from) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a timeline needs an end after its begin and 1 to " + BUCKETS_MAX + " buckets");
    }
    long[] bounds = new long[count + 1];
    for (int i = 0; i <= count; i++) {
      bounds[i] = from + Math.round((to - from) * (i / (double) count));
    }
    return index
        .tail(history, tail::add)
        .thenCompose(read -> spots(bounds))
        .thenCompose(spots -> events(spots).thenApply(events -> count(bounds, spots, events)));
  }

  /** Where the last moment before each bound lies. */
  private CompletableFuture<List<Spot>> spots(long[] bounds) {
    List<CompletableFuture<Spot>> spots = new ArrayList<>(bounds.length);
    for (long bound : bounds) {
      spots.add(index.spotAtTime(history, bound - 1));
    }
    return CompletableFuture.allOf(spots.toArray(CompletableFuture[]::new))
        .thenApply(ready -> spots.stream().map(CompletableFuture::join).toList());
  }

  private CompletableFuture<Map<Long, SegmentMeta>> events(List<Spot> spots) {
    Map<Long, CompletableFuture<List<SegmentEntry>>> reads = new LinkedHashMap<>();
    long inside = spots.stream().mapToLong(Spot::eventNr).filter(nr -> nr > 0).distinct().count();
    if (inside <= EVENTS_READ_MAX) {
      for (Spot spot : spots) {
        if (spot.eventNr() > 0) {
          reads.computeIfAbsent(
              spot.eventNr(), nr -> history.segments().segments(nr, nr).toCompletableFuture());
        }
      }
    }
    return CompletableFuture.allOf(reads.values().toArray(CompletableFuture[]::new))
        .thenApply(
            ready -> {
              Map<Long, SegmentMeta> metas = new LinkedHashMap<>();
              reads.forEach((nr, read) -> read.join().forEach(e -> metas.put(nr, e.meta())));
              return metas;
            });
  }

  private List<TimelineBucket> count(
      long[] bounds, List<Spot> spots, Map<Long, SegmentMeta> events) {
    List<TimelineBucket> buckets = new ArrayList<>(bounds.length - 1);
    long before = seqBefore(bounds[0], spots.get(0), events);
    for (int i = 1; i < bounds.length; i++) {
      long last = Math.max(before, seqBefore(bounds[i], spots.get(i), events));
      buckets.add(new TimelineBucket(bounds[i - 1], bounds[i], before + 1, last, last - before));
      before = last;
    }
    return buckets;
  }

  private long seqBefore(long bound, Spot spot, Map<Long, SegmentMeta> events) {
    if (spot.eventNr() > 0) {
      SegmentMeta meta = events.get(spot.eventNr());
      return meta != null ? meta.seq(0) + meta.indexAtTime(bound - 1) : spread(bound - 1, spot);
    }
    long seq = spot.lastSeq();
    for (SegmentEntry entry : tail) {
      int last = entry.meta().indexAtTime(bound - 1);
      if (last < 0) {
        break;
      }
      seq = entry.meta().seq(last);
    }
    return seq;
  }

  private static long spread(long micros, Spot spot) {
    double part =
        (micros - spot.firstTimeMicros())
            / (double) Math.max(1, spot.lastTimeMicros() - spot.firstTimeMicros());
    return spot.firstSeq() + (long) (part * (spot.lastSeq() - spot.firstSeq()));
  }
}
