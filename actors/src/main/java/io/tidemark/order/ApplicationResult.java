package io.tidemark.order;

import com.fasterxml.jackson.annotation.JsonInclude;

/**
 * How a hook of an application went.
 *
 * @param application its name in the tap's settings
 * @param exitCode of the hook's process, -1 when there was none or it was killed
 * @param output the end of what it said, for people
 * @param doubtful of quiescing: it is not consistent; of thawing: it may have gone on before the
 *     order to thaw, so nobody can say that it was consistent until then
 * @param crashAllowed its policy: a tag for which it is doubtful is crash-consistent; else there is
 *     no such tag
 */
public record ApplicationResult(
    String application,
    boolean succeeded,
    int exitCode,
    int millis,
    String output,
    @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean doubtful,
    @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean crashAllowed) {

  /** Of an application without which there is no tag. */
  public ApplicationResult(
      String application, boolean succeeded, int exitCode, int millis, String output) {
    this(application, succeeded, exitCode, millis, output, !succeeded, false);
  }
}
