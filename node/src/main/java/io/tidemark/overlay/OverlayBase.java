package io.tidemark.overlay;

import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;

/**
 * What an overlay lies over; stored with it, so that it is never read over anything else.
 *
 * @param sizeBytes the volume's size, from 1
 */
public record OverlayBase(VolumeId volume, WriteSeq seq, long sizeBytes) {}
