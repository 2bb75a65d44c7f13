package io.tidemark.site;

import akka.NotUsed;
import akka.stream.javadsl.Source;
import io.tidemark.order.TapOrder;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * The site's volumes, the same from every node. Stages fail with {@code Refusal}; one that had no
 * answer in time fails with {@code NOT_ACKNOWLEDGED}.
 */
public interface Site {
  /** {@code ALREADY_EXISTS} when the name is taken with other settings; repeating is safe. */
  CompletionStage<VolumeSummary> createVolume(VolumeName name, long sizeBytes, boolean synchronous);

  /** In name order. Volumes that left memory are not brought back for it. */
  CompletionStage<List<VolumeSummary>> volumes();

  CompletionStage<VolumeSummary> volume(VolumeName name);

  /** Ends the tap's session, forgets the history and frees its storage. */
  CompletionStage<Void> deleteVolume(VolumeName name);

  /** What a reader of the volume's past needs; one consistent moment. */
  CompletionStage<HistoryView> history(VolumeName name);

  /**
   * Has the volume's tap carry an order out, wherever its link ends. Safe to repeat with the same
   * id.
   *
   * @return the body of its answer; fails with the tap's refusal, with {@code NOT_ACKNOWLEDGED}
   *     when no tap is attached, its link ends or nothing is heard until a second after the
   *     deadline, {@code INVALID} when the tap is too old for orders
   */
  CompletionStage<byte[]> order(VolumeName name, TapOrder order);

  /** What happens in the site from now on. */
  Source<SiteEvent, NotUsed> events();
}
