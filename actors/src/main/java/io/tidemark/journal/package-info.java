/**
 * Journaling: what stands between a tap link and a volume actor. A session stores segments in the
 * segment store, several in flight, and has the volume actor journal their metadata in order.
 */
package io.tidemark.journal;
