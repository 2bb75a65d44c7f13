package io.tidemark.link;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.group.Groups;
import io.tidemark.remote.RemoteSites;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import io.tidemark.tag.TagSummary;

/**
 * What a site asks of another one's groups; may be repeated, and refuses as {@link Groups} does.
 */
public sealed interface TagCommand extends SiteCommand<TagCommand.Adopted> {

  /** The other site has the tag. */
  @JsonTypeName("remote-tag-adopted")
  record Adopted(String name) implements SiteAnswer {}

  /** A committed tag, for the replicas there. */
  @JsonTypeName("remote-adopt-tag")
  record Adopt(TagSummary tag) implements TagCommand {}

  /** Carries these commands out at this node, whichever site asks. */
  static void serve(RemoteSites sites, Groups groups) {
    sites.serve(
        Adopt.class, c -> groups.adopt(c.tag()).thenApply(tag -> new Adopted(tag.spec().name())));
  }
}
