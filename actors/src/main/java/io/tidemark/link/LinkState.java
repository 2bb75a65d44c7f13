package io.tidemark.link;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.link.LinkEvent.LaneAdvanced;
import io.tidemark.link.LinkEvent.LaneBroken;
import io.tidemark.link.LinkEvent.LaneSyncBegan;
import io.tidemark.link.LinkEvent.LinkCreated;
import io.tidemark.link.LinkEvent.LinkDeleted;
import io.tidemark.link.LinkEvent.LinkPaused;
import io.tidemark.link.LinkEvent.LinkResumed;
import io.tidemark.link.LinkEvent.LinkRulesSet;
import io.tidemark.link.LinkEvent.ResyncOrdered;
import io.tidemark.link.LinkEvent.TagsShipped;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.serialization.TidemarkMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** A link's state and its transitions: pure, immutable, without clock or chance. */
public sealed interface LinkState extends TidemarkMessage {
  LinkState EMPTY = new Absent();

  /** There is no link of the name, or no more. */
  @JsonTypeName("link-state-absent")
  record Absent() implements LinkState {}

  /** It is to run. */
  @JsonTypeName("link-state-active")
  record Active(Body body) implements Live {}

  /** It is not to run. */
  @JsonTypeName("link-state-paused")
  record Paused(Body body) implements Live {}

  /** There is a link. */
  sealed interface Live extends LinkState permits Active, Paused {
    Body body();
  }

  /**
   * What a link knows in every state.
   *
   * @param tagsUntilMicros up to which time the other site has all tags
   */
  record Body(
      LinkSpec spec, LinkRules rules, List<Lane> lanes, long createdMicros, long tagsUntilMicros) {
    Body with(LinkRules newRules) {
      return new Body(spec, newRules, lanes, createdMicros, tagsUntilMicros);
    }

    Body withTags(long untilMicros) {
      return new Body(spec, rules, lanes, createdMicros, untilMicros);
    }

    Body with(VolumeName volume, UnaryOperator<Lane> change) {
      List<Lane> changed = new ArrayList<>(lanes);
      changed.replaceAll(lane -> lane.volume().equals(volume) ? change.apply(lane) : lane);
      return new Body(spec, rules, List.copyOf(changed), createdMicros, tagsUntilMicros);
    }

    Body withAll(UnaryOperator<Lane> change) {
      return new Body(
          spec, rules, lanes.stream().map(change).toList(), createdMicros, tagsUntilMicros);
    }

    Optional<Lane> lane(VolumeName volume) {
      return lanes.stream().filter(lane -> lane.volume().equals(volume)).findFirst();
    }
  }

  /**
   * One volume's way.
   *
   * @param synchronised whether the target ever held all there was
   * @param resync whether source and target are still to be compared
   * @param broken why only an order can help; empty otherwise
   */
  record Lane(
      VolumeName volume,
      long ackedSeq,
      long ackedMicros,
      long ackedEventNr,
      long ackedRawBytes,
      boolean synchronised,
      boolean resync,
      Optional<Fault> broken) {
    static Lane of(VolumeName volume) {
      return new Lane(volume, 0, 0, 0, 0, false, false, Optional.empty());
    }

    Lane advanced(LaneAdvanced e) {
      return new Lane(
          volume,
          e.seq(),
          e.micros(),
          e.eventNr(),
          e.rawBytes(),
          synchronised || e.whole(),
          resync && !e.whole(),
          broken);
    }

    Lane toResync() {
      return new Lane(
          volume,
          ackedSeq,
          ackedMicros,
          ackedEventNr,
          ackedRawBytes,
          synchronised,
          true,
          Optional.empty());
    }

    Lane withFault(Optional<Fault> fault) {
      return new Lane(
          volume, ackedSeq, ackedMicros, ackedEventNr, ackedRawBytes, synchronised, resync, fault);
    }
  }

  /** Why a lane is broken. */
  record Fault(ErrorCode code, String reason, long sinceMicros) {}

  /** Why the link, whose name is taken, cannot be created like that. */
  static Optional<Refusal> refuseCreate(Live state, LinkSpec spec) {
    LinkSpec there = state.body().spec();
    return there.same(spec)
        ? Optional.empty()
        : Optional.of(
            new Refusal(
                ErrorCode.ALREADY_EXISTS,
                "a link '%s' exists, to site '%s' with %d volumes; delete it or use another name"
                    .formatted(there.name(), there.toSite(), there.volumes().size())));
  }

  /** The state after {@code event}. */
  static LinkState apply(LinkState state, LinkEvent event) {
    if (event instanceof LinkCreated e) {
      List<Lane> lanes = e.spec().volumes().stream().map(Lane::of).toList();
      return new Active(new Body(e.spec(), e.rules(), lanes, e.timeMicros(), 0));
    }
    if (!(state instanceof Live live)) {
      throw new IllegalStateException(event + " happened to a link that does not exist");
    }
    if (event instanceof LinkDeleted) {
      return EMPTY;
    }
    if (event instanceof LinkPaused) {
      return new Paused(live.body());
    }
    if (event instanceof LinkResumed) {
      return new Active(live.body().withAll(lane -> lane.withFault(Optional.empty())));
    }
    Body changed = changed(live.body(), event);
    return live instanceof Paused ? new Paused(changed) : new Active(changed);
  }

  private static Body changed(Body body, LinkEvent event) {
    if (event instanceof LinkRulesSet e) {
      return body.with(e.rules());
    }
    if (event instanceof TagsShipped e) {
      return body.withTags(e.untilMicros());
    }
    if (event instanceof LaneAdvanced e) {
      return body.with(e.volume(), lane -> lane.advanced(e));
    }
    if (event instanceof LaneSyncBegan e) {
      return body.with(e.volume(), Lane::toResync);
    }
    if (event instanceof LaneBroken e) {
      Fault fault = new Fault(e.code(), e.reason(), e.timeMicros());
      return body.with(e.volume(), lane -> lane.withFault(Optional.of(fault)));
    }
    if (event instanceof ResyncOrdered) {
      return body.withAll(Lane::toResync);
    }
    throw new IllegalStateException("no transition for " + event);
  }
}
