package io.tidemark.image;

import io.tidemark.group.Groups;
import io.tidemark.index.SegmentHistory;
import io.tidemark.point.PointReader;
import io.tidemark.point.Points;
import io.tidemark.position.At;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Retention;
import io.tidemark.site.Site;
import io.tidemark.tag.TagMark;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** Recovery points of the site's volumes: asks the volume for its history, then the index. */
public final class SitePoints implements VolumePoints {
  private final Site site;
  private final Retention retention;
  private final Points points;
  private final Groups groups;
  private final Function<String, SegmentHistory> histories;

  /**
   * @param retention takes what is held
   * @param groups know what a tag names
   * @param histories the segments of the volume with a persistence id
   */
  public SitePoints(
      Site site,
      Retention retention,
      Points points,
      Groups groups,
      Function<String, SegmentHistory> histories) {
    this.site = site;
    this.retention = retention;
    this.groups = groups;
    this.points = points;
    this.histories = histories;
  }

  @Override
  public CompletionStage<Located> locate(VolumeName volume, At at) {
    return at instanceof At.Tag tag
        ? groups.resolve(volume, tag.name()).thenCompose(mark -> locate(mark))
        : locate(volume, at, Optional.empty());
  }

  /** The point may lie before the horizon by now; that a mark is no hole was seen to. */
  private CompletionStage<Located> locate(TagMark mark) {
    At at = new At.Seq(new WriteSeq(mark.seq()));
    return locate(mark.volume(), at, Optional.of(mark.id()));
  }

  private CompletionStage<Located> locate(
      VolumeName volume, At at, Optional<VolumeId> incarnation) {
    return site.history(volume)
        .thenCompose(
            view ->
                incarnation.isPresent() && !incarnation.get().equals(view.volume())
                    ? CompletableFuture.failedStage(recreated(volume))
                    : points
                        .resolve(
                            view,
                            histories.apply(view.persistenceId()),
                            at,
                            () -> site.history(volume))
                        .thenApply(
                            point -> new Located(volume, view.volume(), view.sizeBytes(), point)));
  }

  @Override
  public CompletionStage<PointReader> open(Located located) {
    return site.history(located.name())
        .thenCompose(
            view ->
                view.volume().equals(located.volume())
                    ? points.open(
                        view,
                        histories.apply(view.persistenceId()),
                        located.point(),
                        () -> site.history(located.name()))
                    : CompletableFuture.failedStage(recreated(located.name())));
  }

  private static Refusal recreated(VolumeName volume) {
    return new Refusal(
        ErrorCode.NOT_FOUND,
        "the volume '"
            + volume
            + "' was deleted and created again; its earlier points are"
            + " gone");
  }

  @Override
  public CompletionStage<Void> hold(
      Located located, String holder, boolean onward, Duration lease) {
    return retention.hold(
        located.name(), located.volume(), holder, located.point().seq(), onward, lease);
  }

  @Override
  public CompletionStage<Void> release(VolumeName volume, String holder) {
    return retention.release(volume, holder);
  }
}
