package io.tidemark.point;

import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;

/** What is no recovery point, and which are nearest (J5). */
final class Refusals {
  private Refusals() {}

  /** Refuses when there is no recovery point at {@code seq}. */
  static void checkSeq(HistoryView view, long seq) {
    if (view.keeps(seq)) {
      return;
    }
    if (seq < view.horizonSeq()) {
      throw beyondHorizon(view, "seq:" + seq);
    }
    if (seq > view.headSeq()) {
      throw beyondHead(view, "seq:" + seq + " is not written yet");
    }
    for (DarkInterval dark : view.dark()) {
      if (seq >= dark.fromSeq() && seq <= dark.toSeq()) {
        throw inDark(view, dark, "seq:" + seq);
      }
    }
  }

  /**
   * Refuses when there is no recovery point at a time.
   *
   * @param nowMicros the wall clock, or the head's timestamp when that is later
   */
  static void checkTime(HistoryView view, long micros, long nowMicros) {
    if (micros < view.horizonTimeMicros()) {
      throw beyondHorizon(view, "time:" + new MicroTime(micros));
    }
    if (micros > nowMicros) {
      throw beyondHead(view, "time:" + new MicroTime(micros) + " is in the future");
    }
    for (DarkInterval dark : view.dark()) {
      if (micros > dark.fromTimeMicros() && micros < dark.toTimeMicros()) {
        throw inDark(view, dark, "time:" + new MicroTime(micros));
      }
    }
  }

  private static Refusal beyondHorizon(HistoryView view, String what) {
    return new Refusal(
        ErrorCode.BEYOND_HORIZON,
        "%s is older than the horizon: the nearest point is %s%s"
            .formatted(
                what,
                named(view.horizonSeq(), view.horizonTimeMicros()),
                view.keptSeqs().isEmpty() || view.keptSeqs().get(0) >= view.horizonSeq()
                    ? ""
                    : "; of what is older only kept tags and what open images hold remains"));
  }

  private static Refusal beyondHead(HistoryView view, String what) {
    return new Refusal(
        ErrorCode.BEYOND_HEAD,
        "%s: the newest recovery point is %s"
            .formatted(what, named(view.headSeq(), view.headTimeMicros())));
  }

  private static Refusal inDark(HistoryView view, DarkInterval dark, String what) {
    String before =
        dark.fromSeq() > view.horizonSeq()
            ? "the nearest point before is " + named(dark.fromSeq() - 1, dark.fromTimeMicros())
            : "there is no point before";
    String after =
        dark.open()
            ? "there is none after it until the resynchronisation completes"
            : "the nearest after is " + named(dark.toSeq() + 1, dark.toTimeMicros());
    return new Refusal(
        ErrorCode.DARK_INTERVAL,
        "%s lies where capture was lost (%s): %s, %s"
            .formatted(what, dark.reason(), before, after));
  }

  private static String named(long seq, long micros) {
    return "seq:%d at %s".formatted(seq, new MicroTime(micros));
  }
}
