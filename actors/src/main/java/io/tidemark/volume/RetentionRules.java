package io.tidemark.volume;

import io.tidemark.index.NodeHeader;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.volume.Ledger.Mark;
import io.tidemark.volume.Retained.Pin;
import io.tidemark.volume.VolumeEvent.PinsEnded;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** What retention does next, decided from a volume's state and the time. Pure. */
final class RetentionRules {
  /** A base is renewed at least so often while the horizon moves through a window. */
  private static final int BASES_PER_WINDOW = 16;

  /** It is renewed, too, when so many times the extents since then are as many as it has. */
  private static final int EXTENTS_SHARE = 4;

  /** While the cap is exceeded, this part of the remaining history is given up at a time. */
  private static final int CAP_SHARE = 8;

  private RetentionRules() {}

  /** Whether there is, or may soon be, anything to do. */
  static boolean active(Ledger ledger) {
    Retained retained = ledger.retained();
    return retained.policy().limited()
        || !retained.freed().isEmpty()
        || !retained.pins().isEmpty()
        || retained.running().isPresent();
  }

  /** Pins that were not renewed and tags that the ladder thins out. */
  static Optional<PinsEnded> lapsed(Ledger ledger, long nowMicros) {
    Retained retained = ledger.retained();
    List<String> pins =
        retained.pins().stream()
            .filter(pin -> pin.untilMicros() < nowMicros)
            .map(Pin::holder)
            .toList();
    List<KeptTag> kept = retained.policy().thinned(retained.tags(), nowMicros);
    List<String> tags =
        retained.tags().stream().filter(tag -> !kept.contains(tag)).map(KeptTag::name).toList();
    return pins.isEmpty() && tags.isEmpty()
        ? Optional.empty()
        : Optional.of(new PinsEnded(pins, tags, false, "their time is over"));
  }

  static boolean overCap(Ledger ledger) {
    RetentionPolicy policy = ledger.retained().policy();
    long cap = policy.capBytes() > 0 ? policy.capBytes() : policy.hardCapBytes();
    return cap > 0 && ledger.storedBytes() > cap;
  }

  static boolean overHardCap(Ledger ledger) {
    long cap = ledger.retained().policy().hardCapBytes();
    return cap > 0 && ledger.storedBytes() > cap;
  }

  /** The oldest point that is held and makes the journal exceed its hard cap (J8). */
  static Optional<PinsEnded> loser(Ledger ledger) {
    if (!overHardCap(ledger)) {
      return Optional.empty();
    }
    long horizon = ledger.horizon().seq();
    Retained retained = ledger.retained();
    Optional<Pin> pin =
        retained.pins().stream()
            .filter(p -> p.onward() || p.seq() < horizon)
            .min(Comparator.comparingLong(Pin::seq));
    Optional<KeptTag> tag =
        retained.tags().stream()
            .filter(t -> t.seq() < horizon)
            .min(Comparator.comparingLong(KeptTag::seq));
    String reason = "the journal exceeds its hard cap of " + retained.policy().hardCapBytes();
    if (tag.isPresent() && (pin.isEmpty() || tag.get().seq() <= pin.get().seq())) {
      return Optional.of(new PinsEnded(List.of(), List.of(tag.get().name()), true, reason));
    }
    return pin.map(p -> new PinsEnded(List.of(p.holder()), List.of(), true, reason));
  }

  /** Nodes of the index that the horizon may pass as of now. */
  static Predicate<NodeHeader> passable(Ledger ledger, long nowMicros) {
    RetentionPolicy policy = ledger.retained().policy();
    long cutoff = policy.windowMicros() > 0 ? nowMicros - policy.windowMicros() : Long.MIN_VALUE;
    long limit = ledger.retained().limitSeq();
    long horizon = ledger.horizon().seq();
    long target =
        overCap(ledger) ? horizon + Math.max(1, (ledger.head().seq() - horizon) / CAP_SHARE) : -1;
    return node ->
        node.lastSeq() <= limit
            && (node.lastTimeMicros() <= cutoff
                || node.lastSeq() <= target
                || node.level() == 1 && node.firstSeq() <= target);
  }

  /** Whether a new base is worth its cost. */
  static boolean compactionDue(Ledger ledger) {
    Retained retained = ledger.retained();
    if (retained.freed().size() >= Retained.FREED_MAX) {
      return false;
    }
    Mark horizon = ledger.horizon();
    List<NodeHeader> frontier = ledger.index().frontier();
    Optional<NodeHeader> base =
        frontier.isEmpty() || !frontier.get(0).base()
            ? Optional.empty()
            : Optional.of(frontier.get(0));
    if (base.isPresent() && retained.hasIdleLayers(horizon.seq())) {
      return true;
    }
    if (horizon.seq() <= base.map(NodeHeader::lastSeq).orElse(0L)) {
      return false;
    }
    long extents = 0;
    for (NodeHeader node : frontier) {
      if (!node.base() && node.firstSeq() <= horizon.seq()) {
        double share =
            Math.min(
                1,
                (horizon.seq() - node.firstSeq() + 1.0) / (node.lastSeq() - node.firstSeq() + 1));
        extents += (long) (node.extents() * share);
      }
    }
    long window = retained.policy().windowMicros();
    return base.isEmpty()
        || overCap(ledger)
        || extents * EXTENTS_SHARE >= base.get().extents()
        || window > 0
            && horizon.timeMicros() - base.get().lastTimeMicros() >= window / BASES_PER_WINDOW;
  }

  /** Why a point cannot be pinned. */
  static Optional<Refusal> refusePin(Ledger ledger, String holder, long seq, boolean onward) {
    Retained retained = ledger.retained();
    if (retained.pinOf(holder).isEmpty() && retained.pins().size() >= Retained.PINS_MAX) {
      return Optional.of(
          new Refusal(
              ErrorCode.LIMIT,
              "%d points of the volume are held already; close images first"
                  .formatted(Retained.PINS_MAX)));
    }
    if (seq > ledger.head().seq()) {
      return Optional.of(new Refusal(ErrorCode.BEYOND_HEAD, "seq:" + seq + " is not written yet"));
    }
    boolean there =
        seq >= ledger.horizon().seq()
            || !onward && retained.keptSeqs(ledger.horizon().seq()).contains(seq);
    return there ? Optional.empty() : Optional.of(beyondHorizon(ledger, seq));
  }

  private static Refusal beyondHorizon(Ledger ledger, long seq) {
    return new Refusal(
        ErrorCode.BEYOND_HORIZON,
        "seq:%d is older than the horizon: the nearest point is seq:%d"
            .formatted(seq, ledger.horizon().seq()));
  }

  /** Why a tag cannot be kept. */
  static Optional<Refusal> refuseTag(Ledger ledger, KeptTag tag) {
    if (keepable(ledger, List.of(tag)).isEmpty()) {
      return Optional.of(beyondHorizon(ledger, tag.seq()));
    }
    return with(ledger, tag).size() <= Retained.TAGS_MAX
        ? Optional.empty()
        : Optional.of(
            new Refusal(
                ErrorCode.LIMIT,
                "%d tags of the volume are kept already; unlock some first"
                    .formatted(Retained.TAGS_MAX)));
  }

  /**
   * The kept tags once one was locked or unlocked. One that is unlocked inside the continuous
   * history is found there again when the horizon reaches it.
   */
  static List<KeptTag> with(Ledger ledger, KeptTag tag) {
    List<KeptTag> tags = new ArrayList<>(ledger.retained().tags());
    boolean known = tags.removeIf(other -> other.name().equals(tag.name()));
    if (tag.locked() || known && tag.seq() < ledger.horizon().seq()) {
      tags.add(tag);
    }
    return oldestFirst(tags);
  }

  /**
   * The tags that are kept, oldest first: what the ladder leaves of those whose points are still
   * there, and of too many the locked ones and the newest.
   */
  static List<KeptTag> kept(Ledger ledger, List<KeptTag> tags, long nowMicros) {
    List<KeptTag> thinned = new ArrayList<>(wanted(ledger, tags, nowMicros));
    thinned.sort(Comparator.comparing(KeptTag::locked).thenComparing(KeptTag::timeMicros));
    List<KeptTag> kept =
        new ArrayList<>(
            thinned.subList(Math.max(0, thinned.size() - Retained.TAGS_MAX), thinned.size()));
    return oldestFirst(kept);
  }

  /** How many tags are to be kept by the policy and are too many. */
  static int tooMany(Ledger ledger, List<KeptTag> tags, long nowMicros) {
    return Math.max(0, wanted(ledger, tags, nowMicros).size() - Retained.TAGS_MAX);
  }

  private static List<KeptTag> wanted(Ledger ledger, List<KeptTag> tags, long nowMicros) {
    return ledger.retained().policy().thinned(keepable(ledger, tags), nowMicros);
  }

  private static List<KeptTag> oldestFirst(List<KeptTag> tags) {
    return tags.stream()
        .sorted(Comparator.comparing(KeptTag::timeMicros).thenComparing(KeptTag::name))
        .toList();
  }

  /** The tags whose points are still there. */
  private static List<KeptTag> keepable(Ledger ledger, List<KeptTag> tags) {
    long horizon = ledger.horizon().seq();
    List<Long> kept = ledger.retained().keptSeqs(horizon);
    return tags.stream()
        .filter(tag -> tag.seq() <= ledger.head().seq())
        .filter(tag -> tag.seq() >= horizon || kept.contains(tag.seq()))
        .toList();
  }
}
