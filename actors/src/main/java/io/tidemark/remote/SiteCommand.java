package io.tidemark.remote;

import io.tidemark.serialization.TidemarkMessage;

/**
 * What one site asks of another. The answer travels as a cluster message, so both are small: at
 * most {@link RemoteSites#MESSAGE_BYTES_MAX}. Each command says in its own words what it answers,
 * when it refuses and whether repeating it is safe.
 *
 * @param <A> the answer
 */
public interface SiteCommand<A extends SiteAnswer> extends TidemarkMessage {}
