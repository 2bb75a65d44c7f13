package io.tidemark.volume;

import io.tidemark.fence.WriterFence;
import io.tidemark.index.IndexStore;
import io.tidemark.index.IndexWriter;
import io.tidemark.position.MicroClock;
import io.tidemark.retention.KeptTags;
import io.tidemark.segment.SegmentStore;
import io.tidemark.site.SiteEvent;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * What a volume entity works with; the same for all volumes of a node.
 *
 * @param site name of the site, shown in summaries
 * @param fence tells whether an entity is still the one that may write
 * @param histories reads events back
 * @param indexExecutor where index nodes are built; never an actor's thread
 * @param retentionExecutor where history is cut; not the one where nodes are built, which appends
 *     may have to wait for
 * @param clock stamps events
 * @param nodeIds index node ids that are never given twice, nor any of the thousand that follow
 *     one: a retried job must not write over what a late request of the failed one may still store
 * @param resting where a volume's summary stays when it leaves memory
 * @param events takes what administrators want to know of
 * @param keptTags is asked before the horizon moves
 */
public record VolumeParts(
    String site,
    VolumeSettings settings,
    SegmentStore store,
    IndexWriter indexWriter,
    IndexStore indexStore,
    WriterFence fence,
    VolumeHistories histories,
    Executor indexExecutor,
    Executor retentionExecutor,
    MicroClock clock,
    LongSupplier nodeIds,
    RestingVolumes resting,
    Consumer<SiteEvent> events,
    KeptTags keptTags) {

  /** Of a site without tags. */
  public VolumeParts(
      String site,
      VolumeSettings settings,
      SegmentStore store,
      IndexWriter indexWriter,
      IndexStore indexStore,
      WriterFence fence,
      VolumeHistories histories,
      Executor indexExecutor,
      Executor retentionExecutor,
      MicroClock clock,
      LongSupplier nodeIds,
      RestingVolumes resting,
      Consumer<SiteEvent> events) {
    this(
        site,
        settings,
        store,
        indexWriter,
        indexStore,
        fence,
        histories,
        indexExecutor,
        retentionExecutor,
        clock,
        nodeIds,
        resting,
        events,
        KeptTags.NONE);
  }
}
