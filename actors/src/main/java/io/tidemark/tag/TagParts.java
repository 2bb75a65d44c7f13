package io.tidemark.tag;

import akka.actor.typed.RecipientRef;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.volume.VolumeEntity;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * What tags work with; the same for all of a node.
 *
 * @param volumes the entity of a volume, wherever it lives
 * @param bytes a summary as the catalog keeps it
 * @param ids never the same twice
 */
public record TagParts(
    TagSettings settings,
    Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
    TagCatalog catalog,
    Function<TagSummary, byte[]> bytes,
    LongSupplier ids,
    HoldTimes holds,
    MicroClock clock) {}
