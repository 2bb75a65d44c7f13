package io.tidemark.retention;

/**
 * A tag of a volume as retention sees it.
 *
 * @param name the tag's name, unique in the volume
 * @param seq the point that it names
 * @param timeMicros when it was taken
 * @param locked kept until unlocked, whatever its age
 */
public record KeptTag(String name, long seq, long timeMicros, boolean locked) {}
