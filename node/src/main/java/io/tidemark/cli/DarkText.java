package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;

/** A dark interval in words. */
final class DarkText {
  private DarkText() {}

  static String of(JsonNode dark) {
    return "seq "
        + dark.path("fromSeq").asText()
        + (dark.path("toSeq").isNumber()
            ? " to " + dark.path("toSeq").asText()
            : " on, not over yet")
        + ", "
        + dark.path("fromTime").asText()
        + (dark.path("toTime").isTextual() ? " to " + dark.path("toTime").asText() : "")
        + ": "
        + dark.path("reason").asText();
  }
}
