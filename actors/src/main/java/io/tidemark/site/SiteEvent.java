package io.tidemark.site;

import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;

/**
 * Something an administrator wants to know of: a volume created, a tap attached or lost, a dark
 * interval begun or ended.
 *
 * @param type stable, kebab-case: {@code volume-created}, {@code tap-attached}, {@code
 *     tap-detached}, {@code gap-recorded}, {@code sync-completed}, {@code volume-deleted}
 * @param message one sentence
 */
public record SiteEvent(MicroTime time, String type, VolumeName volume, String message) {}
