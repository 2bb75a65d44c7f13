package io.tidemark.http;

import io.tidemark.compare.Comparisons;
import io.tidemark.drillrun.Drills;
import io.tidemark.rollback.Rollbacks;

/** What serves recovery beside images and exports. */
public record RecoveryServices(Comparisons comparisons, Rollbacks rollbacks, Drills drills) {}
