package io.tidemark.sizing;

import io.tidemark.image.HeldPoints;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.SegmentHistory;
import io.tidemark.job.JobControl;
import io.tidemark.job.JobRegistry;
import io.tidemark.job.JobSummary;
import io.tidemark.point.HistoryView;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** Replays a volume's recorded writes as a job and notes what journal which window needs. */
public final class SizingJobs implements Sizing {
  private static final int EVENTS_AT_ONCE = 64;

  private final JobRegistry jobs;
  private final Site site;
  private final Function<String, SegmentHistory> histories;
  private final HeldPoints held;

  /**
   * @param histories the segments of the volume with a persistence id
   * @param held keeps what is replayed from being cut meanwhile (J8)
   */
  public SizingJobs(
      JobRegistry jobs, Site site, Function<String, SegmentHistory> histories, HeldPoints held) {
    this.jobs = jobs;
    this.held = held;
    this.site = site;
    this.histories = histories;
  }

  @Override
  public CompletionStage<JobSummary> size(
      VolumeName volume, List<Long> windowsSeconds, long capBytes) {
    if (windowsSeconds.isEmpty() || windowsSeconds.size() > WINDOWS_MAX) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.INVALID, "name 1 to %d windows, in seconds".formatted(WINDOWS_MAX)));
    }
    for (long seconds : windowsSeconds) {
      if (seconds < 1 || seconds > SECONDS_MAX) {
        return CompletableFuture.failedStage(
            new Refusal(
                ErrorCode.INVALID,
                "a window is 1 to %d seconds, not %d".formatted(SECONDS_MAX, seconds)));
      }
    }
    String holder = "sizing:" + UUID.randomUUID();
    return held.holdHistory(() -> site.volume(volume), holder)
        .thenCompose(
            summary ->
                site.history(volume)
                    .thenApply(
                        view ->
                            start(summary, view, List.copyOf(windowsSeconds), capBytes, holder)))
        .whenComplete(
            (job, refused) -> {
              if (refused != null) {
                held.release(volume, holder);
              }
            });
  }

  private JobSummary start(
      VolumeSummary volume,
      HistoryView view,
      List<Long> windowsSeconds,
      long capBytes,
      String holder) {
    return jobs.start(
        "sizing",
        "sizing of " + volume.name() + " up to seq:" + view.headSeq(),
        control ->
            CompletableFuture.runAsync(
                    () -> replay(control, volume, view, windowsSeconds, capBytes),
                    SizingJobs::onThread)
                .whenComplete((done, failure) -> held.release(volume.name(), holder)));
  }

  private static void onThread(Runnable work) {
    Thread thread = new Thread(work, "sizing");
    thread.setDaemon(true);
    thread.start();
  }

  private void replay(
      JobControl control,
      VolumeSummary volume,
      HistoryView view,
      List<Long> windowsSeconds,
      long capBytes) {
    SegmentHistory history = histories.apply(view.persistenceId());
    WritePattern pattern = new WritePattern(view.sizeBytes());
    long first = view.base().map(base -> base.lastEventNr() + 1).orElse(1L);
    control.total(Math.max(1, view.tailToEventNr() - first + 1));
    for (long from = first; from <= view.tailToEventNr(); from += EVENTS_AT_ONCE) {
      if (control.cancelled()) {
        throw new CancellationException();
      }
      long to = Math.min(view.tailToEventNr(), from + EVENTS_AT_ONCE - 1);
      for (SegmentEntry entry : history.segments(from, to).toCompletableFuture().join()) {
        pattern.add(entry.meta(), entry.storedBytes());
      }
      control.advance(to - from + 1);
    }
    if (pattern.writes() == 0) {
      throw new Refusal(
          ErrorCode.NOT_FOUND,
          "volume '%s' has no recorded writes yet: let it run for a while"
              .formatted(volume.name()));
    }
    // What the base holds is stored data that the recorded writes come on top of.
    pattern.startWith(Math.max(0, volume.storedBytes() - pattern.storedBytes()));
    note(control, pattern, windowsSeconds, capBytes);
  }

  private static void note(
      JobControl control, WritePattern pattern, List<Long> windowsSeconds, long capBytes) {
    control.note("recordedSeconds", Long.toString(pattern.recordedMicros() / MICROS));
    control.note("writes", Long.toString(pattern.writes()));
    control.note("rawBytes", Long.toString(pattern.rawBytes()));
    control.note("storedBytes", Long.toString(pattern.storedBytes()));
    control.note("volumeBytesWritten", Long.toString(pattern.writtenBytes()));
    for (long seconds : windowsSeconds) {
      WritePattern.Need need = pattern.need(seconds * MICROS);
      String window = "window-" + seconds;
      control.note(window + "-typicalBytes", Long.toString(need.typicalBytes()));
      control.note(window + "-peakBytes", Long.toString(need.peakBytes()));
      control.note(window + "-extrapolated", Boolean.toString(need.extrapolated()));
    }
    if (capBytes > 0) {
      long micros = pattern.windowFor(capBytes, SECONDS_MAX * MICROS);
      control.note("cap-" + capBytes + "-seconds", Long.toString(micros / MICROS));
    }
  }
}
