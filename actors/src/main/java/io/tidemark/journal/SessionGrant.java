package io.tidemark.journal;

import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;

/**
 * What a tap learns when it is let in.
 *
 * @param volume the incarnation; a tap whose activity log names another has everything to resync
 * @param sizeBytes the volume's size; the tap must not serve past it
 * @param epoch the epoch in which it may append
 * @param session number of this session, unique in the volume
 * @param head newest journaled seq; the tap goes on at {@code head + 1}
 * @param headTime its timestamp; later writes must not be earlier
 * @param syncOpen whether a resynchronisation was begun and never completed: everything that it had
 *     to compare must be compared again
 * @param synchronous whether the tap must reply to its clients only once a write is journaled
 * @param sinceSession the first of the sessions that were all this tap's up to this one: no other
 *     tap was let in meanwhile, and no epoch began; 0 when it is not known
 * @param ownSession the same, whatever epochs began meanwhile: from that session on nobody but this
 *     tap wrote the history, and none of it was taken back; 0 when it is not known, {@link
 *     #OLDER_NODE} when the node tells neither that nor content
 * @param leased whether the tap may acknowledge writes only while it has a lease
 */
public record SessionGrant(
    VolumeId volume,
    long sizeBytes,
    Epoch epoch,
    int session,
    WriteSeq head,
    MicroTime headTime,
    boolean syncOpen,
    boolean synchronous,
    int sinceSession,
    int ownSession,
    boolean leased) {
  /** The node's version of the link has no {@code ownSession} and no content. */
  public static final int OLDER_NODE = -1;
}
