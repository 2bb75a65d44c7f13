package io.tidemark.site;

import com.datastax.oss.driver.api.core.CqlSession;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.fence.WriterFence;
import io.tidemark.index.IndexStore;
import io.tidemark.index.IndexWriter;
import io.tidemark.point.Points;
import io.tidemark.position.MicroClock;
import io.tidemark.segment.SegmentStore;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/**
 * What a site's entities stand on.
 *
 * @param journalSession opens a Cassandra session for the event journal, which closes it; empty
 *     when {@code tidemark.akka} names a journal that is not Cassandra's
 */
public record SiteParts(
    SegmentStore store,
    IndexWriter indexWriter,
    IndexStore indexStore,
    WriterFence fence,
    Points points,
    TagCatalog tags,
    MicroClock clock,
    Optional<Supplier<CompletionStage<CqlSession>>> journalSession) {}
