package io.tidemark.remote;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;
import java.util.List;
import java.util.Map;

/** What nodes ask each other about sites themselves. */
public sealed interface SiteQuery extends TidemarkMessage {

  /**
   * Answers {@link Description}; never refuses; repeating is safe. Who is asked learns of who asks.
   *
   * @param site of who asks
   * @param node {@code HOST:PORT} of who asks
   */
  @JsonTypeName("describe-site")
  record Describe(String site, String node) implements SiteQuery, SiteCommand<Description> {}

  /**
   * The node that answered.
   *
   * @param site its site
   * @param version of its software
   * @param clockMicros its clock when it answered, microseconds since 1970
   * @param startedMicros when it was started, by its own clock
   * @param clusterMicros when the first node of its cluster was started, as far as it knows
   * @param members {@code HOST:PORT#INCARNATION} of the members of its cluster; none before it
   *     joined one
   * @param addresses what listens where, by purpose, such as {@code tap-link}: {@code HOST:PORT}
   * @param incarnation of its process, by which one that was restarted differs from its predecessor
   */
  @JsonTypeName("site-description")
  record Description(
      String site,
      String version,
      long clockMicros,
      long startedMicros,
      long clusterMicros,
      List<String> members,
      Map<String, String> addresses,
      long incarnation)
      implements SiteQuery, SiteAnswer {
    public Description {
      members = members == null ? List.of() : List.copyOf(members);
      addresses = addresses == null ? Map.of() : Map.copyOf(addresses);
    }
  }

  /**
   * This node's site is to join the other sites anew: its process starts its part of the cluster
   * again. From a node of the same site; answers {@link Heeded}; repeating is safe.
   */
  @JsonTypeName("rejoin-sites")
  record RejoinSites(String reason) implements SiteQuery, SiteCommand<Heeded> {}

  /**
   * That site is gone for ever: its nodes are no members any more and are not looked for. Answers
   * {@link Heeded}; repeating is safe.
   */
  @JsonTypeName("forget-site")
  record ForgetSite(String site) implements SiteQuery, SiteCommand<Heeded> {}

  /** It is being done. */
  @JsonTypeName("site-heeded")
  record Heeded() implements SiteQuery, SiteAnswer {}
}
