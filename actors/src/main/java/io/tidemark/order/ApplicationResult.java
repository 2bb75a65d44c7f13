package io.tidemark.order;

/**
 * How a hook of an application went.
 *
 * @param application its name in the tap's settings
 * @param exitCode of the hook's process, -1 when there was none or it was killed
 * @param output the end of what it said, for people
 */
public record ApplicationResult(
    String application, boolean succeeded, int exitCode, int millis, String output) {}
