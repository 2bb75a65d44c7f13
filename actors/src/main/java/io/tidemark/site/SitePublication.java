package io.tidemark.site;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;

/** A site event on its way to all nodes. */
@JsonTypeName("site-publication")
record SitePublication(SiteEvent event) implements TidemarkMessage {}
