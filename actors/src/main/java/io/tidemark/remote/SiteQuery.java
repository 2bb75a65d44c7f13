package io.tidemark.remote;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;
import java.util.List;
import java.util.Map;

/** What every node tells of itself. */
public sealed interface SiteQuery extends TidemarkMessage {

  /** Answers {@link Description}; never refuses; repeating is safe. */
  @JsonTypeName("describe-site")
  record Describe() implements SiteQuery, SiteCommand<Description> {}

  /**
   * The node that answered.
   *
   * @param site its site
   * @param version of its software
   * @param clockMicros its clock when it answered, microseconds since 1970
   * @param startedMicros when it was started, by its own clock
   * @param clusterMicros when the first node of its cluster was started, as far as it knows
   * @param members {@code HOST:PORT} of the members of its cluster; none before it joined one
   * @param addresses what listens where, by purpose, such as {@code tap-link}: {@code HOST:PORT}
   */
  @JsonTypeName("site-description")
  record Description(
      String site,
      String version,
      long clockMicros,
      long startedMicros,
      long clusterMicros,
      List<String> members,
      Map<String, String> addresses)
      implements SiteQuery, SiteAnswer {
    public Description {
      members = members == null ? List.of() : List.copyOf(members);
      addresses = addresses == null ? Map.of() : Map.copyOf(addresses);
    }
  }
}
