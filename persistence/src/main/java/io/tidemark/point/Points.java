package io.tidemark.point;

import io.tidemark.index.SegmentHistory;
import io.tidemark.position.At;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/** Finds and opens recovery points; never replays the history. */
public interface Points {
  /**
   * Resolves {@code at} in a volume's history.
   *
   * @return fails with {@code BEYOND_HEAD}, {@code BEYOND_HORIZON} or {@code DARK_INTERVAL} with a
   *     sentence that names the nearest points; a {@code time:} between the head's and now is the
   *     head, one in the future is {@code BEYOND_HEAD}; {@code tag:} is {@code NOT_FOUND}
   */
  CompletionStage<RecoveryPoint> resolve(HistoryView view, SegmentHistory history, At at);

  /** Opens a resolved point; reads run headers and at most one leaf's segments. */
  CompletionStage<PointReader> open(HistoryView view, SegmentHistory history, RecoveryPoint point);

  /**
   * Opens a resolved point for long: when what it was opened with is not there any more, because
   * the history was cut since, the reader finds its content again in the renewed history.
   *
   * @param renewed asks for the volume's history as it is then; fails when it cannot be had
   * @return fails like {@link #open}; later reads fail with {@code BEYOND_HORIZON} once the point
   *     is given up
   */
  default CompletionStage<PointReader> open(
      HistoryView view,
      SegmentHistory history,
      RecoveryPoint point,
      Supplier<CompletionStage<HistoryView>> renewed) {
    return open(view, history, point);
  }

  /**
   * As {@link #resolve(HistoryView, SegmentHistory, At)}, of a history that may be cut meanwhile:
   * what is missing then is looked for once more (P5).
   *
   * @param renewed asks for the volume's history as it is then
   */
  default CompletionStage<RecoveryPoint> resolve(
      HistoryView view,
      SegmentHistory history,
      At at,
      Supplier<CompletionStage<HistoryView>> renewed) {
    return resolve(view, history, at)
        .exceptionallyCompose(
            failure -> {
              Throwable cause = Failures.cause(failure);
              if (!(cause instanceof Refusal refusal) || refusal.code() != ErrorCode.CORRUPT) {
                return CompletableFuture.failedStage(failure);
              }
              return renewed
                  .get()
                  .thenCompose(
                      now ->
                          now.base().equals(view.base()) || !now.volume().equals(view.volume())
                              ? CompletableFuture.failedStage(failure)
                              : resolve(now, history, at, renewed));
            });
  }

  /**
   * Opens what the journal holds at its head, also inside a dark interval: what a resynchronisation
   * compares the volume with. It is no recovery point, for a volume was perhaps never in that
   * state.
   *
   * @param renewed asks for the volume's history as it is then, when data was moved by a cut
   */
  CompletionStage<PointReader> openHead(
      HistoryView view, SegmentHistory history, Supplier<CompletionStage<HistoryView>> renewed);
}
