package io.tidemark.image;

import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import java.util.Optional;

/**
 * What is known of an image now.
 *
 * @param name also its NBD export name
 * @param uri where clients find it, such as {@code nbd://127.0.0.1:10809/vol-seq7}
 * @param at the recovery point it shows
 * @param state {@code Opening}, {@code Serving}, {@code Closing}; {@code Unreachable} while the
 *     node that serves it is away or has not yet taken it up again after a restart
 * @param node the node that serves it
 * @param opened when it was asked for
 * @param openMillis from the request to ready, in milliseconds
 * @param overlayBytes data written by clients, 0 for a read-only image
 * @param clients connections now
 * @param failedReads reads that ended in EIO since the node started
 * @param problem the newest reason for an EIO, in words
 */
public record ImageSummary(
    String name,
    VolumeName volume,
    String uri,
    RecoveryPoint at,
    long sizeBytes,
    boolean writable,
    String state,
    String node,
    MicroTime opened,
    long openMillis,
    long overlayBytes,
    int clients,
    long failedReads,
    Optional<String> problem) {}
