package io.tidemark.journal;

import akka.actor.typed.RecipientRef;
import io.tidemark.point.Points;
import io.tidemark.position.VolumeName;
import io.tidemark.segment.SegmentStore;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeHistories;
import java.util.concurrent.Executor;
import java.util.function.Function;

/**
 * What tap sessions work with; the same for all of a node.
 *
 * @param volumes the entity of a volume, wherever it lives
 * @param points opens what hashes are computed of
 * @param workers where hashes are computed; never an actor's thread
 */
public record JournalParts(
    JournalSettings settings,
    Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
    SegmentStore store,
    Points points,
    VolumeHistories histories,
    Executor workers) {}
