package io.tidemark.group;

import java.util.List;

/**
 * A tag that somebody asks for.
 *
 * @param application whether applications are quiesced; else it is crash-consistent
 * @param applications which, empty for all that the taps' hosts have
 * @param notes for people, at most {@link #NOTES_MAX} characters
 * @param expiresMicros when it may be removed, 0 for never
 */
public record TagRequest(
    String name, boolean application, List<String> applications, String notes, long expiresMicros) {
  public static final int NOTES_MAX = 1_000;

  public TagRequest {
    applications = List.copyOf(applications);
  }
}
