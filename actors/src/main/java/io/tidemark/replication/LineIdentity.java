package io.tidemark.replication;

import io.tidemark.position.VolumeName;
import java.util.UUID;

/**
 * Who a link is to the other site.
 *
 * @param link its id, in the place of a tap's: a replica lets in no other
 * @param volume as it is called there
 * @param sizeBytes of the volume
 * @param origin in words, for the other site's administrators
 */
public record LineIdentity(UUID link, VolumeName volume, long sizeBytes, String origin) {}
