package io.tidemark.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.image.VolumePoints;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.HistoryView;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/**
 * Where a volume's writes lie in time: equal buckets of a span, each with its seqs. The bounds are
 * looked up one after another, so that one request never floods the index.
 */
final class Timeline {
  static final int BUCKETS_DEFAULT = 60;
  static final int BUCKETS_MAX = 512;

  private final VolumeName name;
  private final HistoryView history;
  private final VolumePoints points;

  Timeline(VolumeName name, HistoryView history, VolumePoints points) {
    this.name = name;
    this.history = history;
    this.points = points;
  }

  /**
   * @param from the horizon when empty
   * @param to just after the head when empty
   */
  CompletionStage<ObjectNode> between(
      Optional<MicroTime> from, Optional<MicroTime> to, int buckets) {
    long start = from.map(MicroTime::micros).orElse(history.horizonTimeMicros());
    long end = to.map(MicroTime::micros).orElse(Math.max(history.headTimeMicros(), start) + 1);
    if (start >= end) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'from' must be before 'to': "
              + new MicroTime(start)
              + " is not before "
              + new MicroTime(end));
    }
    int count = (int) Math.min(buckets, end - start);
    long[] bounds = new long[count + 1];
    for (int i = 0; i <= count; i++) {
      bounds[i] = start + (long) ((end - start) * ((double) i / count));
    }
    bounds[count] = end;
    long[] seqs = new long[count + 1];
    CompletionStage<Void> done = CompletableFuture.completedFuture(null);
    for (int i = 0; i <= count; i++) {
      int bound = i;
      // A bucket holds what was written from its first microsecond to just before the next one's.
      done =
          done.thenCompose(ignored -> newestSeq(bounds[bound] - 1))
              .thenAccept(seq -> seqs[bound] = seq);
    }
    return done.thenApply(ignored -> json(bounds, seqs));
  }

  private ObjectNode json(long[] bounds, long[] seqs) {
    ObjectNode json = Json.object();
    json.put("volume", name.value());
    json.put("from", new MicroTime(bounds[0]).toString());
    json.put("to", new MicroTime(bounds[bounds.length - 1]).toString());
    json.set("horizon", position(history.horizonSeq(), history.horizonTimeMicros()));
    json.set("head", position(history.headSeq(), history.headTimeMicros()));
    json.set("dark", Views.dark(history.dark()));
    ArrayNode list = json.putArray("buckets");
    for (int i = 0; i + 1 < bounds.length; i++) {
      ObjectNode bucket = list.addObject();
      bucket.put("from", new MicroTime(bounds[i]).toString());
      bucket.put("to", new MicroTime(bounds[i + 1]).toString());
      bucket.put("afterSeq", seqs[i]);
      bucket.put("lastSeq", seqs[i + 1]);
      bucket.put("writes", seqs[i + 1] - seqs[i]);
      bucket.put("dark", dark(bounds[i], bounds[i + 1]));
    }
    return json;
  }

  private static ObjectNode position(long seq, long micros) {
    return Json.object().put("seq", seq).put("time", new MicroTime(micros).toString());
  }

  private boolean dark(long from, long to) {
    for (DarkInterval interval : history.dark()) {
      if (interval.fromTimeMicros() < to - 1 && interval.toTimeMicros() > from) {
        return true;
      }
    }
    return false;
  }

  /** The newest seq not later than the time; inside a dark interval the last one before it. */
  private CompletionStage<Long> newestSeq(long micros) {
    if (micros >= history.headTimeMicros()) {
      return CompletableFuture.completedFuture(history.headSeq());
    }
    if (micros <= history.horizonTimeMicros()) {
      return CompletableFuture.completedFuture(
          micros == history.horizonTimeMicros() ? history.horizonSeq() : belowHorizon());
    }
    for (DarkInterval interval : history.dark()) {
      if (micros >= interval.fromTimeMicros() && micros < interval.toTimeMicros()) {
        return CompletableFuture.completedFuture(interval.fromSeq() - 1);
      }
    }
    return points
        .locate(name, new At.Time(new MicroTime(micros)))
        .handle(
            (located, failure) -> {
              if (failure == null) {
                return located.point().seq().value();
              }
              Throwable cause = Failures.cause(failure);
              // The horizon moved on since the history was read.
              if (cause instanceof Refusal refusal && refusal.code() == ErrorCode.BEYOND_HORIZON) {
                return belowHorizon();
              }
              throw new CompletionException(cause);
            });
  }

  private long belowHorizon() {
    return Math.max(0, history.horizonSeq() - 1);
  }
}
