package io.tidemark.tag;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.order.ApplicationResult;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.tag.TagEvent.TagAdopted;
import io.tidemark.tag.TagEvent.TagCommitted;
import io.tidemark.tag.TagEvent.TagFailed;
import io.tidemark.tag.TagEvent.TagHolding;
import io.tidemark.tag.TagEvent.TagLocked;
import io.tidemark.tag.TagEvent.TagMarked;
import io.tidemark.tag.TagEvent.TagQuiescing;
import io.tidemark.tag.TagEvent.TagRemoved;
import io.tidemark.tag.TagEvent.TagRequested;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A tag's state and its transitions: pure, immutable, without clock or chance. */
public sealed interface TagState extends TidemarkMessage {
  TagState EMPTY = new Absent();

  /** There is a tag. */
  sealed interface Known extends TagState {
    TagSpec spec();

    /** For whoever asks. */
    TagSummary summary();
  }

  /** Something may be under way. */
  sealed interface Running extends Known permits Requested, Quiescing, Holding, Marked {
    /** Results of quiescing. */
    default List<ApplicationResult> results() {
      return List.of();
    }

    @Override
    default TagSummary summary() {
      return new TagSummary(
          spec(),
          getClass().getSimpleName(),
          spec().requestedMicros(),
          List.of(),
          results(),
          Optional.empty(),
          "",
          false);
    }
  }

  /** Nothing will change it but locking and removal. */
  sealed interface Final extends Known permits Committed, Failed {}

  /** There is none of the name. */
  @JsonTypeName("tag-state-absent")
  record Absent() implements TagState {}

  /** The taps are being found. */
  @JsonTypeName("tag-state-requested")
  record Requested(TagSpec spec) implements Running {}

  /** Applications are being made consistent. */
  @JsonTypeName("tag-state-quiescing")
  record Quiescing(TagSpec spec, long owner) implements Running {}

  /** Volumes may be held. */
  @JsonTypeName("tag-state-holding")
  record Holding(TagSpec spec, long owner, List<ApplicationResult> results) implements Running {}

  /** No volume is held; the marks are being journaled. */
  @JsonTypeName("tag-state-marked")
  record Marked(
      TagSpec spec,
      long owner,
      List<ApplicationResult> results,
      List<TagMark> marks,
      long timeMicros)
      implements Running {
    @Override
    public TagSummary summary() {
      return new TagSummary(
          spec, "Marked", timeMicros, marks, results, Optional.empty(), "", false);
    }
  }

  /** A point of every volume. */
  @JsonTypeName("tag-state-committed")
  record Committed(
      TagSpec spec,
      List<ApplicationResult> results,
      List<TagMark> marks,
      long timeMicros,
      boolean locked)
      implements Final {
    @Override
    public TagSummary summary() {
      return new TagSummary(
          spec, "Committed", timeMicros, marks, results, Optional.empty(), "", locked);
    }
  }

  /** No point of anything. */
  @JsonTypeName("tag-state-failed")
  record Failed(TagSpec spec, ErrorCode code, String reason, List<ApplicationResult> results)
      implements Final {
    @Override
    public TagSummary summary() {
      return new TagSummary(
          spec,
          "Failed",
          spec.requestedMicros(),
          List.of(),
          results,
          Optional.of(code),
          reason,
          false);
    }
  }

  /** The state after {@code event}. */
  static TagState apply(TagState state, TagEvent event) {
    if (event instanceof TagRequested e) {
      return new Requested(e.spec());
    }
    if (event instanceof TagAdopted e) {
      return new Committed(e.spec(), e.results(), e.marks(), e.timeMicros(), false);
    }
    if (event instanceof TagRemoved) {
      return EMPTY;
    }
    if (state instanceof Running running) {
      return moved(running, event);
    }
    if (state instanceof Committed c && event instanceof TagLocked e) {
      return new Committed(c.spec(), c.results(), c.marks(), c.timeMicros(), e.locked());
    }
    throw new IllegalStateException(event + " happened to a tag that was " + state);
  }

  private static TagState moved(Running state, TagEvent event) {
    if (event instanceof TagQuiescing e) {
      return new Quiescing(state.spec(), e.owner());
    }
    if (event instanceof TagHolding e) {
      return new Holding(state.spec(), e.owner(), e.results());
    }
    if (event instanceof TagFailed e) {
      return new Failed(state.spec(), e.code(), e.reason(), with(state.results(), e.results()));
    }
    if (event instanceof TagMarked e && state instanceof Holding h) {
      return new Marked(h.spec(), h.owner(), h.results(), e.marks(), e.timeMicros());
    }
    if (event instanceof TagCommitted e && state instanceof Marked m) {
      return new Committed(
          m.spec(), with(m.results(), e.results()), m.marks(), m.timeMicros(), false);
    }
    throw new IllegalStateException("no transition for " + event + " from " + state);
  }

  private static List<ApplicationResult> with(
      List<ApplicationResult> some, List<ApplicationResult> more) {
    List<ApplicationResult> all = new ArrayList<>(some);
    all.addAll(more);
    return List.copyOf(all);
  }
}
