package io.tidemark.nbd.connection;

import io.tidemark.nbd.NbdExports;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.slab.MemoryBudget;
import io.tidemark.nbd.slab.SlabPool;
import java.util.concurrent.Executor;

/** What all connections of a server have in common. */
public record Shared(
    NbdExports exports,
    NbdServerSettings settings,
    SlabPool pool,
    MemoryBudget budget,
    Executor workers) {}
