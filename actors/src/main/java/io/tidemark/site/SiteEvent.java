package io.tidemark.site;

import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import java.util.Optional;

/**
 * Something an administrator wants to know of: a volume created, a tap attached or lost, a dark
 * interval begun or ended.
 *
 * @param type stable, kebab-case: {@code volume-created}, {@code tap-attached}, {@code
 *     tap-detached}, {@code gap-recorded}, {@code sync-completed}, {@code volume-deleted}, {@code
 *     group-created}, {@code group-deleted}, {@code tag-committed}, {@code tag-failed}, {@code
 *     tag-locked}, {@code tag-unlocked}, {@code site-found}, {@code site-lost}, {@code
 *     clock-offset}, {@code link-created}, {@code link-deleted}, {@code link-broken}, {@code
 *     rpo-missed}, {@code rpo-met}, {@code replica-created}, {@code volume-demoted}, {@code
 *     volume-promoted}, {@code history-forked}
 * @param volume that it is about, if it is one
 * @param group that it is about, if it is one
 * @param message one sentence
 */
public record SiteEvent(
    MicroTime time,
    String type,
    Optional<VolumeName> volume,
    Optional<String> group,
    String message) {

  /** Something about a volume. */
  public SiteEvent(MicroTime time, String type, VolumeName volume, String message) {
    this(time, type, Optional.of(volume), Optional.empty(), message);
  }
}
