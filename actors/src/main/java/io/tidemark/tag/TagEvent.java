package io.tidemark.tag;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.order.ApplicationResult;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;
import java.util.List;

/** What has happened to a tag. */
public sealed interface TagEvent extends TidemarkMessage {
  /** Somebody wants it; nothing was asked of any tap. */
  @JsonTypeName("tag-requested")
  record TagRequested(TagSpec spec) implements TagEvent {}

  /**
   * From now on applications may be stopped.
   *
   * @param owner by which they are thawed
   */
  @JsonTypeName("tag-quiescing")
  record TagQuiescing(long owner) implements TagEvent {}

  /**
   * From now on volumes may be held.
   *
   * @param owner by which they are released
   * @param results of quiescing
   */
  @JsonTypeName("tag-holding")
  record TagHolding(long owner, List<ApplicationResult> results) implements TagEvent {}

  /** Every hold was unbroken and is over. */
  @JsonTypeName("tag-marked")
  record TagMarked(List<TagMark> marks, long timeMicros) implements TagEvent {}

  /**
   * Every mark is journaled.
   *
   * @param results of thawing
   */
  @JsonTypeName("tag-committed")
  record TagCommitted(List<ApplicationResult> results, long timeMicros) implements TagEvent {}

  /** There will be no such tag; everything was told to go on. */
  @JsonTypeName("tag-failed")
  record TagFailed(ErrorCode code, String reason, List<ApplicationResult> results, long timeMicros)
      implements TagEvent {}

  /** It is kept until it is unlocked, or no longer is. */
  @JsonTypeName("tag-locked")
  record TagLocked(boolean locked) implements TagEvent {}

  /** It is forgotten; its name may be used again. */
  @JsonTypeName("tag-removed")
  record TagRemoved() implements TagEvent {}

  /** Another site's tag, with the points that its marks are here. */
  @JsonTypeName("tag-adopted")
  record TagAdopted(
      TagSpec spec, List<ApplicationResult> results, List<TagMark> marks, long timeMicros)
      implements TagEvent {}
}
