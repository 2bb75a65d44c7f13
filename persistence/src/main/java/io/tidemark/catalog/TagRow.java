package io.tidemark.catalog;

import java.util.Arrays;
import java.util.UUID;

/**
 * A tag as the catalog keeps it.
 *
 * @param group incarnation of the group
 * @param timeMicros when it was taken; with the name its key
 * @param expiresMicros 0 for never
 * @param body what the tag's owner wants to read back; not to be changed
 */
public record TagRow(UUID group, long timeMicros, String name, long expiresMicros, byte[] body) {
  @Override
  public boolean equals(Object other) {
    return other instanceof TagRow that
        && group.equals(that.group)
        && timeMicros == that.timeMicros
        && name.equals(that.name)
        && expiresMicros == that.expiresMicros
        && Arrays.equals(body, that.body);
  }

  @Override
  public int hashCode() {
    return name.hashCode();
  }

  @Override
  public String toString() {
    return "TagRow[%s at %d]".formatted(name, timeMicros);
  }
}
