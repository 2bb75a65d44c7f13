package io.tidemark.retention;

/**
 * A tag of a volume as retention sees it.
 *
 * @param name the tag's name, unique in the volume
 * @param seq the point that it names
 * @param timeMicros when it was taken
 * @param locked kept until unlocked, whatever its age
 * @param untilMicros kept until then, whatever its age, because who took it said so; 0 when nobody
 *     did and its age decides
 */
public record KeptTag(String name, long seq, long timeMicros, boolean locked, long untilMicros) {

  /** A tag that nobody gave an expiry. */
  public KeptTag(String name, long seq, long timeMicros, boolean locked) {
    this(name, seq, timeMicros, locked, 0);
  }
}
