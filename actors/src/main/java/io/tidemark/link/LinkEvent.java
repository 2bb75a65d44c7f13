package io.tidemark.link;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;

/** What has happened to a link. */
public sealed interface LinkEvent extends TidemarkMessage {
  @JsonTypeName("link-created")
  record LinkCreated(LinkSpec spec, LinkRules rules, long timeMicros) implements LinkEvent {}

  @JsonTypeName("link-rules-set")
  record LinkRulesSet(LinkRules rules) implements LinkEvent {}

  @JsonTypeName("link-paused")
  record LinkPaused(long timeMicros) implements LinkEvent {}

  @JsonTypeName("link-resumed")
  record LinkResumed(long timeMicros) implements LinkEvent {}

  /**
   * The target holds everything up to {@code seq} (K1).
   *
   * @param micros its time, 0 when it is not known
   * @param eventNr the newest event of the source that the target certainly knows
   * @param rawBytes the source's data up to it
   * @param whole whether that is all there was: the target is synchronised
   */
  @JsonTypeName("lane-advanced")
  record LaneAdvanced(
      VolumeName volume, long seq, long micros, long eventNr, long rawBytes, boolean whole)
      implements LinkEvent {}

  /** Content is sent instead of history, until the target has all. */
  @JsonTypeName("lane-sync-began")
  record LaneSyncBegan(VolumeName volume, long timeMicros) implements LinkEvent {}

  /** The other site has all tags that were marked up to then, and some later ones. */
  @JsonTypeName("tags-shipped")
  record TagsShipped(long untilMicros) implements LinkEvent {}

  /** Only an order can help. */
  @JsonTypeName("lane-broken")
  record LaneBroken(VolumeName volume, ErrorCode code, String reason, long timeMicros)
      implements LinkEvent {}

  /** Source and target are to be compared; broken lanes are tried again. */
  @JsonTypeName("resync-ordered")
  record ResyncOrdered(long timeMicros) implements LinkEvent {}

  @JsonTypeName("link-deleted")
  record LinkDeleted(long timeMicros) implements LinkEvent {}
}
