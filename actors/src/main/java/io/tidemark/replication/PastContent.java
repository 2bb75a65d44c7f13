package io.tidemark.replication;

import io.tidemark.index.SegmentHistory;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.Points;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/**
 * What the volumes' journals held, read through recovery points; the points opened last are kept
 * open, for a segment asks for many ranges of few of them. Thread-safe.
 */
public final class PastContent implements OlderContent {
  /** Points kept open; each holds no more than references into caches of bounded size. */
  static final int OPEN_MAX = 64;

  private record Place(VolumeId volume, long seq) {}

  private final Function<VolumeName, CompletionStage<HistoryView>> histories;
  private final Points points;
  private final Function<String, SegmentHistory> segments;
  private final Map<Place, CompletableFuture<PointReader>> open =
      new LinkedHashMap<>(16, 0.75f, true);

  /**
   * @param histories what a volume's history is now
   * @param segments of the volume with a persistence id
   */
  public PastContent(
      Function<VolumeName, CompletionStage<HistoryView>> histories,
      Points points,
      Function<String, SegmentHistory> segments) {
    this.histories = histories;
    this.points = points;
    this.segments = segments;
  }

  @Override
  public CompletionStage<ByteBuffer> read(
      VolumeName volume, VolumeId incarnation, long seq, long offset, int length) {
    return open(volume, incarnation, seq).thenCompose(reader -> reader.read(offset, length));
  }

  /** The volume as of {@code seq}, also inside a dark interval. */
  public CompletionStage<PointReader> open(VolumeName volume, VolumeId incarnation, long seq) {
    Place place = new Place(incarnation, seq);
    CompletableFuture<PointReader> fresh = new CompletableFuture<>();
    synchronized (open) {
      CompletableFuture<PointReader> there = open.get(place);
      if (there != null) {
        return there.copy();
      }
      open.put(place, fresh);
      if (open.size() > OPEN_MAX) {
        open.remove(open.keySet().iterator().next());
      }
    }
    histories
        .apply(volume)
        .thenCompose(view -> openAt(volume, view, incarnation, seq))
        .whenComplete((reader, failure) -> settle(place, fresh, reader, failure));
    return fresh.copy();
  }

  private void settle(
      Place place, CompletableFuture<PointReader> fresh, PointReader reader, Throwable failure) {
    if (failure == null) {
      fresh.complete(reader);
      return;
    }
    synchronized (open) {
      open.remove(place, fresh);
    }
    fresh.completeExceptionally(failure);
  }

  private CompletionStage<PointReader> openAt(
      VolumeName name, HistoryView view, VolumeId incarnation, long seq) {
    if (!view.volume().equals(incarnation)) {
      return CompletableFuture.failedStage(
          new Refusal(ErrorCode.NOT_FOUND, "volume '" + name + "' was deleted and created again"));
    }
    if (seq > view.headSeq()) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.BEYOND_HEAD,
              "volume '%s' has journaled %d writes, not %d".formatted(name, view.headSeq(), seq)));
    }
    // What lies before the horizon is no recovery point, and is read for as long as it is there.
    if (view.base().isPresent() && seq < view.base().get().lastSeq()) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.BEYOND_HORIZON,
              "volume '%s' keeps nothing before write %d, and %d was asked for"
                  .formatted(name, view.base().get().lastSeq(), seq)));
    }
    return points.openHead(
        asOf(view, seq),
        segments.apply(view.persistenceId()),
        () -> histories.apply(name).thenApply(renewed -> asOf(renewed, seq)));
  }

  /** The history as it was when that write was the newest. */
  private static HistoryView asOf(HistoryView view, long seq) {
    return new HistoryView(
        view.volume(),
        view.persistenceId(),
        view.sizeBytes(),
        view.epoch(),
        seq,
        view.headTimeMicros(),
        view.horizonSeq(),
        view.horizonTimeMicros(),
        view.dark(),
        view.frontier(),
        view.tailFromEventNr(),
        view.tailToEventNr(),
        view.layers(),
        view.keptSeqs(),
        view.createdMicros(),
        view.left());
  }
}
