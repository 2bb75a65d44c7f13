package io.tidemark.group;

import akka.actor.typed.RecipientRef;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.position.MicroClock;
import io.tidemark.site.SiteEvent;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.TagSettings;
import java.util.UUID;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * What groups work with; the same for all of a node.
 *
 * @param tags the entity of a group's tag
 * @param directory of all groups' names
 * @param events takes what administrators want to know of
 */
public record GroupParts(
    TagSettings settings,
    BiFunction<UUID, String, RecipientRef<ConsistencyTag.Command>> tags,
    Supplier<RecipientRef<GroupDirectory.Command>> directory,
    TagCatalog catalog,
    EventPurge purge,
    MicroClock clock,
    Consumer<SiteEvent> events) {}
