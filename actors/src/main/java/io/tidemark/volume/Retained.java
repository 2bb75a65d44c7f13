package io.tidemark.volume;

import io.tidemark.index.NodeHeader;
import io.tidemark.index.RunTable;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeName;
import io.tidemark.retention.Compaction;
import io.tidemark.retention.Compaction.RunRange;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.site.RetentionSummary;
import io.tidemark.volume.VolumeEvent.HistoryCompacted;
import io.tidemark.volume.VolumeEvent.PinsEnded;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.LongStream;

/**
 * What a volume knows of its retention: pure, small whatever the history (V6).
 *
 * @param policy what is to be kept
 * @param layers what the history up to the base is kept as, oldest first
 * @param runs the table of runs up to the base
 * @param attempts number of the next compaction
 * @param running the compaction that runs or was broken off
 * @param pins points that somebody reads, at most {@link #PINS_MAX}
 * @param tags tags that outlive the window, at most {@link #TAGS_MAX}
 * @param freed what remains to be deleted, oldest first
 * @param volume sums of what was freed and copied
 */
public record Retained(
    RetentionPolicy policy,
    List<NodeHeader> layers,
    RunTable.Ref runs,
    int attempts,
    Optional<Running> running,
    List<Pin> pins,
    List<KeptTag> tags,
    List<Freed> freed,
    Sums volume) {

  public static final int PINS_MAX = 256;
  public static final int TAGS_MAX = 512;

  /** More waits to be deleted than this: no further compaction begins. */
  static final int FREED_MAX = 8;

  static final Retained ALL =
      new Retained(
          RetentionPolicy.ALL,
          List.of(),
          RunTable.Ref.NONE,
          0,
          Optional.empty(),
          List.of(),
          List.of(),
          List.of(),
          new Sums(RunTable.Size.NONE, RunTable.Size.NONE, 0, 0));

  /**
   * What somebody reads and retention leaves (J8).
   *
   * @param holder who, for instance {@code image:NAME}; one pin a holder
   * @param onward whether all points from {@code seq} on are held, not only that one
   * @param untilMicros when it lapses unless it is renewed
   */
  public record Pin(String holder, long seq, boolean onward, long untilMicros) {}

  /**
   * A compaction that began.
   *
   * @param attempt its number
   * @param firstNode the first of {@code nodes} ids of index nodes that it may have stored
   */
  public record Running(int attempt, long firstNode, int nodes) {
    List<Long> nodeIds() {
      return LongStream.range(firstNode, firstNode + nodes).boxed().toList();
    }
  }

  /**
   * What one compaction gave up.
   *
   * @param timeMicros when
   */
  public record Freed(
      List<RunRange> runs, List<NodeHeader> trees, List<Long> nodes, long timeMicros) {}

  /**
   * Sums over all compactions.
   *
   * @param freed data of freed runs
   * @param copied data that was copied
   * @param segments segments that are no longer in the history
   * @param lostHolds pins and kept tags that the hard cap has ended
   */
  public record Sums(RunTable.Size freed, RunTable.Size copied, long segments, long lostHolds) {}

  /** Points before {@code horizonSeq} that are kept, ascending. */
  List<Long> keptSeqs(long horizonSeq) {
    TreeSet<Long> seqs = new TreeSet<>();
    pins.stream().filter(pin -> !pin.onward()).forEach(pin -> seqs.add(pin.seq()));
    tags.forEach(tag -> seqs.add(tag.seq()));
    return List.copyOf(seqs.headSet(horizonSeq));
  }

  /** The horizon must not pass this. */
  long limitSeq() {
    return pins.stream().filter(Pin::onward).mapToLong(Pin::seq).min().orElse(Long.MAX_VALUE);
  }

  Optional<Pin> pinOf(String holder) {
    return pins.stream().filter(pin -> pin.holder().equals(holder)).findFirst();
  }

  /** Whether layers end with points that are not kept any more. */
  boolean hasIdleLayers(long horizonSeq) {
    List<Long> kept = keptSeqs(horizonSeq);
    return layers.stream()
        .limit(Math.max(0, layers.size() - 1))
        .anyMatch(layer -> !kept.contains(layer.lastSeq()));
  }

  Retained withPolicy(RetentionPolicy newPolicy) {
    return new Retained(newPolicy, layers, runs, attempts, running, pins, tags, freed, volume);
  }

  Retained withPin(Pin pin) {
    List<Pin> more = new ArrayList<>(pins);
    more.removeIf(other -> other.holder().equals(pin.holder()));
    more.add(pin);
    return withPins(more);
  }

  /** Pins and tags end. */
  Retained ended(PinsEnded e) {
    Retained rest =
        withPins(pins.stream().filter(pin -> !e.holders().contains(pin.holder())).toList())
            .withTags(tags.stream().filter(tag -> !e.tags().contains(tag.name())).toList());
    return e.forced() ? rest.withLost(e.holders().size() + e.tags().size()) : rest;
  }

  private Retained withLost(int more) {
    Sums sums =
        new Sums(volume.freed(), volume.copied(), volume.segments(), volume.lostHolds() + more);
    return new Retained(policy, layers, runs, attempts, running, pins, tags, freed, sums);
  }

  private Retained withPins(List<Pin> newPins) {
    return new Retained(
        policy, layers, runs, attempts, running, List.copyOf(newPins), tags, freed, volume);
  }

  Retained withTags(List<KeptTag> newTags) {
    return new Retained(
        policy, layers, runs, attempts, running, pins, List.copyOf(newTags), freed, volume);
  }

  /** For people and programs. */
  RetentionSummary summary(
      VolumeName name, RecoveryPoint head, RecoveryPoint horizon, long rawBytes, long storedBytes) {
    return new RetentionSummary(
        name,
        policy,
        head,
        horizon,
        rawBytes,
        storedBytes,
        volume.freed().storedBytes(),
        volume.copied().storedBytes(),
        freed.size(),
        volume.lostHolds(),
        pins.stream()
            .map(
                pin ->
                    new RetentionSummary.Hold(
                        pin.holder(), pin.seq(), pin.onward(), pin.untilMicros()))
            .toList(),
        tags);
  }

  /** A compaction begins; what a broken one stored is to be deleted (R5). */
  Retained began(Running next, long timeMicros) {
    List<Freed> more = new ArrayList<>(freed);
    running.ifPresent(
        broken ->
            more.add(
                new Freed(
                    List.of(Compaction.runsOf(broken.attempt())),
                    List.of(),
                    broken.nodeIds(),
                    timeMicros)));
    return new Retained(
        policy,
        layers,
        runs,
        next.attempt() + 1,
        Optional.of(next),
        pins,
        tags,
        List.copyOf(more),
        volume);
  }

  Retained compacted(HistoryCompacted e) {
    List<Freed> more = new ArrayList<>(freed);
    more.add(new Freed(e.freedRuns(), e.freedTrees(), e.freedNodes(), e.timeMicros()));
    return new Retained(
        policy,
        e.layers(),
        e.runs(),
        attempts,
        Optional.empty(),
        pins,
        tags,
        List.copyOf(more),
        new Sums(
            volume.freed().plus(e.freed()),
            volume.copied().plus(e.copied()),
            volume.segments() + e.segments(),
            volume.lostHolds()));
  }

  /** The oldest of what was freed is deleted. */
  Retained deleted() {
    return new Retained(
        policy,
        layers,
        runs,
        attempts,
        running,
        pins,
        tags,
        List.copyOf(freed.subList(1, freed.size())),
        volume);
  }
}
