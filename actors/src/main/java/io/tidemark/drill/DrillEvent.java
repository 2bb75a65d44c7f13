package io.tidemark.drill;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;

/** What has happened to a site's drills. */
public sealed interface DrillEvent extends TidemarkMessage {
  @JsonTypeName("drill-created")
  record DrillCreated(DrillSpec spec, long micros) implements DrillEvent {}

  /** Its results go with it; what it has proven stays. */
  @JsonTypeName("drill-deleted")
  record DrillDeleted(String name) implements DrillEvent {}

  /**
   * A node runs it.
   *
   * @param untilMicros when the run counts as given up
   */
  @JsonTypeName("drill-run-began")
  record DrillRunBegan(String name, String run, String node, long micros, long untilMicros)
      implements DrillEvent {}

  @JsonTypeName("drill-run-ended")
  record DrillRunEnded(String name, DrillResult result) implements DrillEvent {}
}
