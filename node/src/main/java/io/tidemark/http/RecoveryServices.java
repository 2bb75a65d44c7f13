package io.tidemark.http;

import io.tidemark.compare.Comparisons;

/** What serves recovery beside images and exports. */
public record RecoveryServices(Comparisons comparisons) {}
