package io.tidemark.serialization;

/**
 * Marks what {@link EventSerializer} serializes: messages between nodes, events and snapshots. Each
 * concrete class carries a {@code @JsonTypeName}.
 */
public interface TidemarkMessage {}
