package io.tidemark.tag;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.order.ApplicationResult;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.retention.KeptTag;
import io.tidemark.serialization.TidemarkMessage;
import java.util.List;
import java.util.Optional;

/**
 * A tag as it is now.
 *
 * @param state {@code Requested}, {@code Quiescing}, {@code Holding}, {@code Marked}, {@code
 *     Committed} or {@code Failed}
 * @param timeMicros when it was marked; when it was requested, before that
 * @param marks one for each volume once it is marked
 * @param applications how quiescing went, then how thawing went
 * @param code why it failed
 * @param reason the same in a sentence, empty unless it failed
 */
@JsonTypeName("tag-summary")
public record TagSummary(
    TagSpec spec,
    String state,
    long timeMicros,
    List<TagMark> marks,
    List<ApplicationResult> applications,
    Optional<ErrorCode> code,
    String reason,
    boolean locked)
    implements TidemarkMessage {

  public boolean committed() {
    return state.equals("Committed");
  }

  /** Whether its image is of consistent applications; else it is crash-consistent. */
  public boolean applicationConsistent() {
    return spec.application() && applications.stream().noneMatch(ApplicationResult::doubtful);
  }

  /** Longest hold of its volumes, in microseconds. */
  public long holdMicros() {
    return marks.stream().mapToLong(TagMark::holdMicros).max().orElse(0);
  }

  /**
   * It as a volume's retention sees it. The expiry of a tag that somebody asked for is a promise;
   * that of a schedule's says how long the tag is listed, and the volume's ladder how long its
   * point is kept.
   */
  public KeptTag kept(TagMark mark, boolean kept) {
    return new KeptTag(
        spec.group() + "/" + spec.name(),
        mark.seq(),
        mark.timeMicros(),
        kept,
        spec.schedule().isEmpty() ? spec.expiresMicros() : 0);
  }

  /** Its mark of that volume. */
  public Optional<TagMark> markOf(io.tidemark.position.VolumeName volume) {
    return marks.stream().filter(mark -> mark.volume().equals(volume)).findFirst();
  }
}
