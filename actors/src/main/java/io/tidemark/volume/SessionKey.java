package io.tidemark.volume;

import io.tidemark.position.VolumeId;

/**
 * What gives a session the right to append (J6, V2).
 *
 * @param volume the incarnation
 * @param session number of the session
 * @param epoch the epoch in which it was let in
 */
public record SessionKey(VolumeId volume, int session, long epoch) {}
