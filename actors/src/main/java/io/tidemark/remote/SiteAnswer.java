package io.tidemark.remote;

import io.tidemark.serialization.TidemarkMessage;

/** What a site answers to a {@link SiteCommand} when it does not refuse it. */
public interface SiteAnswer extends TidemarkMessage {}
