package io.tidemark.group;

import java.util.concurrent.CompletionStage;

/** Frees what the event journal keeps of an entity that is gone. */
@FunctionalInterface
public interface EventPurge {
  /** The entity must have stopped; another of the same id begins anew. */
  CompletionStage<Void> purge(String persistenceId);
}
