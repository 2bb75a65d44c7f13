package io.tidemark.retention;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * How much of a volume's history is kept. Pure.
 *
 * @param windowMicros points at least so young are kept; 0: all are
 * @param capBytes the horizon moves on while the journal stores more than this; 0: no cap
 * @param hardCapBytes pins and tags lose, the oldest first, while the journal stores more than this
 *     and nothing else can go; 0: never
 * @param ladder which tags outlive the window; each rung reaches further back than the one before
 */
public record RetentionPolicy(
    long windowMicros, long capBytes, long hardCapBytes, List<Rung> ladder) {

  /** Everything is kept for ever. */
  public static final RetentionPolicy ALL = new RetentionPolicy(0, 0, 0, List.of());

  public static final int RUNGS_MAX = 16;

  /** A hundred years. */
  public static final long SPAN_MICROS_MAX = Duration.ofDays(36_500).toNanos() / 1_000;

  /**
   * Of the tags up to an age, one in each span of time is kept, the oldest.
   *
   * @param everyMicros length of the span; 0 keeps all
   * @param forMicros the age up to which this rung tells
   */
  public record Rung(long everyMicros, long forMicros) {}

  /** Whether anything is ever given up. */
  public boolean limited() {
    return windowMicros > 0 || capBytes > 0 || hardCapBytes > 0;
  }

  /** Why there can be no such policy. */
  public Optional<Refusal> refuse() {
    if (windowMicros < 0 || windowMicros > SPAN_MICROS_MAX) {
      return invalid("a window is a span of time of at most 36500 days");
    }
    if (capBytes < 0 || hardCapBytes < 0) {
      return invalid("a cap is a number of bytes, not below 0");
    }
    if (hardCapBytes > 0 && hardCapBytes < capBytes) {
      return invalid("the hard cap must not be below the cap");
    }
    if (ladder.size() > RUNGS_MAX) {
      return invalid("a ladder has at most " + RUNGS_MAX + " rungs");
    }
    if (!ladder.isEmpty() && windowMicros == 0) {
      return invalid("a ladder thins the tags that are older than the window: give a window too");
    }
    long reach = 0;
    for (Rung rung : ladder) {
      if (rung.everyMicros() < 0
          || rung.forMicros() <= reach
          || rung.forMicros() > SPAN_MICROS_MAX) {
        return invalid("each rung of a ladder must reach further back than the one before");
      }
      reach = rung.forMicros();
    }
    return Optional.empty();
  }

  private static Optional<Refusal> invalid(String sentence) {
    return Optional.of(new Refusal(ErrorCode.INVALID, sentence));
  }

  /**
   * The tags that are kept as of now, in the order given: locked ones, those whose expiry is still
   * to come, those inside the window, and those on a rung; with a cap and no window the former two.
   */
  public List<KeptTag> thinned(List<KeptTag> tags, long nowMicros) {
    if (windowMicros == 0) {
      return limited() ? tags.stream().filter(tag -> wanted(tag, nowMicros)).toList() : tags;
    }
    Set<Long> taken = new HashSet<>();
    List<KeptTag> oldestFirst = new ArrayList<>(tags);
    oldestFirst.sort(Comparator.comparingLong(KeptTag::timeMicros));
    Set<String> kept = new HashSet<>();
    for (KeptTag tag : oldestFirst) {
      long age = nowMicros - tag.timeMicros();
      if (wanted(tag, nowMicros) || age <= windowMicros || onRung(tag, age, taken)) {
        kept.add(tag.name());
      }
    }
    return tags.stream().filter(tag -> kept.contains(tag.name())).toList();
  }

  private static boolean wanted(KeptTag tag, long nowMicros) {
    return tag.locked() || tag.untilMicros() > nowMicros;
  }

  private boolean onRung(KeptTag tag, long age, Set<Long> taken) {
    for (int i = 0; i < ladder.size(); i++) {
      Rung rung = ladder.get(i);
      if (age <= rung.forMicros()) {
        return rung.everyMicros() == 0
            || taken.add(tag.timeMicros() / rung.everyMicros() * RUNGS_MAX + i);
      }
    }
    return false;
  }
}
