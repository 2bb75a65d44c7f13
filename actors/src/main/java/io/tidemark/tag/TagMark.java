package io.tidemark.tag;

import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;

/**
 * A tag's point of one volume.
 *
 * @param id incarnation of the volume
 * @param session in which its tap attested the mark
 * @param gaps gaps of the volume when its tap was found
 * @param seq the newest write before the tag
 * @param timeMicros when the hold began, by the tap's clock
 * @param holdMicros how long replies were withheld
 */
public record TagMark(
    VolumeName volume,
    VolumeId id,
    int session,
    long gaps,
    long seq,
    long timeMicros,
    long holdMicros) {}
