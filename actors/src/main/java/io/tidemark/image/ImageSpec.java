package io.tidemark.image;

import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;

/**
 * What an image is, from its opening to its end.
 *
 * @param name also its NBD export name
 * @param volumeId the incarnation that the point belongs to
 * @param sizeBytes the volume's size
 * @param node the name of the node that serves it and has its overlay
 * @param opened when it was asked for
 */
public record ImageSpec(
    String name,
    VolumeName volume,
    VolumeId volumeId,
    long sizeBytes,
    RecoveryPoint point,
    boolean writable,
    String node,
    MicroTime opened) {

  public VolumePoints.Located located() {
    return new VolumePoints.Located(volume, volumeId, sizeBytes, point);
  }
}
